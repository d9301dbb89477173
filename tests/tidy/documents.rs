//! What documents and comments refer to exists, and pages stay readable.

use crate::expect_none;
use crate::source;

/// Documents that describe the repository as it is now. `CHANGELOG.md` and `docs/faults.md` describe the past.
const DOCUMENTS: &[&str] =
    &["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "tests/README.md", "docs", "nats", "scylla"];
/// Names what was, or is written by a test.
const SKIPPED: &[&str] = &["docs/faults.md", "docs/proof.md", "docs/mutants.md"];
/// This file names documents that do not exist.
const THIS: &str = "tests/tidy/documents.rs";
/// How a path of the repository starts.
const ROOTS: &[&str] =
    &["src/", "tests/", "docs/", "scripts/", "examples/", "benches/", "deploy/", "nats/", "scylla/"];
/// The longest line of prose in a document. Rows of tables and code may be longer.
const LINE_CHARS_MAX: usize = 136;
/// The most words that the glossary may explain.
const GLOSSARY_ROWS_MAX: usize = 20;
/// Invariants of the ledger.
const INVARIANTS: usize = 28;

/// Every path of the repository that a document names in backticks.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let first = quoted.filter_map(|quoted| quoted.split_whitespace().next());
    first.filter(|path| {
        ROOTS.iter().any(|root| path.starts_with(root)) && !path.contains(['*', '{', '<', '…'])
    })
}

/// Every document that a comment names.
fn documents(text: &str) -> impl Iterator<Item = &str> {
    let comments = text.lines().map(str::trim).filter(|line| line.starts_with("//"));
    let words = comments.flat_map(str::split_whitespace);
    let bare = words.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    bare.filter(|word| word.ends_with(".md") && !word.contains(['*', ':']))
}

/// Lines of prose that are too long to read.
fn long_lines(text: &str) -> Vec<usize> {
    let mut is_code = false;
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        is_code ^= line.trim_start().starts_with("```");
        if !is_code && !line.starts_with('|') && line.chars().count() > LINE_CHARS_MAX {
            found.push(index + 1);
        }
    }
    found
}

/// Rows of the table under a heading, its head and headings inside it not counted.
fn rows(text: &str, heading: &str) -> usize {
    let section = text.split_once(&format!("\n## {heading}\n")).map_or("", |(_, section)| section);
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| |"));
    rows.count().saturating_sub(1)
}

#[test]
fn documents_name_files_that_exist() {
    let all = source::files(&["."]);
    let exists = |path: &str| {
        let path = path.trim_end_matches('/');
        all.iter()
            .any(|file| file == path || file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
    };
    let mut findings = Vec::new();
    let is_text = |path: &&String| path.ends_with(".md") && !SKIPPED.contains(&path.as_str());
    for document in source::files(DOCUMENTS).iter().filter(is_text) {
        let text = source::read(document);
        findings.extend(paths(&text).filter(|path| !exists(path)).map(|path| format!("{document}: {path}")));
        findings.extend(long_lines(&text).iter().map(|line| format!("{document}:{line}: a long line")));
    }
    for source in source::rust(&["src", "tests", "benches"]).iter().filter(|source| source.path != THIS) {
        let is_missing = |name: &&str| !exists(name) && !exists(&format!("docs/{name}"));
        findings.extend(
            documents(&source.text).filter(is_missing).map(|name| format!("{}: {name}", source.path)),
        );
    }
    expect_none(&findings);
}

#[test]
fn architecture_has_a_short_glossary_and_every_invariant() {
    let text = source::read("ARCHITECTURE.md");
    let words = rows(&text, "Words");
    assert!((1..=GLOSSARY_ROWS_MAX).contains(&words), "{words} rows in the glossary");
    assert_eq!(rows(&text, "Invariants"), INVARIANTS);
}

mod tests {
    use super::*;

    #[test]
    fn references_are_found() {
        let text = "see `src/a.rs` and `scripts/b C`, `tests/*.sh`, `c`\n`docs/d.md`";
        assert_eq!(paths(text).collect::<Vec<_>>(), ["src/a.rs", "scripts/b", "docs/d.md"]);
        let code = "// (`A.md` section 3), b.md.\nlet c = \"c.md\";";
        assert_eq!(documents(code).collect::<Vec<_>>(), ["A.md", "b.md"]);
    }

    #[test]
    fn long_lines_and_rows_are_counted() {
        let long = "x".repeat(LINE_CHARS_MAX + 1);
        assert_eq!(long_lines(&format!("a\n{long}\n| {long}\n```\n{long}\n```\n{long}")), [2, 7]);
        let text = "# A\n\n## B\n\n| # | c |\n|---|---|\n| | part |\n| 1 | d |\n| 2 | e |\n\n## F\n\n| g |\n";
        assert_eq!(rows(text, "B"), 2);
    }
}
