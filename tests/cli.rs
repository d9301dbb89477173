//! The binary as people call it: what it prints, what it says when something is wrong, how it ends.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

#[path = "cli/operators.rs"]
mod operators;

/// How long anything here may take.
const WITHIN: Duration = Duration::from_secs(20);
/// How often an end is looked for.
const POLL_EVERY: Duration = Duration::from_millis(2);

/// A call of the binary in a folder of its own, with nothing in its environment.
struct Call {
    folder: TempDir,
    env: Vec<(String, String)>,
}

/// How a call ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Call {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), env: Vec::new() }
    }

    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.folder.path().join(name), text).expect("write");
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wharfinger"));
        command.args(args).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// For commands that end by themselves; one that does not is ended, and fails its test.
    fn run(&self, args: &[&str]) -> Ended {
        self.start(args).wait()
    }

    fn start(&self, args: &[&str]) -> Running {
        let mut command = self.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        Running { child, stdout }
    }

    /// Starts `dev --json` and waits until it is ready.
    fn dev(&self, args: &[&str]) -> (Running, Value) {
        let mut dev = self.start(&[&["dev", "--json"], args].concat());
        let mut line = String::new();
        dev.stdout.read_line(&mut line).expect("a line");
        match serde_json::from_str(&line) {
            Ok(ready) => (dev, ready),
            Err(_) => panic!("not ready: {line:?}, {:?}", dev.wait()),
        }
    }
}

/// A process that does not outlive its test.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Waits for its end; gives what it wrote and nobody has read yet.
    fn wait(mut self) -> Ended {
        let since = Instant::now();
        let mut stderr = self.child.stderr.take().expect("piped");
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).map(|_| text)
        });
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(since.elapsed() < WITHIN, "does not end");
            std::thread::park_timeout(POLL_EVERY);
        };
        let mut stdout = String::new();
        self.stdout.read_to_string(&mut stdout).expect("UTF-8");
        let stderr = errors.join().expect("reads").expect("UTF-8");
        Ended { code: status.code(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One line on standard error, nothing on standard output, and this exit code.
fn check_refused(ended: &Ended, code: i32, expected: &str) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert_eq!(ended.stdout, "", "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.starts_with("wharfinger: "), "{ended:?}");
    assert!(ended.stderr.contains(expected), "{ended:?} does not say {expected:?}");
}

#[test]
fn wrong_usage_is_one_line_and_two() {
    let call = Call::new();
    check_refused(
        &call.run(&[]),
        2,
        "a command is missing; there are: dev, serve, health, token, users, config, ",
    );
    check_refused(&call.run(&["config"]), 2, "there are: print, check");
    check_refused(&call.run(&["config", "pritn"]), 2, "'print'");
    check_refused(&call.run(&["config", "show"]), 2, "there are: print, check");
    check_refused(&call.run(&["config", "show"]), 2, "; see wharfinger config --help");
    check_refused(&call.run(&["start"]), 2, "there are: dev, serve, ");
    check_refused(&call.run(&["srve"]), 2, "'serve'");
    check_refused(&call.run(&["dev", "--prot", "1"]), 2, "--port");
    for port in ["high", "65534", "70000", "-1"] {
        let flag = format!("--port={port}");
        let expected = format!(
            "invalid value '{port}' for '--port <N>': write a number from 0 to 65533: the two ports above it are used as well"
        );
        check_refused(&call.run(&["dev", &flag]), 2, &expected);
        check_refused(&call.run(&["health", &flag]), 2, &expected);
        check_refused(&call.run(&["users", "show", &flag]), 2, "; see wharfinger users show --help");
    }
    check_refused(&call.run(&["token", "mint"]), 2, "--sub <SUBJECT>");
    check_refused(&call.run(&["config", "print", "--set", "shards"]), 2, "--set shards: write it like");
    check_refused(&call.run(&["config", "print", "--set", "=1"]), 2, "write it like");
}

#[test]
fn help_and_version_are_answers() {
    let call = Call::new();
    for args in [["--help"].as_slice(), &["dev", "--help"], &["--version"]] {
        let ended = call.run(args);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        assert!(ended.stdout.len() > 5, "{ended:?}");
    }
    assert!(call.run(&["dev", "--help"]).stdout.contains("API on N, S3 on N+1, metrics on N+2"));
}

#[test]
fn a_wrong_setting_is_one_line_with_key_and_origin() {
    let call = Call::new().file("w.toml", "[http]\nlisten = '127.0.0.1:0'\nlisen = 1\n");
    let expected = "http.lisen: there is no such setting; did you mean http.listen? (w.toml:3)";
    check_refused(&call.run(&["serve", "--config", "w.toml"]), 2, expected);
    check_refused(&call.run(&["config", "print", "--config", "w.toml"]), 2, expected);

    let call = Call::new().env("WHARF_UPLOAD__MAX_BYTES", "lots");
    let expected = "upload.max_bytes: \"lots\" is not a whole number without a sign (bytes, or a size like \"50MiB\") \
                    (environment variable WHARF_UPLOAD__MAX_BYTES)";
    check_refused(&call.run(&["serve"]), 2, expected);
    check_refused(&call.run(&["dev", "--port", "0"]), 2, expected);

    let call = Call::new();
    check_refused(&call.run(&["dev", "--set", "shards=0"]), 2, "shards must be 1 to 1024 (flag --set)");
    check_refused(&call.run(&["serve", "--config", "no.toml"]), 2, "cannot read the settings file");
    check_refused(&call.run(&["serve"]), 2, "auth.issuers: without an issuer every request is refused");
    assert!(!call.folder.path().join("wharf-data").exists(), "nothing starts before the settings are good");
}

#[test]
fn two_wrong_settings_are_two_lines() {
    let call = Call::new().file("w.toml", "shards = 0\nquota.files_max = 0");
    let ended = call.run(&["serve", "--config", "w.toml"]);
    assert_eq!(ended.code, Some(2));
    let lines: Vec<_> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{ended:?}");
    assert!(lines.iter().all(|line| line.starts_with("wharfinger: ")), "{ended:?}");
}

#[test]
fn printed_settings_name_their_origins() {
    let call = Call::new().file("w.toml", "shards = 8\n").env("WHARF_QUOTA__FILES_MAX", "100");
    let ended = call.run(&["config", "print", "--config", "w.toml", "--set", "deployment=eu"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for (start, origin) in [
        ("shards = 8 ", "# w.toml:1"),
        ("quota.files_max = 100 ", "# environment variable WHARF_QUOTA__FILES_MAX"),
        ("deployment = \"eu\" ", "# flag --set"),
        ("http.listen = \"127.0.0.1:8080\" ", "# default"),
    ] {
        let is_there = |line: &str| line.starts_with(start) && line.ends_with(origin);
        assert!(ended.stdout.lines().any(is_there), "{start}{origin}:\n{}", ended.stdout);
    }
}

#[test]
fn what_is_in_the_way_of_serve_is_one_line_that_says_what_to_do() {
    let issuer = "[[auth.issuers]]\nissuer='i'\naudience='a'\nalgorithm='HS256'\nkey_file='key'\n";
    let text =
        |more: &str| format!("http.listen='127.0.0.1:0'\nadmin.listen='127.0.0.1:0'\n{more}\n{issuer}");
    let serve = |more: &str| {
        let call = Call::new().file("w.toml", &text(more)).file("key", &"k".repeat(32)).file("plain", "");
        let ended = call.run(&["serve", "--config", "w.toml"]);
        let last = ended.stderr.lines().last().unwrap_or_default().to_owned();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        last
    };
    let said = serve("s3.listen='127.0.0.1:0'\ndata_dir='plain/data'");
    assert!(
        said.starts_with("wharfinger: data_dir: cannot make plain/data: a file with this name"),
        "{said}"
    );
    let said = serve("s3.listen='192.0.2.1:9000'");
    assert!(
        said.contains("s3.listen: cannot listen on 192.0.2.1:9000: no interface of this machine"),
        "{said}"
    );
    let call = Call::new().file("w.toml", "shards = 8\n[http\n");
    check_refused(&call.run(&["serve", "--config", "w.toml"]), 2, "(w.toml:2)");
    check_refused(&call.run(&["serve", "--config", "."]), 2, "it is a folder; name the file in it");
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap_or_else(|_| panic!("{}", path.display())).permissions().mode() & 0o777
}

/// Everything below a folder, the folder too.
fn below(path: &Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![path.to_owned()];
    for entry in std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            found.extend(below(&entry));
        } else {
            found.push(entry);
        }
    }
    found
}

#[test]
fn data_is_for_its_owner_alone_and_an_open_folder_is_closed() {
    let call = Call::new();
    let data = call.folder.path().join("wharf-data");
    let (dev, ready) = call.dev(&["--port", "0"]);
    assert!(ask_for_an_upload(&ready).starts_with("HTTP/1.1 201"));
    for path in below(&data) {
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
    dev.signal("TERM");
    let ended = dev.wait();
    assert!(!ended.stderr.contains("data folder: "), "{ended:?}");
    for folder in [&data, &data.join("store")] {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    }
    let (dev, _) = call.dev(&["--port", "0"]);
    assert_eq!((mode(&data), mode(&data.join("store"))), (0o700, 0o700));
    dev.signal("TERM");
    let ended = dev.wait();
    let lines = ended.stderr.lines().filter(|line| line.contains("was open to other users (mode 755)"));
    assert_eq!(lines.count(), 1, "{ended:?}");
}

#[test]
fn one_line_says_that_it_is_ready_and_which_engine_each_part_is() {
    let call = Call::new().env("WHARF_PORT", "tcp://10.96.0.7:8080").env("WHARF_SERVICE_HOST", "10.96.0.7");
    let (dev, ready) = call.dev(&["--port", "0"]);
    dev.signal("TERM");
    let ended = dev.wait();
    let entries = ended.stderr.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let entry = entries.filter(|entry| entry["version"].is_string()).collect::<Vec<_>>();
    assert_eq!(entry.len(), 1, "{ended:?}");
    let message = entry[0]["message"].as_str().expect("a message");
    let start = format!(
        "wharfinger {} is ready: API on {}",
        env!("CARGO_PKG_VERSION"),
        ready["api_url"].as_str().unwrap_or("")
    );
    assert!(message.starts_with(&start), "{message}");
    assert!(
        message.contains("ledger embedded (wharf-data/store), log embedded (wharf-data/store), queue"),
        "{message}"
    );
    assert!(message.ends_with("objects embedded (wharf-data/bucket), signer embedded"), "{message}");
    let ignored = ended.stderr.lines().filter(|line| line.contains("enableServiceLinks: false"));
    assert_eq!(ignored.count(), 1, "{ended:?}");
}

/// The lines of `config check`, by part.
fn checked(ended: &Ended) -> Vec<(bool, String, String)> {
    let lines = ended.stdout.lines();
    let line = |line: &str| {
        let (state, rest) = line.split_at(8);
        let (part, said) = rest.split_once(' ').expect("a part");
        (state.trim() == "ok", part.to_owned(), said.trim().to_owned())
    };
    lines.map(line).collect()
}

#[test]
fn config_check_tries_what_the_settings_name_and_makes_nothing() {
    let issuer = "[[auth.issuers]]\nissuer='i'\naudience='a'\nalgorithm='HS256'\nkey_file='key'\n";
    let ports = "http.listen='127.0.0.1:0'\nadmin.listen='127.0.0.1:0'\n";
    let call = Call::new()
        .file("w.toml", &format!("{ports}s3.listen='127.0.0.1:0'\ndata_dir='data'\n{issuer}"))
        .file("key", &"k".repeat(32));
    let good = call.run(&["config", "check", "--config", "w.toml"]);
    assert_eq!((good.code, good.stderr.as_str()), (Some(0), ""), "{good:?}");
    let all = checked(&good);
    let parts: Vec<_> = all.iter().map(|(_, part, _)| part.as_str()).collect();
    let expected = [
        "issuers", "cursors", "data", "API", "admin", "endpoint", "ledger", "log", "queue", "objects",
        "signer",
    ];
    assert_eq!(parts, expected);
    assert!(all.iter().all(|(is_ok, ..)| *is_ok), "{good:?}");
    assert_eq!(all[2].2, "data is made at the first start");
    assert_eq!(std::fs::read_dir(call.folder.path()).expect("a folder").count(), 2, "nothing is made");

    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = silent.local_addr().expect("an address");
    let real = format!(
        "single_node=true\nhttp.listen='{address}'\nadmin.listen='127.0.0.1:0'\ns3.listen='127.0.0.1:0'\ndata_dir='key/x'\n\
         {issuer}[ledger]\nkind='scylla'\nscylla.nodes=['127.0.0.1:1']\n[log]\nkind='nats'\nnats.urls=['nats://127.0.0.1:1']\n\
         [queue]\nkind='sqs'\nname='wharf'\nendpoint='http://{silent}'\naccess_key_id='any'\nsecret_key_file='none'\n"
    );
    let call = Call::new().file("w.toml", &real).file("key", "short");
    let bad = call.run(&["config", "check", "--config", "w.toml"]);
    assert_eq!((bad.code, bad.stderr.as_str()), (Some(1), "wharfinger: 6 of 11 checks failed\n"), "{bad:?}");
    let failed: Vec<_> = checked(&bad).into_iter().filter(|(is_ok, ..)| !is_ok).collect();
    let starts = [
        ("issuers", "issuer \"i\": an HS256 secret needs 32 bytes"),
        ("data", "key/x: "),
        ("API", "127.0.0.1:"),
        ("ledger", "scylla (wharfinger on 127.0.0.1:1): "),
        ("log", "nats (nats://127.0.0.1:1): "),
        ("queue", "sqs (wharf at http://127.0.0.1:"),
    ];
    for ((_, part, said), (expected_part, start)) in failed.iter().zip(starts) {
        assert!(
            part == expected_part && said.starts_with(start),
            "{part} {said} is not {expected_part} {start}"
        );
    }
    assert!(
        failed[2].2.contains("another process listens there")
            && failed[5].2.contains("queue.secret_key_file")
    );
}

#[test]
fn config_check_beside_the_running_service_is_good() {
    let issuer = "[[auth.issuers]]\nissuer='i'\naudience='a'\nalgorithm='HS256'\nkey_file='key'\n";
    let ports =
        [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address"));
    let text = format!(
        "http.listen='{}'\nadmin.listen='{}'\ns3.listen='{}'\n{issuer}",
        ports[0], ports[1], ports[2]
    );
    let call = Call::new().file("w.toml", &text).file("key", &"k".repeat(32));
    let serve = call.start(&["serve", "--config", "w.toml"]);
    let since = Instant::now();
    while call.run(&["health", "--config", "w.toml"]).code != Some(0) {
        assert!(since.elapsed() < WITHIN, "it does not live");
    }
    let ended = call.run(&["config", "check", "--config", "w.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout.matches("in use by the running service").count(), 4, "{ended:?}");
    serve.signal("TERM");
    assert_eq!(serve.wait().code, Some(0));
}

#[test]
fn dev_refuses_what_its_own_flags_would_replace() {
    let call = Call::new().env("WHARF_S3__LISTEN", "127.0.0.1:1");
    let expected =
        "s3.listen: \"127.0.0.1:1\" has no effect, because the flag --port says \"127.0.0.1:0\" and wins";
    check_refused(&call.run(&["dev", "--port", "0"]), 2, expected);
    let call = Call::new().env("WHARF_DATA_DIR", "there");
    check_refused(
        &call.run(&["dev", "--port", "0", "--data", "here"]),
        2,
        "the flag --data says \"here\" and wins",
    );
    let issuers = "[{issuer='wharfinger-dev',audience='a',algorithm='HS256',key_file='k'}]";
    let call = Call::new().env("WHARF_AUTH__ISSUERS", issuers);
    check_refused(&call.run(&["dev", "--port", "0"]), 2, "\"wharfinger-dev\" is the issuer of dev itself");
}

#[test]
fn dev_is_ready_in_one_line_and_stops_on_a_signal() {
    for signal in ["TERM", "INT"] {
        let call = Call::new();
        let (dev, ready) = call.dev(&["--port", "0", "--data", "here"]);
        let names: Vec<_> = ready.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(names, ["admin_token", "admin_url", "api_url", "data_dir", "s3_url", "token"]);
        assert_eq!(ready["data_dir"], "here");
        for url in ["api_url", "admin_url", "s3_url"] {
            let url = ready[url].as_str().expect("a URL");
            let port: u16 = url.strip_prefix("http://127.0.0.1:").expect("loopback").parse().expect("a port");
            assert_ne!(port, 0, "{url}");
            std::net::TcpStream::connect(("127.0.0.1", port)).expect("listens");
        }
        dev.signal(signal);
        let ended = dev.wait();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{ended:?}");
        for line in ended.stderr.lines() {
            let entry: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            for name in ["timestamp", "level", "message", "target"] {
                assert!(entry[name].is_string(), "{line} has no {name}");
            }
        }
        assert!(ended.stderr.contains(&format!("stopping on SIG{signal}")), "{ended:?}");
    }
}

#[test]
fn health_tells_by_its_exit_code() {
    let call = Call::new();
    let (dev, ready) = call.dev(&["--port", "0"]);
    let listen = ready["admin_url"].as_str().expect("a URL").strip_prefix("http://").expect("a host");
    let ask =
        |flags: &[&str]| call.run(&[&["health", "--set", &format!("admin.listen={listen}")], flags].concat());
    let ended = ask(&[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "ok\n"), "{ended:?}");
    let ended = ask(&["--ready"]);
    assert_eq!((ended.code, ended.stdout.lines().last()), (Some(0), Some("ready")), "{ended:?}");
    dev.signal("TERM");
    dev.wait();
    check_refused(&ask(&[]), 1, &format!("no answer at http://{listen}/livez"));
    check_refused(&call.run(&["health", "--set", "shards=0"]), 2, "shards must be");
}

#[test]
fn logs_are_for_people_when_asked() {
    let call = Call::new().env("WHARF_TELEMETRY__FORMAT", "text");
    let (dev, _) = call.dev(&["--port", "0"]);
    dev.signal("TERM");
    let ended = dev.wait();
    let says_so = |line: &str| line.ends_with(" INFO  stopping on SIGTERM signal=SIGTERM");
    assert!(ended.stderr.lines().any(says_so), "{ended:?}");
    assert!(!ended.stderr.contains('\u{1b}'), "no colours off a terminal: {ended:?}");
}

#[test]
fn the_dev_key_is_for_its_owner_and_survives() {
    let call = Call::new();
    let key = call.folder.path().join("wharf-data/dev-issuer.key");
    let (dev, _) = call.dev(&["--port", "0"]);
    let made = std::fs::read(&key).expect("a key");
    assert_eq!(made.len(), 32);
    assert_eq!(std::fs::metadata(&key).expect("a key").permissions().mode() & 0o777, 0o600);
    dev.signal("TERM");
    dev.wait();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    check_refused(&call.run(&["dev", "--port", "0"]), 1, "can be read by others (mode 644); chmod 600 it");
    check_refused(&call.run(&["token", "mint", "--sub", "me"]), 1, "can be read by others");
    assert_eq!(std::fs::read(&key).expect("a key"), made);
}

#[test]
fn what_is_in_the_way_of_dev_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let busy = format!("http.listen={address}");
    let others = ["--set", "admin.listen=127.0.0.1:0", "--set", "s3.listen=127.0.0.1:0"];
    let ended = Call::new().run(&[["dev", "--set", &busy].as_slice(), &others].concat());
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    let last = ended.stderr.lines().last().unwrap_or_default();
    let expected =
        format!("wharfinger: http.listen: cannot listen on {address}: another process listens there; ");
    assert!(last.starts_with(&expected), "{ended:?}");
    let elsewhere = ["dev", "--set", "http.listen=127.0.0.1:0", "--set", "data_dir=/proc/nothing"];
    check_refused(
        &Call::new().run(&[elsewhere.as_slice(), &others].concat()),
        1,
        "choose another with --data",
    );

    let call = Call::new().file("plain", "a file, not a folder");
    check_refused(
        &call.run(&["dev", "--port", "0", "--data", "plain"]),
        1,
        "cannot make the data folder plain",
    );
    check_refused(
        &Call::new().run(&["dev", "--set", "http.listen=0.0.0.0:0"]),
        2,
        "http.listen: dev listens on this machine only, not on 0.0.0.0:0 (flag --set)",
    );
}

/// The claims of a token, without looking at its signature.
fn claims(token: &str) -> Value {
    use base64::Engine;
    let body = token.trim().split('.').nth(1).expect("three parts");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(body).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}

#[test]
fn a_minted_token_says_what_was_asked() {
    let call = Call::new();
    let (_dev, ready) = call.dev(&["--port", "0"]);
    let user = claims(ready["token"].as_str().expect("a token"));
    assert_eq!((&user["sub"], &user["roles"]), (&"dev-user".into(), &serde_json::json!(["user"])));
    let admin = claims(ready["admin_token"].as_str().expect("a token"));
    assert_eq!(admin["roles"], serde_json::json!(["admin"]));

    let roles = ["--role", "user", "--role", "support"];
    let args = [["token", "mint", "--sub", "alice", "--ttl", "15m"].as_slice(), &roles].concat();
    let ended = call.run(&args);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let minted = claims(&ended.stdout);
    assert_eq!(minted["sub"], "alice");
    assert_eq!(minted["roles"], serde_json::json!(["user", "support"]));
    assert_eq!((&minted["iss"], &minted["aud"]), (&"wharfinger-dev".into(), &"wharfinger".into()));
    let seconds = |name: &str| minted[name].as_u64().expect("a number");
    assert_eq!(seconds("exp") - seconds("iat"), 900);
}

#[test]
fn a_user_is_shown_by_subject_and_by_id() {
    let call = Call::new();
    let (_dev, ready) = call.dev(&["--port", "0"]);
    let listen =
        format!("http.listen={}", ready["api_url"].as_str().expect("a URL").trim_start_matches("http://"));
    let show =
        |args: &[&str]| call.run(&[["users", "show", "--set", listen.as_str()].as_slice(), args].concat());
    let ended = show(&["--sub", "dev-user"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(
        ended.stdout.contains("account      none yet") && ended.stderr.contains("no account yet"),
        "{ended:?}"
    );
    let shown =
        ended.stdout.lines().find_map(|line| line.strip_prefix("user_id      ")).expect("an id").to_owned();

    let token = ready["token"].as_str().expect("a token");
    let body = r#"{"filename": "a.txt", "size_bytes": 13, "content_type": "text/plain"}"#;
    let answer = post(&listen["http.listen=".len()..], "/v1/files", token, body);
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    for who in [["--sub", "dev-user"], ["--user", "dev-user"], ["--user", shown.as_str()]] {
        let ended = show(&who);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        for line in [format!("user_id      {shown}"), "state        active".to_owned()] {
            assert!(ended.stdout.contains(&line), "{line}: {ended:?}");
        }
        assert!(
            ended.stdout.contains("open uploads 1\n") && ended.stdout.contains("  13 bytes"),
            "{ended:?}"
        );
    }
    let ended = show(&["--sub", "dev-user", "--issuer", "wharfinger-dev", "--json"]);
    let json: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(json["items"][0]["account"]["reserved_bytes"], 13);

    check_refused(&show(&["--sub", "dev-user", "--issuer", "nobody"]), 2, "There is no such issuer");
    check_refused(&show(&["--user", "0199a3c4-0000-7000-8000-000000000001"]), 4, "No such user");
    std::fs::write(call.folder.path().join("token"), token).expect("write");
    check_refused(&show(&["--sub", "dev-user", "--token-file", "token"]), 3, "This needs an admin");
    let nowhere = ["users", "show", "--sub", "dev-user", "--set", "http.listen=127.0.0.1:1"];
    check_refused(&call.run(&nowhere), 1, "is the service running");
}

/// A POST of JSON, and the whole answer.
fn post(address: &str, path: &str, token: &str, body: &str) -> String {
    use std::io::Write;
    let mut stream = std::net::TcpStream::connect(address).expect("a connection");
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn no_token_without_a_key_or_with_wrong_words() {
    let call = Call::new();
    let mint = |args: &[&str]| call.run(&[&["token", "mint", "--sub"], args].concat());
    check_refused(&mint(&["me"]), 1, "run `wharfinger dev` once");
    check_refused(&mint(&[""]), 2, "--sub must be");
    check_refused(&mint(&["me", "--role", "root"]), 2, "not one of: user, support, admin");
    check_refused(&mint(&["me", "--ttl", "15"]), 2, "write a number with s, m, h or d");
}

/// A curl that answers like the API and writes down how it was called.
const FAKE_CURL: &str = r#"#!/bin/sh
printf '%s\n' "curl $*" >> calls
case "$*" in
  *presign-upload*)
    printf '%s' '{"file_id":"f-1","upload_url":"http://s3/k?a=1&b=%2F","expires_in":900,"method":"PUT",'
    printf '%s' '"headers":{"content-length":"13","content-type":"text/plain","if-none-match":"*","x-amz-meta-f":"f-1"},'
    printf '%s\n' '"expires_at":"x","max_bytes":13}' ;;
  *hello.txt*) cat > headers ;;
  *complete*) printf '{}\n' ;;
  *download-url*) printf '%s\n' '{"download_url":"http://s3/k?c=2&d=3","expires_in":300}' ;;
  *) printf 'hello, wharf\n' ;;
esac
"#;

fn write_script(path: &Path, text: &str) {
    std::fs::write(path, text).expect("write");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("chmod");
}

/// Starts `dev` and cuts the commands out of the page that it prints.
fn printed_commands(call: &Call) -> (Running, String) {
    let mut dev = call.start(&["dev", "--port", "0"]);
    let mut page = String::new();
    while !page.contains("\nADMIN_TOKEN=") {
        assert_ne!(dev.stdout.read_line(&mut page).expect("a line"), 0, "{page}");
    }
    let (_, rest) = page.split_once("\nAPI=").expect("commands");
    let (commands, _) = rest.split_once("\nBoth tokens").expect("an end");
    (dev, format!("API={commands}"))
}

#[test]
fn the_printed_commands_send_exactly_what_was_signed() {
    let call = Call::new();
    let (_dev, commands) = printed_commands(&call);
    assert!(!commands.contains('#'), "a comment would run in zsh: {commands}");

    let folder = call.folder.path();
    write_script(&folder.join("curl"), FAKE_CURL);
    let mut sh = Command::new("sh");
    sh.args(["-eu", "-c", &commands]).current_dir(folder);
    sh.env("PATH", format!("{}:/usr/bin:/bin", folder.display()));
    let output = sh.output().expect("sh runs");
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(said.ends_with("hello, wharf\n"), "{said}");

    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect(name);
    assert_eq!(read("hello.txt").len(), 13, "the size that is signed");
    let headers = "content-length: 13\ncontent-type: text/plain\nif-none-match: *\nx-amz-meta-f: f-1\n";
    assert_eq!(read("headers"), headers);
    let calls = read("calls");
    assert!(calls.contains("\"size_bytes\": 13, "), "the size that is asked for: {calls}");
    assert!(calls.contains("-T hello.txt -H @- http://s3/k?a=1&b=%2F\n"), "{calls}");
    assert!(calls.contains("/v1/files/f-1/complete "), "{calls}");
    assert!(calls.ends_with("-gsS http://s3/k?c=2&d=3\n"), "{calls}");
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let call = Call::new();
    let mut printing =
        call.command(&["config", "print"]).stdout(Stdio::piped()).spawn().expect("the binary runs");
    drop(printing.stdout.take());
    assert_eq!(printing.wait().expect("ends").code(), Some(0));
}

#[test]
fn the_printed_commands_store_a_file_and_read_it_back() {
    let call = Call::new();
    let (dev, commands) = printed_commands(&call);
    for _ in 0..2 {
        let mut sh = Command::new("sh");
        let output =
            sh.args(["-eu", "-c", &commands]).current_dir(call.folder.path()).output().expect("sh runs");
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(said.ends_with("hello, wharf\n") && said.contains("\"status\":\"processed\""), "{said}");
    }
    dev.signal("TERM");
    let ended = dev.wait();
    let token = commands.lines().find_map(|line| line.strip_prefix("TOKEN=")).expect("a token");
    assert!(!ended.stderr.contains(token) && !ended.stderr.contains("X-Amz-Signature"), "{ended:?}");
}

/// The README's commands that send a file in chunks, for the API at a URL.
fn chunk_commands(api_url: &str) -> String {
    let (_, rest) = include_str!("../README.md").split_once("```sh\ndd if=").expect("commands");
    let (commands, _) = rest.split_once("```").expect("an end");
    format!("dd if={}", commands.replace("http://127.0.0.1:8080", api_url))
}

#[test]
fn commands_to_paste_stop_at_the_first_refusal_and_show_it() {
    let call = Call::new();
    let (_dev, commands) = printed_commands(&call);
    let value = |name: &str| {
        let line = commands.lines().find_map(|line| line.strip_prefix(name));
        line.expect("an assignment").to_owned()
    };
    let (api_url, token) = (value("API="), value("TOKEN="));
    let run = |commands: &str| {
        let mut sh = Command::new("sh");
        let output = sh.args(["-c", commands]).current_dir(call.folder.path()).output().expect("sh runs");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let chunks = chunk_commands(&api_url);
    for bad in [commands.replace(&token, "wrong"), format!("TOKEN=wrong\n{chunks}")] {
        let printed = run(&bad);
        assert!(printed.contains("\"code\":\"token_invalid\""), "{printed}");
        assert!(printed.lines().count() <= 3, "{printed}");
    }
    let stored = run(&format!("TOKEN={token}\n{chunks}"));
    assert!(stored.contains("\"status\":\"processed\""), "{stored}");
}

#[test]
fn a_second_dev_on_the_same_data_says_who_holds_it() {
    let call = Call::new();
    let (dev, _) = call.dev(&["--port", "0"]);
    let holder = format!("is in use by process {}", dev.child.id());
    check_refused(&call.run(&["dev", "--port", "0"]), 1, &holder);
    dev.signal("KILL");
    dev.wait();
    call.dev(&["--port", "0"]);
}

/// Starts `dev --json` so that a write which may not be made is an error to it, as on a full disk, and not its end.
fn dev_that_minds_no_limits(call: &Call) -> (Running, Value) {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" dev --json --port 0", env!("CARGO_BIN_EXE_wharfinger")]);
    command
        .current_dir(call.folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("sh runs");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    (Running { child, stdout }, serde_json::from_str(&line).expect("ready"))
}

// proves: F52
#[test]
fn a_disk_that_takes_no_more_ends_the_process_and_a_new_start_goes_on() {
    let call = Call::new();
    let (dev, ready) = dev_that_minds_no_limits(&call);
    let first = ask_for_an_upload(&ready);
    assert!(first.starts_with("HTTP/1.1 201"), "{first}");
    let pid = i32::try_from(dev.child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let nothing = rustix::process::Rlimit { current: Some(1), maximum: Some(1) };
    rustix::process::prlimit(pid, rustix::process::Resource::Fsize, nothing).expect("a limit");
    let refused = ask_for_an_upload(&ready);
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    let ended = dev.wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("wharfinger: the embedded store takes no more writes: "), "{ended:?}");
    assert!(last.ends_with("then start again"), "{ended:?}");
    let (_dev, ready) = call.dev(&["--port", "0"]);
    let next = ask_for_an_upload(&ready);
    assert!(next.starts_with("HTTP/1.1 201"), "{next}");
}

/// What the API at `api_url` answers to a request for an upload of this token's user.
fn ask_for_an_upload(ready: &Value) -> String {
    let address = ready["api_url"].as_str().and_then(|url| url.strip_prefix("http://")).expect("an address");
    let token = ready["token"].as_str().expect("a token");
    let body = r#"{"filename": "a.txt", "size_bytes": 5, "content_type": "text/plain"}"#;
    let request = format!(
        "POST /v1/files HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(WITHIN)).expect("a socket");
    std::io::Write::write_all(&mut stream, request.as_bytes()).expect("it takes requests");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn events_are_published_again_out_of_data_at_rest_and_not_beside_a_service() {
    let call = Call::new();
    let (dev, ready) = call.dev(&["--port", "0"]);
    let answer = ask_for_an_upload(&ready);
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let user =
        answer.split("/user/").nth(1).and_then(|rest| rest.split('/').next()).expect("a key in the URL");
    let republish = |more: &[&str]| {
        let data_dir = format!("data_dir={}", ready["data_dir"].as_str().expect("a folder"));
        let args = ["events", "republish", "--set", &data_dir, "--user", user, "--from", "1"];
        call.run(&[&args, more].concat())
    };
    check_refused(&republish(&[]), 1, "stop the service first");
    dev.signal("TERM");
    dev.wait();
    let counted = republish(&["--to", "1", "--dry-run"]);
    assert_eq!(counted.stdout, "would publish 1 event of 1 entry, versions 1 to 1\n", "{counted:?}");
    let published = republish(&["--to", "1"]);
    assert!(published.stdout.starts_with("published 1 event of 1 entry, versions 1 to 1"), "{published:?}");
    check_refused(&republish(&["--to", "0"]), 2, "--to");
    let by_sub = ["events", "republish", "--user", "dev-user", "--from", "1", "--to", "1", "--dry-run"];
    let by_sub = call.run(&by_sub);
    assert!(by_sub.stdout.starts_with("would publish "), "a sub is a user too: {by_sub:?}");
    let nowhere = ["events", "republish", "--set", "data_dir=none", "--user", user, "--from", "1"];
    check_refused(&call.run(&nowhere), 1, "there is no ledger in none");
}
