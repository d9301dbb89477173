//! Names of metrics tell their unit.

use std::collections::BTreeSet;

use wharfinger::telemetry::names::{self, Kind, Metric};

use crate::expect_none;

/// Gauges that count things; all others end in a unit.
const COUNTS: [&str; 16] = [
    "wharf_bucket_connections",
    "wharf_bucket_requests_in_flight",
    "wharf_desks",
    "wharf_files",
    "wharf_http_connections",
    "wharf_http_event_streams",
    "wharf_http_requests_in_flight",
    "wharf_nats_publishes_in_flight",
    "wharf_queue_dead",
    "wharf_queue_in_flight",
    "wharf_queue_waiting",
    "wharf_sweep_drifted_accounts",
    "wharf_sweep_missing_objects",
    "wharf_sweep_orphan_objects",
    "wharf_sweep_unreadable_accounts",
    "wharf_users",
];

fn findings(metrics: &[Metric]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    for Metric { name, kind, help, .. } in metrics {
        let ends_in = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        let has_unit = match kind {
            Kind::Counter => ends_in(&["_total"]),
            Kind::Histogram => ends_in(&["_seconds", "_bytes"]) || name.contains("_per_"),
            Kind::Gauge => ends_in(&["_seconds", "_bytes", "_info", "_ratio"]) || COUNTS.contains(name),
        };
        let is_name =
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        let checks = [
            (has_unit, "must end in its unit (a gauge that counts things is listed in COUNTS)"),
            (is_name && name.starts_with("wharf_"), "must be wharf_ and lower case"),
            (seen.insert(*name), "is there twice"),
            (help.ends_with('.') && help.len() > 10, "needs a sentence for an operator"),
        ];
        findings.extend(checks.iter().filter(|(holds, _)| !holds).map(|(_, text)| format!("{name} {text}")));
    }
    findings
}

#[test]
fn every_metric_tells_its_unit() {
    expect_none(&findings(names::ALL));
}

#[test]
fn a_bad_name_is_found() {
    let check = |name: &'static str, kind: Kind, expected: usize| {
        let metric = Metric { name, kind, labels: &[], help: "What it tells." };
        assert_eq!(findings(&[metric]).len(), expected, "{name}");
    };
    check("wharf_commits_total", Kind::Counter, 0);
    check("wharf_commits", Kind::Counter, 1);
    check("wharf_commit_seconds", Kind::Histogram, 0);
    check("wharf_commit_ms", Kind::Histogram, 1);
    check("wharf_ops_per_commit", Kind::Histogram, 0);
    check("wharf_things", Kind::Gauge, 1);
    check("wharf_http_connections", Kind::Gauge, 0);
    check("commits_total", Kind::Counter, 1);
    check("wharf_Commits_total", Kind::Counter, 1);
    let metric = Metric { name: "wharf_x_total", kind: Kind::Counter, labels: &[], help: "" };
    assert_eq!(findings(&[metric]).len(), 1);
    let metric = Metric { help: "What it tells.", ..metric };
    assert_eq!(findings(&[metric, metric]).len(), 1, "twice");
}
