//! Dashboards and alert rules name metrics that exist, by the series that Prometheus makes of them.

use serde_json::Value;
use wharfinger::telemetry::names::{self, Kind};

use crate::expect_none;
use crate::file::{below, parse, root, text};

/// What our metrics begin with.
const PREFIX: &str = "wharf_";
/// What Prometheus appends to the name of a histogram.
const SERIES: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Every name in a text that looks like a metric of ours.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(move |c| !is_part(c)).filter(|word| word.starts_with(PREFIX))
}

/// Whether a query may name it: counters and gauges as they are, histograms by one of their series.
fn exists(name: &str) -> bool {
    names::ALL.iter().any(|metric| match metric.kind {
        Kind::Counter | Kind::Gauge => metric.name == name,
        Kind::Histogram => SERIES.iter().any(|series| name.strip_suffix(series) == Some(metric.name)),
    })
}

fn queries_of_rules() -> Vec<String> {
    let rules = parse(&text("deploy/prometheus/rules.yml"));
    let groups = rules["groups"].as_array().expect("groups").iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().expect("rules"));
    rules.map(|rule| rule["expr"].as_str().expect("a query").to_owned()).collect()
}

fn dashboards() -> Vec<Value> {
    let files = below("deploy/grafana/dashboards");
    files.iter().map(|file| serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()).collect()
}

fn queries_of_dashboards() -> Vec<String> {
    let dashboards = dashboards();
    let panels = dashboards.iter().flat_map(|dashboard| dashboard["panels"].as_array().expect("panels"));
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("targets"));
    targets.map(|target| target["expr"].as_str().expect("a query").to_owned()).collect()
}

fn unknown(queries: &[String]) -> Vec<String> {
    let all = queries.iter().flat_map(|query| named(query));
    all.filter(|name| !exists(name)).map(|name| format!("there is no metric {name}")).collect()
}

#[test]
fn every_metric_that_is_asked_for_exists() {
    let queries = [queries_of_rules(), queries_of_dashboards()].concat();
    assert!(queries.len() > 30, "{}", queries.len());
    expect_none(&unknown(&queries));
    let is_ours = |query: &&String| named(query).next().is_some() || query.contains("up{job=\"wharfinger\"}");
    assert_eq!(queries.iter().filter(is_ours).count(), queries.len(), "a query without a metric of ours");
}

#[test]
fn a_metric_that_does_not_exist_is_found() {
    for (name, expected) in [
        ("wharf_http_requests_total", true),
        ("wharf_http_request_seconds_bucket", true),
        ("wharf_http_request_seconds", false),
        ("wharf_http_requests_total_bucket", false),
        ("wharf_http_request_total", false),
    ] {
        assert_eq!(exists(name), expected, "{name}");
    }
    let query = "sum(rate(wharf_desk_comits_total[5m])) > wharf_http_connections".to_owned();
    assert_eq!(unknown(&[query]), ["there is no metric wharf_desk_comits_total"]);
}

/// Every alert tells how bad it is and what is the matter, once.
#[test]
fn alerts_are_told_apart_and_explained() {
    let rules = parse(&text("deploy/prometheus/rules.yml"));
    let mut seen = std::collections::BTreeSet::new();
    for rule in
        rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap())
    {
        let name = rule["alert"].as_str().expect("a name");
        assert!(seen.insert(name), "{name} is there twice");
        assert!(["page", "ticket"].map(Value::from).contains(&rule["labels"]["severity"]), "{name}");
        assert!(rule["annotations"]["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{name}");
    }
}

/// What dashboards draw from is provisioned, and Prometheus asks a service that exists.
#[test]
fn sources_and_targets_are_provisioned() {
    let mut sources = Vec::new();
    for file in below("deploy/grafana/provisioning/datasources") {
        let parsed = parse(&std::fs::read_to_string(&file).unwrap());
        sources.extend(parsed["datasources"].as_array().unwrap().iter().map(|source| source["uid"].clone()));
    }
    for dashboard in dashboards() {
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(sources.contains(&panel["datasource"]["uid"]), "{}", panel["title"]);
        }
    }
    let prometheus = parse(&text("deploy/prometheus/prometheus.yml"));
    assert_eq!(prometheus["scrape_configs"][0]["job_name"], "wharfinger");
    assert_eq!(prometheus["scrape_configs"][0]["static_configs"][0]["targets"][0], "wharfinger:9090");
    for file in prometheus["rule_files"].as_array().unwrap() {
        let path = root().join("deploy/prometheus").join(file.as_str().unwrap());
        assert!(path.exists(), "{}", path.display());
    }
}
