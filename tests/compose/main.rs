//! `compose.yml` and what it carries, checked without a container engine.
//!
//! `file` reads it, `shape` refuses what it does not know, `pins` looks at images, ports and health, `settings` at
//! what our own service is given, `metrics` at what Prometheus and Grafana name.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests stop at the first surprise, and say so")]

mod file;
mod shape;
mod pins;
mod settings;
mod metrics;
mod alerts;

/// Shows all findings at once.
fn expect_none(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}
