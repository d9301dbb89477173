//! Our own service is given settings that it knows, and that can be together.

use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::Value;
use wharfinger::config::{BucketKind, Config, LedgerKind, LogKind, QueueKind, Sources, load};

use crate::file::{compose, mounted, root, services};

/// Where the image looks for its settings.
const SETTINGS: &str = "/etc/wharfinger/wharfinger.toml";
/// What our variables begin with.
const PREFIX: &str = "WHARF_";

fn is_ours(service: &Value) -> bool {
    service["image"].as_str().is_some_and(|image| image.starts_with("wharfinger:"))
}

/// The settings of a service of ours: its mounted file and its variables, read as the binary reads them.
fn settings(service: &Value) -> Result<Config, String> {
    let mut files = mounted(service).filter(|(_, to)| *to == SETTINGS).map(|(from, _)| root().join(from));
    let file: PathBuf = files.next().ok_or("no settings file is mounted")?;
    let env = service["environment"].as_object().into_iter().flatten();
    let env = env.map(|(name, value)| (OsString::from(name), OsString::from(value.as_str().expect("text"))));
    let sources = Sources { file: Some(file), env: env.collect(), flags: Vec::new() };
    load(&sources).map(|loaded| loaded.config).map_err(|error| error.to_string())
}

fn of(name: &str) -> Config {
    settings(&compose()["services"][name]).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_setting_is_one_that_config_print_knows() {
    let compose = compose();
    let mut seen = 0;
    for (name, service) in services(&compose).filter(|(_, service)| is_ours(service)) {
        settings(service).unwrap_or_else(|error| panic!("{name}: {error}"));
        seen += 1;
    }
    assert_eq!(seen, 4, "setup and service, twice");
}

#[test]
fn a_setting_that_nobody_knows_is_found() {
    let mut compose = compose();
    let service = &mut compose["services"]["wharfinger"];
    service["environment"]["WHARF_LEGDER__KIND"] = "scylla".into();
    let said = settings(service).unwrap_err();
    assert!(said.contains("did you mean ledger"), "{said}");
    assert!(settings(&Value::Null).is_err(), "a service without a file");
}

#[test]
fn each_profile_chooses_its_backends() {
    let (aws, full) = (of("wharfinger"), of("wharfinger-full"));
    assert_eq!((aws.ledger.kind, full.ledger.kind), (LedgerKind::Embedded, LedgerKind::Scylla));
    assert_eq!(full.ledger.scylla.nodes, ["scylla:9042"]);
    for config in [&aws, &full, &of("setup"), &of("setup-full")] {
        let kinds = (config.log.kind, config.queue.kind, config.objects.kind);
        assert_eq!(kinds, (LogKind::Nats, QueueKind::Sqs, BucketKind::S3));
    }
}

/// Hosts in settings of our services are services; ports that clients get are published.
#[test]
fn what_settings_name_is_there() {
    let compose = compose();
    let config = of("wharfinger-full");
    let inside = [&config.objects.endpoint, &config.queue.endpoint, &config.log.nats.urls[0]];
    let inside = inside.into_iter().chain(&config.ledger.scylla.nodes);
    for url in inside {
        let authority = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let (host, port) = authority.split_once(':').expect("host:port");
        let service = &compose["services"][host];
        let is_port =
            |published: &Value| published.as_str().is_some_and(|p| p.ends_with(&format!(":{port}")));
        assert!(
            service["ports"].as_array().is_some_and(|ports| ports.iter().any(is_port)),
            "{url}: no such service"
        );
    }
    let published: Vec<_> = ["wharfinger-full", "floci"]
        .iter()
        .flat_map(|name| compose["services"][name]["ports"].as_array().expect("ports"))
        .filter_map(|port| port.as_str()?.rsplit_once(':').map(|(outside, _)| format!("http://{outside}")))
        .collect();
    for url in [&config.http.public_url, &config.objects.public_endpoint] {
        assert!(published.contains(url), "{url} is not among {published:?}");
    }
}

/// Files that settings name inside the container come from somewhere: a config, or the volume of the data.
#[test]
fn files_that_settings_name_are_mounted() {
    let compose = compose();
    for (name, service) in services(&compose).filter(|(_, service)| is_ours(service)) {
        let config = settings(service).expect("good");
        let named = [config.log.nats.password_file.expect("a file"), config.auth.issuers[0].key_file.clone()];
        let configs = service["configs"].as_array().into_iter().flatten();
        let configs = configs.filter_map(|config| config["target"].as_str().map(PathBuf::from));
        let places: Vec<_> = configs.chain([config.data_dir.clone()]).collect();
        for file in named {
            assert!(
                places.iter().any(|place| file.starts_with(place)),
                "{name}: {} comes from nowhere",
                file.display()
            );
        }
        let volumes = service["volumes"].as_array().expect("volumes");
        let data = config.data_dir.to_str().expect("UTF-8");
        assert!(
            volumes.iter().any(|volume| volume.as_str().is_some_and(|v| v.ends_with(data))),
            "{name}: no data"
        );
    }
}

/// The servers' own variables are those that their files read: a password that is not given stops nats-server.
#[test]
fn passwords_of_nats_are_given_and_agree() {
    let compose = compose();
    let given = &compose["services"]["nats"]["environment"];
    let accounts = crate::file::text("nats/accounts.conf");
    for (at, _) in accounts.match_indices("password: $") {
        let name: String =
            accounts[at + "password: $".len()..].chars().take_while(|c| !c.is_whitespace()).collect();
        // A name with our prefix would stop `serve` in the same shell: it takes it for a setting that it does not know.
        assert!(!name.starts_with(PREFIX) && given[&name].is_string(), "{name} is ours, or not given");
    }
    assert_eq!(given["NATS_WORKER_PASSWORD"], compose["configs"]["nats-worker-password"]["content"]);
    let config = of("wharfinger");
    assert!(accounts.contains(&format!("user: {}\n", config.log.nats.user)));
    assert!(accounts.contains(&format!("\"{}.>\"", config.log.nats.inbox_prefix)));
}
