//! Every alert has a case in which it fires and one in which it does not, and Prometheus' own tool runs them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::file::{parse, root, text, tool};

const RULES: &str = "deploy/prometheus/rules.yml";
const CASES: &str = "deploy/prometheus/rules_test.yml";

/// The alerts that these cases expect to fire, or to be silent.
fn expected(cases: &Value, is_firing: bool) -> BTreeSet<String> {
    let tests = cases["tests"].as_array().expect("tests").iter();
    let checks = tests.flat_map(|test| test["alert_rule_test"].as_array().expect("alert_rule_test"));
    let of_kind = checks
        .filter(|check| check["exp_alerts"].as_array().is_some_and(|alerts| alerts.is_empty() != is_firing));
    of_kind.map(|check| check["alertname"].as_str().expect("alertname").to_owned()).collect()
}

#[test]
fn every_alert_has_a_firing_and_a_silent_case() {
    let rules = parse(&text(RULES));
    let rules =
        rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap());
    let alerts: BTreeSet<String> = rules.map(|rule| rule["alert"].as_str().unwrap().to_owned()).collect();
    let cases = parse(&text(CASES));
    assert_eq!(expected(&cases, true), alerts, "alerts with a firing case");
    assert_eq!(expected(&cases, false), alerts, "alerts with a silent case");
}

/// Whether the cases pass, with the rules changed.
fn passes(promtool: &Path, change: impl Fn(&str) -> String) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yml"), change(&text(RULES))).unwrap();
    std::fs::copy(root().join(CASES), folder.path().join("rules_test.yml")).unwrap();
    let mut command = Command::new(promtool);
    let ended =
        command.args(["test", "rules", "rules_test.yml"]).current_dir(folder.path()).output().unwrap();
    let output =
        [ended.stdout, ended.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (ended.status.success(), output)
}

#[test]
fn alerts_fire_when_they_should_and_only_then() {
    let Some(promtool) = tool("promtool", "promtool") else { return };
    let (is_ok, output) = passes(&promtool, str::to_owned);
    assert!(is_ok, "{output}");
    // An alert on a series that nobody exports, and one that always fires, are both noticed.
    for (right, wrong) in [
        ("wharf_desk_invariants_broken_total[1h]", "wharf_desk_invariants_broke_total[1h]"),
        ("wharf_queue_dead > 0", "wharf_queue_dead >= 0"),
    ] {
        assert!(text(RULES).contains(right), "{right}");
        assert!(!passes(&promtool, |rules| rules.replace(right, wrong)).0, "{wrong} was not noticed");
    }
}
