//! Outside crates that only some folders may name.

use crate::expect_none;
use crate::masked::words;
use crate::source::{self, Source};

/// A crate as code spells it, and where it may stand.
const FENCES: &[(&str, &[&str])] = &[
    ("ractor", &["src/actors/", "src/bridge/"]),
    ("hyper", &["src/net/", "src/http/", "src/adapters/embedded/bucket/"]),
    ("hyper_util", &["src/net/", "src/http/", "src/adapters/embedded/bucket/"]),
    ("figment", &["src/config/"]),
    ("clap", &["src/cli/"]),
    ("rustix", &["src/app/", "src/adapters/embedded/"]),
    ("fjall", &["src/adapters/embedded/"]),
    ("s3s", &["src/adapters/embedded/bucket/"]),
    ("async_nats", &["src/adapters/jetstream/"]),
    ("scylla", &["src/adapters/scylla/"]),
    ("aws_config", &["src/adapters/"]),
    ("aws_sdk_s3", &["src/adapters/s3/", "src/adapters/aws/"]),
    ("aws_sdk_sqs", &["src/adapters/sqs/"]),
    ("metrics_exporter_prometheus", &["src/telemetry/"]),
    ("tracing_subscriber", &["src/telemetry/"]),
];

fn findings(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for (name, folders) in FENCES {
        let is_home = folders.iter().any(|folder| source.path.starts_with(folder));
        if !is_home && names(&source.production, name) {
            findings.push(format!("{}: {name} may only be named below {}", source.path, folders.join(", ")));
        }
    }
    findings
}

/// Whether code names a crate: `name::`, `use name;`, `use name as`, `extern crate name`.
fn names(code: &str, name: &str) -> bool {
    let is_word_char = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let is_word = !before.ends_with(is_word_char) && !after.starts_with(is_word_char);
        let before = before.trim_end();
        let outer = before.strip_suffix("::").map_or(before, str::trim_end);
        let is_inside_another =
            outer.len() < before.len() && outer.ends_with(is_word_char) && !outer.ends_with("use");
        let is_path =
            after.trim_start().starts_with("::") || outer.ends_with("use") || outer.ends_with("crate");
        is_word && is_path && !is_inside_another
    })
}

#[test]
fn crates_stay_behind_their_fences() {
    let sources = source::rust(&["src"]);
    expect_none(&sources.iter().flat_map(findings).collect::<Vec<_>>());
}

#[test]
fn fault_injection_is_outside_of_the_product() {
    let names_it =
        |source: &&Source| words(&source.production).any(|word| word.to_ascii_lowercase().contains("faulty"));
    let sources = source::rust(&["src"]);
    expect_none(&sources.iter().filter(names_it).map(|source| source.path.clone()).collect::<Vec<_>>());
}

mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: usize) {
        let found = findings(&Source::new(path, text));
        assert_eq!(found.len(), expected, "{text}: {found:?}");
    }

    #[test]
    fn a_crate_outside_its_fence_is_found() {
        check("src/http/x.rs", "use ractor::Actor;", 1);
        check("src/http/x.rs", "fn x() -> ractor::ActorRef<()> {}", 1);
        check("src/http/x.rs", "use ::ractor as actors;", 1);
        check("src/http/x.rs", "extern crate ractor;", 1);
        check("src/domain/x.rs", "use hyper :: Request;\nuse figment::Figment;", 2);
        check("src/adapters/embedded/ledger.rs", "use s3s::S3;", 1);
    }

    #[test]
    fn inside_its_fence_and_in_tests_it_is_not() {
        check("src/actors/x.rs", "use ractor::Actor;", 0);
        check("src/http/x.rs", "#[cfg(test)] mod tests { use ractor::Actor; }", 0);
        check("src/http/x.rs", "// ractor::Actor\nuse crate::ractor_like::X;", 0);
        check("src/app.rs", "use crate::adapters::scylla::Store;", 0);
    }
}
