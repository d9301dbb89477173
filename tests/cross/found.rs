//! The markers in the sources.

use std::path::{Path, PathBuf};

use crate::rows::{FAULTS, INVARIANTS, Row};

/// How a marker begins. In two parts, so that this line is none.
const MARKER: &str = concat!("// ", "proves:");
/// Where suites are: their cases become tests in every backend that runs them.
const SUITES: &str = "tests/contract/";
/// Lines that may stand between a marker and its function: attributes and comments.
const LINES_BETWEEN_MAX: usize = 12;

/// One test and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Proof {
    /// The file, as the repository has it.
    pub(crate) file: String,
    /// The test.
    pub(crate) name: String,
    /// The rows.
    pub(crate) rows: Vec<String>,
}

/// All of them by file and place, and what is wrong with markers.
pub(crate) fn proofs(root: &Path) -> (Vec<Proof>, Vec<String>) {
    let (mut proofs, mut faults) = (Vec::new(), Vec::new());
    for path in sources(root) {
        let file = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        if !file.starts_with("tests/cross/") {
            read(&file, &std::fs::read_to_string(&path).unwrap(), &mut proofs, &mut faults);
        }
    }
    (proofs, faults)
}

fn sources(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root.join("src"), root.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn read(file: &str, text: &str, proofs: &mut Vec<Proof>, faults: &mut Vec<String>) {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    for (at, line) in lines.iter().enumerate() {
        let Some(said) = line.strip_prefix(MARKER) else { continue };
        let rows: Vec<_> = said.split_whitespace().map(str::to_owned).collect();
        let place = format!("{file}:{}", at + 1);
        let unknown: Vec<_> = rows.iter().filter(|row| !is_row(row)).cloned().collect();
        match test_below(file, &lines[at + 1..]) {
            Some(name) if unknown.is_empty() && !rows.is_empty() => {
                proofs.push(Proof { file: file.to_owned(), name: name.to_owned(), rows });
            }
            Some(_) => faults.push(format!("{place}: write rows like I3 F12, not {unknown:?}")),
            None => faults.push(format!("{place}: no test stands below this marker")),
        }
    }
}

fn is_row(id: &str) -> bool {
    INVARIANTS.iter().chain(FAULTS).map(Row::id).any(|row| row == id)
}

/// The test that these lines begin with: attributes, one of them a test's, and then a function.
fn test_below<'a>(file: &str, lines: &[&'a str]) -> Option<&'a str> {
    let mut is_test = file.starts_with(SUITES);
    for line in lines.iter().take(LINES_BETWEEN_MAX) {
        is_test |= ["#[test]", "#[tokio::test"].iter().any(|start| line.starts_with(start));
        let words: Vec<_> = line.split_whitespace().collect();
        if let Some(at) = words.iter().position(|word| *word == "fn") {
            let name = words.get(at + 1)?.split(['(', '<']).next()?;
            return is_test.then_some(name);
        }
        if line.is_empty() || line.ends_with('}') {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, text: &str, expected: &str) {
        let (mut proofs, mut faults) = (Vec::new(), Vec::new());
        read(file, text, &mut proofs, &mut faults);
        let shown = proofs.iter().map(|proof| format!("{}={}", proof.name, proof.rows.join("+")));
        assert_eq!(shown.chain(faults).collect::<Vec<_>>().join("; "), expected, "{text}");
    }

    #[test]
    fn a_marker_belongs_to_the_test_below_it() {
        let marker = |rows: &str| format!("{MARKER} {rows}");
        let test = "#[tokio::test(start_paused = true)]\nasync fn it_holds() {";
        check("tests/a.rs", &format!("{}\n{test}", marker("I3 F12")), "it_holds=I3+F12");
        check("tests/a.rs", &format!("    {}\n    #[test]\n    fn it() {{}}", marker("I1")), "it=I1");
        check(
            "tests/contract/ledger.rs",
            &format!("{}\npub(crate) async fn a_case<W>(", marker("I5")),
            "a_case=I5",
        );
        check(
            "tests/a.rs",
            &format!("{}\nasync fn a_helper(", marker("I5")),
            "tests/a.rs:1: no test stands below this marker",
        );
        check(
            "tests/a.rs",
            &format!("{}\n\n{test}", marker("I5")),
            "tests/a.rs:1: no test stands below this marker",
        );
        check(
            "tests/a.rs",
            &format!("{}\n{test}", marker("I29")),
            "tests/a.rs:1: write rows like I3 F12, not [\"I29\"]",
        );
        check(
            "tests/a.rs",
            &format!("{}\n{test}", marker("")),
            "tests/a.rs:1: write rows like I3 F12, not []",
        );
    }
}
