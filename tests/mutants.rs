//! The mutants of `scripts/mutants` still fit the code. A change that moves a defence moves its mutant.
//!
//! Applying them and running the tests takes half an hour; that they apply is checked here, in no time.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test stops where it is wrong, and tells")]

use std::fs;
use std::path::{Path, PathBuf};

/// Defences that must have a mutant.
const DEFENCES: [&str; 25] = [
    "version-condition",
    "unknown-is-lost",
    "unknown-is-mine",
    "grace",
    "ask-before-release",
    "purge-mark",
    "sweeper",
    "if-none-match-signed",
    "if-none-match-kept",
    "dedup",
    "publish-then-delete",
    "admission",
    "anchor-read",
    "attempt-condition-cql",
    "attempt-condition",
    "history-floor",
    "trim-deletes",
    "identity-issuer",
    "uploads-budget",
    "uploads-one-a-key",
    "health-direction",
    "republish-duplicates",
    "identity-uuid",
    "anchor-row",
    "ownership-stamp",
];

/// A patch that removes one defence.
struct Mutant {
    name: String,
    removes: String,
    tests: String,
    hunks: Vec<Hunk>,
}

/// One place that a patch changes.
#[derive(Default)]
struct Hunk {
    file: String,
    /// What must be there.
    before: String,
    /// What will be there.
    after: String,
    /// How many lines its head announces before and after; `git apply` refuses others.
    announced: Option<[usize; 2]>,
}

impl Hunk {
    /// A hunk with nothing but its head, `@@ -FIRST,COUNT +FIRST,COUNT @@`.
    fn begin(file: &str, head: &str) -> Self {
        let count = |sign: char| {
            let range = head.split(' ').find_map(|word| word.strip_prefix(sign))?;
            range.split_once(',').map_or(Some(1), |(_, count)| count.parse().ok())
        };
        let announced = count('-').zip(count('+')).map(|(before, after)| [before, after]);
        Self { file: file.to_owned(), announced, ..Self::default() }
    }

    /// Whether it has as many lines as its head announces.
    fn is_whole(&self) -> bool {
        self.announced == Some([&self.before, &self.after].map(|side| side.lines().count()))
    }
}

impl Mutant {
    fn parse(name: &str, text: &str) -> Self {
        let field = |field: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(": "));
            value.unwrap_or_default().to_owned()
        };
        Self { name: name.to_owned(), removes: field("removes"), tests: field("tests"), hunks: hunks(text) }
    }

    /// What is wrong with it, if anything.
    fn faults(&self, read: impl Fn(&str) -> String) -> Vec<String> {
        let mut faults = Vec::new();
        if self.removes.is_empty() || self.tests.is_empty() {
            faults.push(format!("{}: says `removes: …` and `tests: …`", self.name));
        }
        if self.hunks.is_empty() || self.hunks.iter().any(|hunk| hunk.before == hunk.after) {
            faults.push(format!("{}: changes nothing", self.name));
        }
        for hunk in &self.hunks {
            if !hunk.is_whole() {
                faults.push(format!(
                    "{}: a hunk of {} has not the lines its head announces",
                    self.name, hunk.file
                ));
            }
            let places = read(&hunk.file).matches(&hunk.before).count();
            if places != 1 {
                faults.push(format!("{}: fits {places} places of {}", self.name, hunk.file));
            }
        }
        faults
    }
}

fn hunks(text: &str) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = Vec::new();
    let mut file = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("+++ b/") {
            file = name;
        } else if line.starts_with("@@") {
            hunks.push(Hunk::begin(file, line));
        } else if let Some(hunk) = hunks.last_mut()
            && let Some((sign, rest)) = line.split_at_checked(1)
        {
            let sides = match sign {
                " " => [Some(&mut hunk.before), Some(&mut hunk.after)],
                "-" if !rest.starts_with("-- ") => [Some(&mut hunk.before), None],
                "+" => [None, Some(&mut hunk.after)],
                _ => [None, None],
            };
            for side in sides.into_iter().flatten() {
                side.push_str(rest);
                side.push('\n');
            }
        }
    }
    hunks
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn mutants() -> Vec<Mutant> {
    let folder = fs::read_dir(root().join("tests/mutants")).unwrap();
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| Mutant::parse(&name(path), &fs::read_to_string(path).unwrap())).collect()
}

/// The targets that a mutant's tests name.
fn targets(tests: &str) -> Vec<&str> {
    let mut words = tests.split(' ');
    let mut targets = Vec::new();
    while let Some(word) = words.next() {
        if word == "--test" {
            targets.extend(words.next());
        }
    }
    targets
}

#[test]
fn every_mutant_fits_the_code() {
    let read = |file: &str| fs::read_to_string(root().join(file)).unwrap_or_default();
    let faults: Vec<String> = mutants().iter().flat_map(|mutant| mutant.faults(read)).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_defence_has_a_mutant() {
    let mutants = mutants();
    for defence in DEFENCES {
        assert!(mutants.iter().any(|mutant| mutant.name == defence), "{defence} has no mutant");
    }
}

#[test]
fn mutants_name_tests_that_there_are() {
    for mutant in mutants() {
        for target in targets(&mutant.tests) {
            let tests = root().join("tests");
            let is_there =
                tests.join(format!("{target}.rs")).exists() || tests.join(target).join("main.rs").exists();
            assert!(is_there, "{}: there is no test {target}", mutant.name);
        }
    }
}

#[test]
fn the_table_has_every_mutant_and_no_survivor() {
    let table = fs::read_to_string(root().join("docs/mutants.md")).unwrap();
    let named: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    let mutants = mutants();
    assert_eq!(named, mutants.iter().map(|mutant| mutant.name.as_str()).collect::<Vec<_>>());
    for bad in ["SURVIVED", "THE TESTS DID NOT END", "DOES NOT BUILD", "NO LONGER APPLIES", "not run yet"] {
        assert!(!table.contains(bad), "docs/mutants.md has {bad}: run scripts/mutants");
    }
}

mod tests {
    use super::*;

    const PATCH: &str = "removes: the lock\ntests: --lib door --test house\n\n--- a/door.rs\n+++ b/door.rs\n@@ -1,3 +1,3 @@\n fn close() {\n-    lock();\n+    open();\n }\n";

    fn check(code: &str, faults: usize) {
        let found = Mutant::parse("unlocked", PATCH).faults(|_| code.to_owned());
        assert_eq!(found.len(), faults, "{found:?}");
    }

    #[test]
    fn a_mutant_that_fits_once_is_good() {
        check("fn close() {\n    lock();\n}\n", 0);
        check("fn close() {\n    bolt();\n}\n", 1);
        check("fn close() {\n    lock();\n}\nfn close() {\n    lock();\n}\n", 1);
    }

    #[test]
    fn a_patch_that_says_or_changes_nothing_is_told() {
        let nothing = Mutant::parse("nothing", "@@ -1 +1 @@\n a\n");
        assert_eq!(nothing.faults(|_| "a\n".to_owned()).len(), 2);
    }

    #[test]
    fn a_hunk_that_git_would_call_corrupt_is_found() {
        let cut = Mutant::parse("cut", &PATCH.replace("-1,3 +1,3", "-1,6 +1,6"));
        let faults = cut.faults(|_| "fn close() {\n    lock();\n}\n".to_owned());
        assert_eq!(faults, ["cut: a hunk of door.rs has not the lines its head announces"]);
    }

    #[test]
    fn targets_are_found_among_arguments() {
        assert_eq!(targets("--lib desk --test tree --test http"), ["tree", "http"]);
        assert_eq!(targets("--lib"), [""; 0]);
    }
}
