//! The file has the shape that compose files have: by the keys we use, and by the reference loader where it is.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::expect_none;
use crate::file::{compose, tool};

/// Keys of the file.
const TOP: &[&str] = &["name", "services", "configs", "volumes"];
/// Keys of a service that are used here; compose knows more.
const SERVICE: &[&str] = &[
    "build",
    "cap_drop",
    "command",
    "configs",
    "depends_on",
    "entrypoint",
    "environment",
    "healthcheck",
    "image",
    "networks",
    "ports",
    "profiles",
    "restart",
    "security_opt",
    "stop_grace_period",
    "volumes",
];
/// Parts of a service that have keys of their own.
const PARTS: &[(&str, &[&str])] = &[
    ("build", &["context", "dockerfile"]),
    ("healthcheck", &["test", "interval", "timeout", "retries", "start_period"]),
];
/// Keys below each `depends_on`, each of `configs`.
const DEPENDENCY: &[&str] = &["condition"];
const CONFIG: &[&str] = &["content"];
/// What a dependency can be waited for.
const CONDITIONS: [&str; 3] = ["service_started", "service_healthy", "service_completed_successfully"];

fn findings(compose: &Value) -> Vec<String> {
    let mut findings = Vec::new();
    unknown("the file", compose, TOP, &mut findings);
    for (name, config) in entries(&compose["configs"]) {
        unknown(&format!("configs.{name}"), config, CONFIG, &mut findings);
    }
    for (name, service) in entries(&compose["services"]) {
        unknown(name, service, SERVICE, &mut findings);
        for (part, keys) in PARTS {
            unknown(&format!("{name}.{part}"), &service[part], keys, &mut findings);
        }
        for (other, dependency) in entries(&service["depends_on"]) {
            unknown(&format!("{name}.depends_on.{other}"), dependency, DEPENDENCY, &mut findings);
            let condition = dependency["condition"].as_str().unwrap_or_default();
            if !CONDITIONS.contains(&condition) || compose["services"][other].is_null() {
                findings.push(format!("{name} waits for {other:?} to be {condition:?}"));
            }
        }
        for config in service["configs"].as_array().into_iter().flatten() {
            let source = config["source"].as_str().unwrap_or_default();
            if compose["configs"][source].is_null() {
                findings.push(format!("{name}: there is no config {source:?}"));
            }
        }
    }
    findings
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn unknown(place: &str, value: &Value, known: &[&str], findings: &mut Vec<String>) {
    let is_unknown = |key: &&String| !known.contains(&key.as_str()) && !key.starts_with("x-");
    findings.extend(entries(value).map(|(key, _)| key).filter(is_unknown).map(|key| {
        format!(
            "{place}: unknown key {key:?}; if compose has it, add it to the table in tests/compose/shape.rs"
        )
    }));
}

#[test]
fn every_key_is_known() {
    expect_none(&findings(&compose()));
}

#[test]
fn a_key_that_nobody_knows_is_found() {
    let check = |change: fn(&mut Value), expected: &str| {
        let mut compose = compose();
        change(&mut compose);
        let found = findings(&compose).join("\n");
        assert!(found.contains(expected), "{found:?} does not say {expected:?}");
    };
    check(|c| c["service"] = Value::Null, "unknown key \"service\"");
    check(|c| c["services"]["nats"]["port"] = "1".into(), "nats: unknown key \"port\"");
    check(|c| c["services"]["nats"]["healthcheck"]["tests"] = "1".into(), "nats.healthcheck: unknown key");
    check(
        |c| c["services"]["grafana"]["depends_on"]["prometheus"]["condition"] = "up".into(),
        "grafana waits for \"prometheus\" to be \"up\"",
    );
    check(
        |c| c["services"]["setup"]["depends_on"]["sqs"]["condition"] = "x".into(),
        "setup waits for \"sqs\"",
    );
    check(|c| c["configs"] = Value::Null, "there is no config \"nats-worker-password\"");
}

/// The loader that compose itself uses, with the schema of compose files inside.
fn loader() -> Option<PathBuf> {
    tool("compose-spec", "compose")
}

/// The loader's complaint about this text of a compose file, if any.
fn refused(loader: &PathBuf, text: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("compose.yml"), text).unwrap();
    let mut command = Command::new(loader);
    let ended =
        command.args(["--format", "json", "compose.yml"]).current_dir(folder.path()).output().unwrap();
    let said =
        [ended.stdout, ended.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (!ended.status.success()).then_some(said)
}

#[test]
fn the_reference_loader_accepts_it_and_refuses_what_is_wrong() {
    let Some(loader) = loader() else { return };
    let text = crate::file::text("compose.yml");
    assert_eq!(refused(&loader, &text), None);
    for (right, wrong) in [
        ("    profiles: [obs]", "    profile: [obs]"),
        ("    restart: unless-stopped", "    restart: [always]"),
        ("127.0.0.1:4566:4566", "127.0.0.1:4566:high"),
        ("condition: service_healthy", "condition: service_is_healthy"),
    ] {
        assert!(text.contains(right), "{right}");
        assert!(refused(&loader, &text.replacen(right, wrong, 1)).is_some(), "{wrong} was accepted");
    }
}
