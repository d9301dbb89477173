//! The rules that a program can keep, kept by a program. Every check is tried on bad samples first.

mod source;
mod masked;
mod arrows;
mod circles;
mod fences;
mod shape;
mod words;
mod documents;
mod packages;
mod metrics;

/// Fails with every finding, one a line.
fn expect_none(findings: &[String]) {
    assert!(findings.is_empty(), "{} findings:\n{}\n", findings.len(), findings.join("\n"));
}
