//! Commands of an operator: which deployment they are about, and what they say when they cannot do it.

use std::fs::Permissions;
use std::os::unix::process::CommandExt as _;

use super::*;

/// A user of the machine who owns nothing here.
const STRANGER: u32 = 65_534;
const USER: &str = "0199a3c4-0000-7000-8000-000000000001";

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("chmod");
}

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

#[test]
fn a_running_service_is_found_by_its_data_folder() {
    let call = Call::new();
    let (dev, ready) = call.dev(&["--port", "0", "--data", "here"]);
    let admin = ready["admin_url"].as_str().expect("a URL").to_owned();
    let asked =
        [["health", "--data", "here"].as_slice(), &["users", "show", "--data", "here", "--user", "dev-user"]];
    for args in asked {
        let ended = call.run(args);
        assert!(!ended.stderr.contains("no answer"), "{args:?}: {ended:?}");
    }
    assert_eq!(call.run(asked[0]).stdout, "ok\n");
    assert_eq!(call.run(asked[1]).code, Some(4), "it has no account yet");
    // A flag that names the address wins, and the answer says so.
    let port = free_port();
    let elsewhere = call.run(&["health", "--data", "here", "--port", &port.to_string()]);
    let expected = format!("no answer at http://127.0.0.1:{}/livez", port + 2);
    check_refused(&elsewhere, 1, &expected);
    check_refused(&elsewhere, 1, "admin.listen is this one by the flag --port");
    check_refused(&call.run(&["health", "--port", "0"]), 2, "name the one that `dev` printed");
    let by_set = format!("admin.listen={}", admin.trim_start_matches("http://"));
    assert_eq!(call.run(&["health", "--set", &by_set]).stdout, "ok\n");
    dev.signal("KILL");
    dev.wait();
    let nowhere = ["health", "--data", "here", "--set", "admin.listen=127.0.0.1:1"];
    check_refused(&call.run(&nowhere), 1, "no answer at http://127.0.0.1:1/livez");
    let call = Call::new().env("WHARF_ADMIN__LISTEN", "127.0.0.1:1");
    let reason = "no process runs on wharf-data, and admin.listen is this one (environment variable WHARF_ADMIN__LISTEN)";
    check_refused(&call.run(&["health"]), 1, reason);
    check_refused(&call.run(&["health"]), 1, "Name another one by --data, --config or --port");
}

#[test]
fn a_port_flag_is_the_one_of_dev() {
    let call = Call::new();
    let is_free = |port: &u16| (0..3).all(|step| TcpListener::bind(("127.0.0.1", port + step)).is_ok());
    let port =
        std::iter::repeat_with(free_port).find(|port| *port < 65_000 && is_free(port)).expect("endless");
    let port = port.to_string();
    let (_dev, _) = call.dev(&["--port", &port, "--data", "here"]);
    assert_eq!(call.run(&["health", "--port", &port]).stdout, "ok\n");
    let shown = call.run(&["users", "show", "--port", &port, "--data", "here", "--sub", "dev-user"]);
    assert_eq!(shown.code, Some(4), "{shown:?}");
}

#[test]
fn config_check_tells_the_running_service_from_another_process() {
    let call = Call::new();
    let (dev, ready) = call.dev(&["--port", "0"]);
    let holder = format!("wharf-data is in use by process {}", dev.child.id());
    let data_line = |ended: &Ended| {
        let all = checked(ended);
        all.into_iter()
            .find(|(_, part, _)| part == "data")
            .map(|(is_ok, _, text)| (is_ok, text))
            .expect("a line")
    };
    // Its own settings, with ports that are left to the system: it is the service that runs.
    let own = ["http.listen=127.0.0.1:0", "admin.listen=127.0.0.1:0", "s3.listen=127.0.0.1:0"];
    let own: Vec<_> = own.into_iter().flat_map(|set| ["--set", set]).collect();
    let (is_ok, text) = data_line(&call.run(&[["config", "check"].as_slice(), &own].concat()));
    assert!(is_ok, "{text}");
    let expected = format!("wharf-data is in use by the running service, process {}", dev.child.id());
    assert_eq!(text, expected);
    let (port, admin_port) = (free_port(), free_port());
    let other = [format!("http.listen=127.0.0.1:{port}"), format!("admin.listen=127.0.0.1:{admin_port}")];
    let ended = call.run(&["config", "check", "--set", &other[0], "--set", &other[1]]);
    let (is_ok, text) = data_line(&ended);
    assert!(!is_ok && text.starts_with(&holder), "{text}");
    let api = ready["api_url"].as_str().expect("a URL").trim_start_matches("http://");
    assert!(text.contains(&format!("its API is on {api}; stop it, or choose another data_dir")), "{text}");
    assert_eq!(ended.code, Some(1));
}

#[test]
fn data_of_another_user_is_denied_and_not_missing() {
    let call = Call::new();
    let (dev, _) = call.dev(&["--port", "0"]);
    dev.signal("TERM");
    dev.wait();
    let folder = call.folder.path();
    let before = below(&folder.join("wharf-data"));
    set_mode(folder, 0o755);
    let is_root = rustix::process::getuid().is_root();
    if !is_root {
        set_mode(&folder.join("wharf-data"), 0);
    }
    // The other user may not reach the folder of the build.
    let program = folder.join("wharfinger");
    std::fs::copy(env!("CARGO_BIN_EXE_wharfinger"), &program).expect("copied");
    let run = |args: &[&str]| {
        let mut command = Command::new(&program);
        command.args(args).current_dir(folder).env_clear().stdin(Stdio::null());
        if is_root {
            command.uid(STRANGER).gid(STRANGER);
        }
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        Running { child, stdout }.wait()
    };
    let denied = "permission denied; run this as the user who runs";
    check_refused(&run(&["audit", "--data", "wharf-data"]), 7, denied);
    check_refused(&run(&["events", "republish", "--user", USER, "--from", "1"]), 7, denied);
    check_refused(&run(&["token", "mint", "--sub", "me"]), 7, denied);
    check_refused(&run(&["users", "show", "--user", USER]), 7, denied);
    let health = run(&["health", "--set", "admin.listen=127.0.0.1:1"]);
    check_refused(&health, 1, "no answer at http://127.0.0.1:1/livez");
    let check = run(&["config", "check"]);
    assert!(check.stdout.contains("failed  data      wharf-data: permission denied"), "{check:?}");
    if !is_root {
        set_mode(&folder.join("wharf-data"), 0o700);
    }
    assert_eq!(below(&folder.join("wharf-data")), before, "nothing is made");
}

#[test]
fn a_dev_that_does_not_start_leaves_nothing_behind() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    for key in ["http.listen", "admin.listen", "s3.listen"] {
        let call = Call::new();
        let mut args = vec!["dev".to_owned()];
        for listener in ["http.listen", "admin.listen", "s3.listen"] {
            let at = if listener == key { address.as_str() } else { "127.0.0.1:0" };
            args.extend(["--set".to_owned(), format!("{listener}={at}")]);
        }
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        check_refused(
            &call.run(&args),
            1,
            &format!("{key}: cannot listen on {address}: another process listens"),
        );
        assert_eq!(names(call.folder.path()), Vec::<String>::new(), "{key}");
    }
    let issuer = "[[auth.issuers]]\nissuer='i'\naudience='a'\nalgorithm='HS256'\nkey_file='none'\n";
    let listeners = format!("http.listen='{address}'\nadmin.listen='127.0.0.1:0'\ns3.listen='127.0.0.1:0'\n");
    let call = Call::new().file("w.toml", &(listeners + issuer));
    check_refused(&call.run(&["serve", "--config", "w.toml"]), 1, "http.listen: cannot listen");
    assert_eq!(names(call.folder.path()), ["w.toml"]);
}

#[test]
fn a_held_folder_says_what_to_do() {
    let call = Call::new();
    let (dev, _) = call.dev(&["--port", "0"]);
    let expected = format!(
        "is in use by process {}; stop it, or name another folder (data_dir, or --data)",
        dev.child.id()
    );
    check_refused(&call.run(&["dev", "--port", "0"]), 1, &expected);
}

#[test]
fn lists_that_dev_adds_to_cannot_be_emptied() {
    for (list, reason) in [
        (
            "auth.issuers=[]",
            "auth.issuers: [] has no effect, because dev adds an issuer of its own; remove it (flag --set)",
        ),
        (
            "http.allowed_origins=[]",
            "http.allowed_origins: [] has no effect, because dev accepts pages of this machine",
        ),
    ] {
        let call = Call::new();
        check_refused(&call.run(&["dev", "--port", "0", "--set", list]), 2, reason);
        assert_eq!(names(call.folder.path()), Vec::<String>::new());
    }
}

#[test]
fn audit_says_which_folder_wins() {
    let call = Call::new().file("w.toml", "data_dir = 'one'\n");
    let expected = "data_dir: \"one\" has no effect, because the flag --data says \"two\" and wins; remove one of the two, or \
                    say --set data_dir=VALUE, which replaces what a file says (w.toml:1)";
    for command in
        [["audit"].as_slice(), &["health"], &["config", "print"], &["users", "show", "--user", USER]]
    {
        let args = [command, &["--config", "w.toml", "--data", "two"]].concat();
        check_refused(&call.run(&args), 2, expected);
    }
    let replaced = call.run(&["audit", "--config", "w.toml", "--set", "data_dir=two"]);
    check_refused(&replaced, 2, "there is nothing to audit: two/store does not exist");
}

#[test]
fn an_audit_without_flags_is_of_the_default_folder() {
    let call = Call::new();
    check_refused(&call.run(&["audit"]), 2, "there is nothing to audit: wharf-data/store does not exist");
    let (_dev, _) = call.dev(&["--port", "0"]);
    let audited = call.run(&["audit", "--grace", "1m"]);
    assert_eq!(audited.code, Some(0), "{audited:?}");
    assert!(audited.stdout.ends_with("0 disagreements\n"), "{audited:?}");
    check_refused(&call.run(&["audit", "--grace", "soon"]), 2, "write a number with s, m, h or d");
}

#[test]
fn the_help_counts_no_commands() {
    let help = Call::new().run(&["--help"]).stdout;
    assert!(help.contains("prints commands to paste"), "{help}");
    for args in
        [["audit", "--help"].as_slice(), &["users", "show", "--help"], &["events", "republish", "--help"]]
    {
        let help = Call::new().run(args).stdout;
        for flag in
            ["--user <USER>", "--sub <SUBJECT>", "--issuer <ISSUER>", "--data <DIR>", "--config <FILE>"]
        {
            assert!(help.contains(flag), "{args:?} has no {flag}: {help}");
        }
    }
}

/// The commands in the first lines of an example, up to the first line that is no comment.
fn recipe(text: &str) -> Vec<&str> {
    text.lines()
        .take_while(|line| line.starts_with('#'))
        .filter_map(|line| line.strip_prefix("#   "))
        .collect()
}

/// `curl` without the network of a real one: sends the request to the port that the service has here.
#[test]
fn the_commands_of_one_box_give_a_token_that_counts() {
    let example = include_str!("../../examples/one-box.toml");
    let call = Call::new();
    let folder = call.folder.path();
    let here = |text: &str| {
        let text = text.replace("/var/lib/wharfinger", &format!("{}/data", folder.display()));
        text.replace("/etc/wharfinger", &format!("{}/etc", folder.display()))
            .replace("examples/one-box.toml", "one-box.toml")
    };
    let ports = [free_port(), free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let text = here(example)
        .replace("127.0.0.1:8080\"", &format!("{}\"", ports[0]))
        .replace("127.0.0.1:9090\"", &format!("{}\"", ports[1]))
        .replace("127.0.0.1:9000\"", &format!("{}\"", ports[2]));
    std::fs::write(folder.join("one-box.toml"), text).expect("write");
    let commands: Vec<_> = recipe(example).into_iter().map(here).collect();
    let at =
        commands.iter().position(|line| line.contains("wharfinger serve")).expect("it starts the service");
    let binary = Path::new(env!("CARGO_BIN_EXE_wharfinger")).parent().expect("a folder").display();
    let sh = |lines: &[String]| {
        let mut sh = Command::new("sh");
        sh.args(["-eu", "-c", &lines.join("\n")]).current_dir(folder);
        let output = sh.env("PATH", format!("{binary}:/usr/bin:/bin")).output().expect("sh runs");
        assert!(output.status.success(), "{lines:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    assert!(sh(&commands[..at]).contains("ok      issuers"));
    let serve = call.start(&["serve", "--config", "one-box.toml"]);
    let since = Instant::now();
    while call.run(&["health", "--config", "one-box.toml"]).code != Some(0) {
        assert!(since.elapsed() < WITHIN, "it does not live");
    }
    let after: Vec<_> =
        commands[at + 1..].iter().map(|line| line.replace("127.0.0.1:8080", &ports[0])).collect();
    let usage: Value = serde_json::from_str(&sh(&after)).expect("JSON");
    assert_eq!(usage["used_bytes"], 0, "{usage}");
    serve.signal("TERM");
    assert_eq!(serve.wait().code, Some(0));
}

#[test]
fn a_token_is_of_the_issuer_that_can_sign_it() {
    let issuer = |name: &str, algorithm: &str| {
        format!(
            "[[auth.issuers]]\nissuer='{name}'\naudience='a'\nalgorithm='{algorithm}'\nkey_file='key'\nsubject='name'\n"
        )
    };
    let call = Call::new().file("key", &"k".repeat(32)).file("one.toml", &issuer("one", "HS256"));
    let call = call.file("two.toml", &(issuer("one", "HS256") + &issuer("two", "HS256")));
    let call = call.file("far.toml", &issuer("far", "ES256"));
    let mint = |more: &[&str]| call.run(&[["token", "mint", "--sub", "me"].as_slice(), more].concat());
    let one = claims(&mint(&["--config", "one.toml", "--role", "admin"]).stdout);
    assert_eq!((&one["iss"], &one["aud"], &one["sub"]), (&"one".into(), &"a".into(), &"me".into()));
    assert_eq!(one["roles"], serde_json::json!(["admin"]));
    check_refused(&mint(&["--config", "two.toml"]), 2, "name one by --issuer, like one");
    assert_eq!(claims(&mint(&["--config", "two.toml", "--issuer", "two"]).stdout)["iss"], "two");
    check_refused(&mint(&["--config", "far.toml"]), 2, "no issuer of the settings has algorithm = \"HS256\"");
    check_refused(&mint(&["--config", "one.toml", "--issuer", "far"]), 2, "no issuer \"far\" has");
    check_refused(
        &mint(&["--config", "one.toml", "--set", "auth.issuers=[]", "--issuer", "far"]),
        2,
        "no issuer \"far\"",
    );
    std::fs::write(call.folder.path().join("key"), "short").expect("write");
    check_refused(&mint(&["--config", "one.toml"]), 1, "key has 5 bytes; a shared key needs 32");
    std::fs::remove_file(call.folder.path().join("key")).expect("removed");
    check_refused(&mint(&["--config", "one.toml"]), 1, "head -c 32 /dev/urandom");
}

#[test]
fn a_deleted_bucket_is_not_made_again_without_a_word() {
    let call = Call::new();
    let bucket = call.folder.path().join("wharf-data/bucket");
    let (dev, ready) = call.dev(&["--port", "0"]);
    assert!(ask_for_an_upload(&ready).starts_with("HTTP/1.1 201"));
    dev.signal("TERM");
    dev.wait();
    std::fs::remove_dir_all(&bucket).expect("removed");
    let expected =
        "wharf-data/bucket is not the bucket that the ledger's files are in: it was deleted or replaced";
    for _ in 0..2 {
        let refused = call.run(&["dev", "--port", "0"]);
        check_refused(&refused, 1, expected);
        check_refused(&refused, 1, "touch wharf-data/bucket/adopt");
        let audited = call.run(&["audit"]);
        check_refused(&audited, 7, expected);
        assert_eq!(audited.stderr, refused.stderr, "an audit says what a start says");
        assert!(!bucket.exists(), "it is not made again");
    }
    let checked_objects = || {
        let ports = ["http.listen=127.0.0.1:0", "admin.listen=127.0.0.1:0", "s3.listen=127.0.0.1:0"];
        let ports: Vec<_> = ports.into_iter().flat_map(|set| ["--set", set]).collect();
        let all = checked(&call.run(&[["config", "check"].as_slice(), &ports].concat()));
        all.into_iter()
            .find(|(_, part, _)| part == "objects")
            .map(|(is_ok, _, text)| (is_ok, text))
            .expect("a line")
    };
    let (is_ok, text) = checked_objects();
    assert!(!is_ok && text.contains(expected) && !bucket.exists(), "{text}");
    std::fs::create_dir(&bucket).expect("made");
    set_mode(&bucket, 0o700);
    check_refused(&call.run(&["dev", "--port", "0"]), 1, expected);
    assert!(!checked_objects().0, "an empty folder is not the bucket either");
    std::fs::write(bucket.join("ledger-id"), USER).expect("written");
    let (is_ok, text) = checked_objects();
    assert!(!is_ok && text.contains("belongs to another ledger"), "{text}");
    std::fs::write(bucket.join("adopt"), "").expect("made");
    assert!(checked_objects().0, "an operator accepts it");
    let (dev, ready) = call.dev(&["--port", "0"]);
    assert!(ask_for_an_upload(&ready).starts_with("HTTP/1.1 201"));

    std::fs::remove_dir_all(&bucket).expect("removed");
    let since = Instant::now();
    let not_ready = loop {
        let ended = call.run(&["health", "--ready"]);
        if ended.code != Some(0) {
            break ended;
        }
        assert!(since.elapsed() < WITHIN, "it stays ready: {ended:?}");
    };
    let expected = "the folder wharf-data/bucket of the bucket was deleted or replaced; stop the service";
    assert!(not_ready.stdout.contains(expected), "{not_ready:?}");
    dev.signal("TERM");
    let ended = dev.wait();
    assert!(!bucket.exists(), "it is not made again");
    let lines = ended
        .stderr
        .lines()
        .filter(|line| line.contains("\"part\":") && line.contains("was deleted or replaced"));
    assert!((1..=2).contains(&lines.count()), "one line for the bucket and one for uploads: {ended:?}");
}

#[test]
fn a_folder_with_other_files_is_refused_and_left_alone() {
    let issuer = "[[auth.issuers]]\nissuer='i'\naudience='a'\nalgorithm='HS256'\nkey_file='key'\n";
    let ports = "http.listen='127.0.0.1:0'\nadmin.listen='127.0.0.1:0'\ns3.listen='127.0.0.1:0'\n";
    let call = Call::new().file("w.toml", &format!("data_dir='shared'\n{ports}{issuer}"));
    let call = call.file("key", &"k".repeat(32));
    let shared = call.folder.path().join("shared");
    std::fs::create_dir(&shared).expect("made");
    std::fs::write(shared.join("notes.txt"), "of others").expect("written");
    set_mode(&shared, 0o755);
    let expected = "data_dir: shared holds other files (notes.txt); name a new or an empty folder";
    check_refused(&call.run(&["dev", "--port", "0", "--data", "shared"]), 2, expected);
    check_refused(&call.run(&["serve", "--config", "w.toml"]), 2, expected);
    let check = call.run(&["config", "check", "--config", "w.toml"]);
    assert!(check.stdout.contains("failed  data      data_dir: shared holds other files"), "{check:?}");
    assert_eq!((mode(&shared), names(&shared)), (0o755, vec!["notes.txt".to_owned()]));
    // With data of ours in it, it is a data folder, and closed to others as any is.
    std::fs::write(shared.join("dev-issuer.key"), "k".repeat(32)).expect("written");
    set_mode(&shared.join("dev-issuer.key"), 0o600);
    let (_dev, _) = call.dev(&["--port", "0", "--data", "shared"]);
    assert_eq!(mode(&shared), 0o700);
}

#[test]
fn another_number_of_shards_is_refused_on_data_that_is_there() {
    let call = Call::new();
    let start = |shards: &str| {
        let (dev, _) = call.dev(&["--port", "0", "--set", shards]);
        dev.signal("TERM");
        dev.wait();
    };
    start("shards=8");
    let expected = "shards: 16 is not the number that the data in wharf-data was made with, which is 8;";
    check_refused(&call.run(&["dev", "--port", "0", "--set", "shards=16"]), 2, expected);
    let check = call.run(&["config", "check", "--set", "shards=16"]);
    assert!(check.stdout.contains("failed  data      shards: 16 is not"), "{check:?}");
    start("shards=8");
    // A folder of an earlier release has no note; its next start writes one.
    std::fs::remove_file(call.folder.path().join("wharf-data/shards")).expect("removed");
    start("shards=8");
    check_refused(&call.run(&["dev", "--port", "0", "--set", "shards=16"]), 2, expected);
}

#[test]
fn a_command_beside_serve_names_the_settings_and_not_dev() {
    let issuer = "[[auth.issuers]]\nissuer='i'\naudience='a'\nalgorithm='HS256'\nkey_file='key'\n";
    let ports = [free_port(), free_port(), free_port()];
    let text = format!(
        "data_dir='here'\nhttp.listen='127.0.0.1:{}'\nadmin.listen='127.0.0.1:{}'\ns3.listen='127.0.0.1:{}'\n{issuer}",
        ports[0], ports[1], ports[2]
    );
    let call = Call::new().file("w.toml", &text).file("key", &"k".repeat(32));
    let _serve = call.start(&["serve", "--config", "w.toml"]);
    let since = Instant::now();
    while call.run(&["health", "--config", "w.toml"]).code != Some(0) {
        assert!(since.elapsed() < WITHIN, "it does not live");
    }
    let show = || call.run(&["users", "show", "--data", "here", "--sub", "me"]);
    check_refused(&show(), 1, "not of `wharfinger dev`; name the settings of its service with --config FILE");
    let key = call.folder.path().join("here/dev-issuer.key");
    std::fs::write(&key, "d".repeat(32)).expect("written");
    set_mode(&key, 0o600);
    check_refused(&show(), 3, "this command signed its token with here/dev-issuer.key: name the settings");
    assert_eq!(call.run(&["users", "show", "--config", "w.toml", "--sub", "me"]).code, Some(4));
}
