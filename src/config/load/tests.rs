//! What the layers make of files, variables and flags.

use std::path::Path;

use super::super::{BucketKind, Flag, LedgerKind, OrphanSetting, QueueKind, printed};
use super::*;

/// A file, variables and flags, in the words of a test.
#[derive(Default)]
struct Given<'a> {
    file: &'a str,
    env: &'a [(&'a str, &'a str)],
    flags: &'a [(&'a str, &'a str)],
}

impl Given<'_> {
    fn load_in(&self, folder: &Path) -> Result<Loaded, ConfigError> {
        let path = folder.join("wharfinger.toml");
        std::fs::write(&path, self.file).unwrap();
        let flag = |(key, value): &(&str, &str)| Flag {
            name: "--set".to_owned(),
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        load(&Sources {
            file: Some(path),
            env: self.env.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            flags: self.flags.iter().map(flag).collect(),
        })
    }

    fn good(&self) -> Loaded {
        let folder = tempfile::tempdir().unwrap();
        self.load_in(folder.path()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn refused(&self) -> String {
        let folder = tempfile::tempdir().unwrap();
        let error = self.load_in(folder.path()).expect_err("is refused");
        error.to_string().replace(&format!("{}/", folder.path().display()), "")
    }
}

fn check_file(file: &str, expected: &str) {
    assert_eq!(Given { file, ..Given::default() }.refused(), expected);
}

fn check_env(name: &str, value: &str, expected: &str) {
    assert_eq!(Given { env: &[(name, value)], ..Given::default() }.refused(), expected);
}

#[test]
fn nothing_said_is_the_default() {
    assert_eq!(load(&Sources::default()).unwrap().config, Config::default());
}

#[test]
fn later_layers_win_and_say_so() {
    let given = Given {
        file: "data_dir = 'a'\n\n[upload]\nmax_bytes = 1\nurl_ttl_secs = 10\n[http]\nconnections_max = 7",
        env: &[("WHARF_UPLOAD__MAX_BYTES", "2"), ("WHARF_UPLOAD__URL_TTL_SECS", "20"), ("HOME", "/x")],
        flags: &[("upload.url_ttl_secs", "30")],
    };
    let loaded = given.good();
    assert_eq!(loaded.config.data_dir, Path::new("a"));
    assert_eq!(loaded.config.http.connections_max, 7);
    assert_eq!(loaded.config.upload.max_bytes, 2);
    assert_eq!(loaded.config.upload.url_ttl_secs, 30);
    let origin = |key: &str| loaded.origins.of(key).to_string();
    assert!(origin("data_dir").ends_with("wharfinger.toml:1"));
    assert!(origin("http.connections_max").ends_with("wharfinger.toml:7"));
    assert_eq!(origin("upload.max_bytes"), "environment variable WHARF_UPLOAD__MAX_BYTES");
    assert_eq!(origin("upload.url_ttl_secs"), "flag --set");
    assert_eq!(origin("http.listen"), "default");
}

#[test]
fn text_in_a_variable_stays_text() {
    let given = Given {
        env: &[
            ("WHARF_DEPLOYMENT", "2026"),
            ("WHARF_UPLOAD__ALLOWED_TYPES", "image/*,text/plain"),
            ("WHARF_EVENTS__REDACT_NAMES", "true"),
            ("WHARF_AUTH__ISSUERS", "[{issuer='i',audience='a',algorithm='ES256',key_file='k'}]"),
        ],
        ..Given::default()
    };
    let config = given.good().config;
    assert_eq!(config.deployment, "2026");
    assert_eq!(config.upload.allowed_types, ["image/*", "text/plain"]);
    assert!(config.events.redact_names);
    assert_eq!(config.auth.issuers[0].roles_claim, "roles");
}

#[test]
fn an_unknown_key_names_the_nearest_and_its_origin() {
    check_file(
        "[http]\nlisen = '127.0.0.1:1'",
        "http.lisen: there is no such setting; did you mean http.listen? (wharfinger.toml:2)",
    );
    check_file(
        "listen = '127.0.0.1:1'",
        "listen: there is no such setting; did you mean admin.listen or http.listen or s3.listen? \
         (wharfinger.toml:1)",
    );
    check_file(
        "[htp]\nlisten = '127.0.0.1:1'",
        "htp.listen: there is no such setting; did you mean http.listen? (wharfinger.toml:2)",
    );
    check_env(
        "WHARF_QUOTA__DEFAULT_BYTE",
        "1",
        "quota.default_byte: there is no such setting; did you mean quota.default_bytes? \
         (environment variable WHARF_QUOTA__DEFAULT_BYTE)",
    );
    check_file(
        "[download]\ncolour = 1",
        "download.colour: there is no such setting; here are: url_ttl_secs (wharfinger.toml:2)",
    );
    check_file(
        "[[auth.issuers]]\nissuer='i'\naudience='a'\nalgorithm='ES256'\nkeyfile='k'",
        "auth.issuers.0.keyfile: there is no such setting; did you mean auth.issuers.0.key_file? \
         (wharfinger.toml:1)",
    );
}

#[test]
fn keys_of_a_backend_that_is_not_chosen_are_refused() {
    check_file(
        "[ledger]\nkind = 'embedded'\nnodes = ['10.0.0.1:9042']",
        "ledger.nodes: there is no such setting; did you mean ledger.scylla.nodes? (wharfinger.toml:3)",
    );
    check_file(
        "[queue]\nkind = 'embedded'\n[queue.sqs]\nurl = 'https://sqs'",
        "queue.sqs.url: there is no such setting; did you mean queue.url? (wharfinger.toml:4)",
    );
    check_file(
        "[queue]\nurl = 'https://sqs/1/wharf'",
        "queue.url: counts only with queue.kind = \"sqs\"; remove it, or choose that (wharfinger.toml:2)",
    );
    check_file(
        "[objects]\nkind = 'embedded'\npath_style = false",
        "objects.path_style: counts only with objects.kind = \"s3\"; remove it, or choose that (wharfinger.toml:3)",
    );
    check_env(
        "WHARF_SIGNER__SECRET_KEY_FILE",
        "",
        "signer.secret_key_file: counts only with signer.kind = \"s3\"; remove it, or choose that \
         (environment variable WHARF_SIGNER__SECRET_KEY_FILE)",
    );
    for section in ["ledger", "log", "queue", "objects", "signer"] {
        let file = format!("[{section}]\nkind = 'embedded'\nzzz = 1");
        assert!(Given { file: &file, ..Given::default() }.refused().contains("no such setting"), "{section}");
    }
}

#[test]
fn a_backend_that_is_not_there_lists_those_that_are() {
    check_file(
        "ledger.kind = 'embeded'",
        "ledger.kind: \"embeded\" is not one of: embedded, scylla (wharfinger.toml:1)",
    );
}

#[test]
fn a_wrong_type_says_key_value_and_origin() {
    check_env(
        "WHARF_UPLOAD__MAX_BYTES",
        "50 M",
        "upload.max_bytes: \"50 M\" is not a whole number without a sign (bytes, or a size like \"50MiB\") \
         (environment variable WHARF_UPLOAD__MAX_BYTES)",
    );
    check_file(
        "shards = 70000",
        "shards: 70000 is not a whole number without a sign, up to 65535 (wharfinger.toml:1)",
    );
    check_file(
        "upload.max_bytes = -1",
        "upload.max_bytes: -1 is not a whole number without a sign (bytes, or a size like \"50MiB\") (wharfinger.toml:1)",
    );
    check_file(
        "http.listen = 'localhost:8080'",
        "http.listen: \"localhost:8080\" is not an address like 127.0.0.1:8080 (numbers, not a name) \
         (wharfinger.toml:1)",
    );
    check_file(
        "events.redact_names = 'yes'",
        "events.redact_names: \"yes\" is not true or false (wharfinger.toml:1)",
    );
    check_file("http = 5", "http: 5 is not a section with settings of its own (wharfinger.toml:1)");
    check_file(
        "http.listen.port = 5",
        "http.listen.port: there is no such setting; http.listen has none below it (wharfinger.toml:1)",
    );
    check_file(
        "[[auth.issuers]]\nissuer='i'\naudience='a'\nalgorithm='HS512'\nkey_file='k'",
        "auth.issuers.0.algorithm: \"HS512\" is not one of: HS256, RS256, ES256, EdDSA (wharfinger.toml:1)",
    );
    check_file(
        "[[auth.issuers]]\nissuer='i'\naudience='a'\nalgorithm='ES256'",
        "auth.issuers.0: key_file is missing (wharfinger.toml:1)",
    );
}

#[test]
fn every_problem_is_listed_at_once() {
    let given = Given {
        file: "colour = 1\nshards = 'many'\n[upload]\nmaxbytes = 1",
        env: &[("WHARF_HTTP__LISTEN", "here"), ("WHARF___X", "1")],
        ..Given::default()
    };
    assert_eq!(given.refused().lines().count(), 1, "names of variables are read first");
    let given = Given { env: &[("WHARF_HTTP__LISTEN", "here")], ..given };
    assert_eq!(given.refused().lines().count(), 4, "{}", given.refused());
    let given = Given { file: "shards = 0\nquota.files_max = 0", ..Given::default() };
    assert_eq!(given.refused().lines().count(), 2, "{}", given.refused());
}

#[test]
fn a_check_says_who_said_the_value() {
    check_env(
        "WHARF_DOWNLOAD__URL_TTL_SECS",
        "43201",
        "download.url_ttl_secs: 43201 must be 1 to 43200 (environment variable WHARF_DOWNLOAD__URL_TTL_SECS)",
    );
}

#[test]
fn a_wrong_value_under_a_right_one_still_counts() {
    let given = Given { file: "shards = 'many'", env: &[("WHARF_SHARDS", "8")], ..Given::default() };
    assert_eq!(given.good().config.shards, 8, "the variable replaces the file's value");
}

#[test]
fn a_file_that_is_no_toml_names_the_line() {
    let refused = Given { file: "shards = 8\n[http\n", ..Given::default() }.refused();
    assert!(refused.starts_with("not TOML: ") && refused.ends_with("(wharfinger.toml:2)"), "{refused}");
    assert_eq!(refused.lines().count(), 1, "{refused}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let sources = Sources { file: Some("no/such.toml".into()), ..Sources::default() };
    let refused = load(&sources).expect_err("no file").to_string();
    let expected = "cannot read the settings file no/such.toml: there is no such file; \
                    the folder examples has some to start from (flag --config)";
    assert_eq!(refused, expected);
}

#[test]
fn secrets_do_not_stand_in_messages() {
    let refused = Given { file: "deployment.secret = 'hunter2'", ..Given::default() }.refused();
    assert!(!refused.contains("hunter2"), "{refused}");
    let refused = Given { file: "http.listen = 'https://me:hunter2@x'", ..Given::default() }.refused();
    assert!(!refused.contains("hunter2"), "{refused}");
}

#[test]
fn what_is_printed_reads_back_the_same() {
    let loaded = Given {
        file: "shards = 8\n[upload]\nallowed_types = ['image/*']\n\
               [[auth.issuers]]\nissuer='i'\naudience='a'\nalgorithm='ES256'\nkey_file='k'",
        env: &[("WHARF_LEDGER__KIND", "embedded")],
        ..Given::default()
    }
    .good();
    assert_eq!(loaded.config.ledger.kind, LedgerKind::Embedded);
    let lines = printed(&loaded);
    assert!(lines.iter().any(|line| line.starts_with("shards = 8 ") && line.ends_with("wharfinger.toml:1")));
    assert!(lines.iter().any(|line| line.ends_with("# environment variable WHARF_LEDGER__KIND")));
    assert!(lines.iter().any(|line| line.starts_with("http.listen = ") && line.ends_with("# default")));
    let again = Given { file: &lines.join("\n"), ..Given::default() }.good();
    assert_eq!(again.config, loaded.config);
}

#[test]
fn a_real_queue_and_bucket_are_read_and_printed() {
    let file = "single_node = true\n[queue]\nkind = 'sqs'\nname = 'wharf'\nvisibility_secs = 90\n\
                [objects]\nkind = 's3'\nbucket = 'files'\nendpoint = 'http://127.0.0.1:7070'\npath_style = true\n\
                access_key_id = 'AKID'\nsecret_key_file = 'secret'\n[signer]\nkind = 's3'";
    let loaded = Given {
        file,
        env: &[("WHARF_QUEUE__ACCESS_KEY_ID", "0123"), ("WHARF_QUEUE__SECRET_KEY_FILE", "s")],
        ..Given::default()
    }
    .good();
    assert_eq!((loaded.config.queue.kind, loaded.config.objects.kind), (QueueKind::Sqs, BucketKind::S3));
    assert_eq!(loaded.config.queue.access_key_id, "0123", "digits are text here");
    let again = Given { file: &printed(&loaded).join("\n"), ..Given::default() }.good();
    assert_eq!(again.config, loaded.config);
}

#[test]
fn sweeps_are_bounded_and_orphans_have_three_words() {
    check_file("sweep.trash_days = 0", "sweep.trash_days: 0 must be 1 to 3650 (wharfinger.toml:1)");
    check_file(
        "[sweep]\naccounts_per_sec = 2000000",
        "sweep.accounts_per_sec: 2000000 must be 1 to 1000000 (wharfinger.toml:2)",
    );
    let refused = Given { file: "sweep.orphans = 'delete'", ..Given::default() }.refused();
    assert!(refused.contains("remove"), "{refused}");
    let good = Given { file: "sweep.orphans = 'remove'", ..Given::default() }.good();
    assert_eq!(good.config.sweep.orphans, OrphanSetting::Remove);
}

#[test]
fn numbers_take_units_from_every_source() {
    let given = Given {
        file: "upload.max_bytes = '50MiB'\nquota.default_bytes = '2 GB'\nsweep.trash_days = 7",
        env: &[("WHARF_UPLOAD__URL_TTL_SECS", "15m")],
        flags: &[("sweep.deep_every_secs", "'6h'")],
    };
    let config = given.good().config;
    assert_eq!((config.upload.max_bytes, config.quota.default_bytes), (50 << 20, 2_000_000_000));
    assert_eq!((config.upload.url_ttl_secs, config.sweep.deep_every_secs), (900, 21_600));
    check_file(
        "upload.url_ttl_secs = '50MiB'",
        "upload.url_ttl_secs: \"50MiB\" is not a whole number without a sign (seconds, or a span like \"15m\") \
         (wharfinger.toml:1)",
    );
    check_file(
        "upload.max_bytes = '6GiB'",
        "upload.max_bytes: \"6GiB\" must be 1 to 5368709120 (wharfinger.toml:1)",
    );
}

#[test]
fn a_flag_takes_a_quoted_text_as_toml_does() {
    let given =
        Given { flags: &[("deployment", "\"eu\""), ("ledger.kind", "'embedded'")], ..Given::default() };
    assert_eq!(given.good().config.deployment, "eu");
}

#[test]
fn variables_that_kubernetes_sets_for_a_service_are_ignored() {
    let given = Given {
        env: &[
            ("WHARF_SERVICE_HOST", "10.96.0.7"),
            ("WHARF_SERVICE_PORT", "8080"),
            ("WHARF_PORT", "tcp://10.96.0.7:8080"),
            ("WHARF_PORT_8080_TCP_ADDR", "10.96.0.7"),
            ("WHARF_SHARDS", "8"),
        ],
        ..Given::default()
    };
    let loaded = given.good();
    assert_eq!(loaded.config.shards, 8);
    let line = super::super::ignored_line(&loaded.ignored).unwrap();
    assert!(
        line.contains("WHARF_SERVICE_HOST")
            && !line.contains("WHARF_SHARDS")
            && line.contains("enableServiceLinks"),
        "{line}"
    );
    check_env(
        "WHARF_SERVICE__HOST",
        "x",
        "service.host: there is no such setting; there are: data_dir, deployment, shards, single_node, http, admin, \
         auth, quota, upload, download, events, sweep, s3, ledger, log, queue, objects, signer, telemetry \
         (environment variable WHARF_SERVICE__HOST)",
    );
}

#[test]
fn a_flag_that_silently_replaces_a_setting_is_refused() {
    let refused = |env: &[(&str, &str)], flags: &[(&str, &str)]| {
        let flag = |(name, value): &(&str, &str)| Flag {
            name: (*name).to_owned(),
            key: "s3.listen".to_owned(),
            value: (*value).to_owned(),
        };
        let sources = Sources {
            file: None,
            env: env.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            flags: flags.iter().map(flag).collect(),
        };
        load(&sources).err().map(|error| error.to_string())
    };
    let variable = [("WHARF_S3__LISTEN", "127.0.0.1:1")];
    let expected = "s3.listen: \"127.0.0.1:1\" has no effect, because the flag --port says \"127.0.0.1:2\" and wins; \
                    remove one of the two (environment variable WHARF_S3__LISTEN)";
    assert_eq!(refused(&variable, &[("--port", "127.0.0.1:2")]).as_deref(), Some(expected));
    assert_eq!(refused(&variable, &[("--port", "127.0.0.1:1")]), None, "both say the same");
    assert_eq!(refused(&variable, &[("--set", "127.0.0.1:2")]), None, "the flag names the setting");
    let twice = refused(&[], &[("--set", "127.0.0.1:1"), ("--port", "127.0.0.1:2")]).unwrap();
    assert!(twice.contains("the flag --port says") && twice.ends_with("(flag --set)"), "{twice}");
}

#[test]
fn settings_of_the_embedded_endpoint_count_only_beside_it() {
    check_file(
        "single_node = true\nobjects.kind = 's3'\nsigner.kind = 's3'\ns3.listen = '127.0.0.1:1'",
        "s3.listen: counts only with objects.kind = \"embedded\"; remove it, or choose that (wharfinger.toml:4)",
    );
    check_file(
        "single_node = true\n[log]\nkind = 'nats'\n[log.nats]\nmanage_streams = 'off'\nreplicas = 3",
        "log.nats.replicas: counts only with log.nats.manage_streams = \"create\" or \"check\"; remove it, or choose \
         that (wharfinger.toml:6)",
    );
}

#[test]
fn every_setting_is_printed_with_its_meaning() {
    let loaded = Given { file: "upload.max_bytes = '1MiB'", ..Given::default() }.good();
    let lines = printed(&loaded);
    let defaults = Value::serialize(Config::default()).unwrap();
    for key in keys(&defaults) {
        let is_it = |line: &String| {
            let line = line.trim_start_matches("# ");
            line.starts_with(&format!("{key} = ")) || line == format!("{key} is not set")
        };
        let at = lines.iter().position(is_it).unwrap_or_else(|| panic!("{key} is not printed"));
        assert!(at > 0 && lines[at - 1].starts_with("# "), "{key} has no meaning");
    }
    let text = lines.join("\n");
    for expected in [
        "# Bytes of one file",
        "# In bytes, or a size like \"50MiB\".\n# Default: 52428800 (50 MiB).\nupload.max_bytes = 1048576 ",
        "# Default: 900 (15 min).\nupload.url_ttl_secs = 900 ",
        "#   \"scylla\": ScyllaDB or Apache Cassandra.\nledger.kind = \"embedded\" ",
        "# log.nats.replicas = 1 ",
        "counts only with log.kind = \"nats\"",
        "#   audience: ",
    ] {
        assert!(text.contains(expected), "{expected:?} in:\n{text}");
    }
}

#[test]
fn a_wrong_value_is_quoted_as_it_was_written() {
    check_file(
        "[upload]\nmax_bytes = 0x1_4000_0001",
        "upload.max_bytes: 0x1_4000_0001 must be 1 to 5368709120 (wharfinger.toml:2)",
    );
    check_file(
        "shards = 70_000",
        "shards: 70_000 is not a whole number without a sign, up to 65535 (wharfinger.toml:1)",
    );
    check_file("shards = 1_025", "shards: 1_025 cannot be: shards must be 1 to 1024 (wharfinger.toml:1)");
    check_env(
        "WHARF_SWEEP__TRASH_DAYS",
        "5000d",
        "sweep.trash_days: \"5000d\" must be 1 to 3650 (environment variable WHARF_SWEEP__TRASH_DAYS)",
    );
    check_env(
        "WHARF_SWEEP__TRASH_DAYS",
        "5_000",
        "sweep.trash_days: 5_000 must be 1 to 3650 (environment variable WHARF_SWEEP__TRASH_DAYS)",
    );
    let twice =
        Given { flags: &[("upload.max_bytes", "1MiB"), ("upload.max_bytes", "2_000")], ..Given::default() };
    assert_eq!(
        twice.refused(),
        "upload.max_bytes: \"1MiB\" has no effect, because the flag --set says 2_000 and wins; remove one of the two \
         (flag --set)"
    );
}

#[test]
fn a_key_that_a_file_has_twice_is_named_with_both_places() {
    check_file(
        "shards = 8\n[http]\nlisten = '127.0.0.1:1'\nlisten = '127.0.0.1:2'",
        "not TOML: http.listen is there twice, first in line 3; remove one of the two (wharfinger.toml:4)",
    );
    check_file(
        "[http]\n[s3]\n[http]",
        "not TOML: http is there twice, first in line 1; remove one of the two (wharfinger.toml:3)",
    );
    check_file(
        "http.listen = '127.0.0.1:1'\nhttp.listen = '127.0.0.1:2'",
        "not TOML: http.listen is there twice, first in line 1; remove one of the two (wharfinger.toml:2)",
    );
}

#[test]
fn a_flag_that_replaces_what_a_file_says_names_both() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.toml");
    std::fs::write(&file, "data_dir = 'one'").unwrap();
    let flag =
        |name: &str| Flag { name: name.to_owned(), key: "data_dir".to_owned(), value: "two".to_owned() };
    let load = |flag| load(&Sources { file: Some(file.clone()), env: Vec::new(), flags: vec![flag] });
    let refused = load(flag("--data")).expect_err("the file's folder has no effect").to_string();
    let expected = "data_dir: \"one\" has no effect, because the flag --data says \"two\" and wins; remove one of the two, \
                    or say --set data_dir=VALUE, which replaces what a file says (";
    assert!(refused.starts_with(expected), "{refused}");
    assert_eq!(load(flag("--set")).unwrap().config.data_dir, std::path::Path::new("two"));
}
