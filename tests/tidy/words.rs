//! Words that do not belong into the repository.

mod homonyms;
mod plain;

use crate::expect_none;
use crate::masked::words;
use crate::source;

/// Where text of ours stands.
const TEXTS: &[&str] = &[
    "src",
    "tests",
    "benches",
    "scripts",
    "nats",
    "scylla",
    "deploy",
    "docs",
    "web",
    "Cargo.toml",
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "compose.yml",
    "deny.toml",
    "clippy.toml",
    ".github",
];
/// Files that are not text for people.
const SKIPPED_ENDINGS: &[&str] =
    &[".png", ".ico", ".woff2", ".jpg", ".svg", ".lock", ".pem", ".wasm", ".map", "lock.json"];
/// This file names what it looks for.
const THIS: &str = "tests/tidy/words.rs";

/// Notes to oneself: finish it or write an issue.
const NOTES: [&str; 3] = ["todo", "fixme", "xxx"];
/// How `Cargo.toml` forbids one of them.
const LINT: &str = "todo = \"deny\"";
/// Folders of one person's machine.
const MACHINE_PATHS: [&str; 4] = ["/home/", "/root/", "/Users/", "/work/"];

fn findings(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let at = format!("{path}:{}", index + 1);
        let is_note = |word: &&str| NOTES.contains(&word.to_ascii_lowercase().as_str());
        if let Some(note) = words(line).find(is_note).filter(|_| line != LINT) {
            findings.push(format!("{at}: {note}"));
        }
        for folder in MACHINE_PATHS {
            // `https://example.com/home/` is a URL, and `./work/` is below here.
            let is_absolute = |(start, _): (usize, &str)| {
                !line[..start].ends_with(|c: char| {
                    c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '}' | '/' | '~')
                })
            };
            if line.match_indices(folder).any(is_absolute) {
                findings.push(format!("{at}: {folder}"));
            }
        }
    }
    findings
}

#[test]
fn no_notes_to_oneself_and_no_machine_paths() {
    let is_text =
        |path: &String| path != THIS && !SKIPPED_ENDINGS.iter().any(|ending| path.ends_with(ending));
    let paths: Vec<_> = source::files(TEXTS).into_iter().filter(is_text).collect();
    assert!(paths.len() > 20, "only {} texts found", paths.len());
    expect_none(&paths.iter().flat_map(|path| findings(path, &source::read(path))).collect::<Vec<_>>());
}

mod tests {
    use super::*;

    fn check(line: &str, expected: usize) {
        assert_eq!(findings("a", line).len(), expected, "{line}");
    }

    #[test]
    fn notes_and_paths_are_found() {
        check("// TODO: later", 1);
        check("todo!()", 1);
        check("// fixme", 1);
        check("let path = \"/home/me/x\";", 1);
        check("/root/x and `/work/y`", 2);
    }

    #[test]
    fn other_words_pass() {
        check("mastodon, autodoc", 0);
        check("https://example.com/home/x, ./work/x, target/work/x", 0);
    }
}
