//! Sizes, headers, tables of contents.

use std::io::Write;

use crate::expect_none;
use crate::masked::mask;
use crate::source::{self, Source};

/// Production lines of a file.
const LINES_MAX: usize = 400;
/// Production lines of nine files out of ten.
const LINES_P90_MAX: usize = 300;

fn too_long(source: &Source) -> Option<String> {
    let lines = source.production_lines();
    (lines > LINES_MAX).then(|| format!("{}: {lines} production lines, more than {LINES_MAX}", source.path))
}

/// What nine values out of ten do not exceed.
fn p90(mut values: Vec<usize>) -> usize {
    values.sort_unstable();
    values.get((values.len() * 9).div_ceil(10).saturating_sub(1)).copied().unwrap_or(0)
}

fn without_header(source: &Source) -> Option<String> {
    let first = source.text.lines().next().unwrap_or_default();
    let is_header = first.strip_prefix("//! ").is_some_and(|text| !text.trim().is_empty());
    (!is_header).then(|| format!("{}: the first line must be a //! header", source.path))
}

/// What a `mod.rs` has besides modules and re-exports.
fn more_than_contents(source: &Source) -> Option<String> {
    if !source.path.ends_with("/mod.rs") {
        return None;
    }
    let code = mask(&source.text);
    let statements = code.split(';').map(|statement| without_attributes(statement.trim()));
    let is_content = |statement: &str| {
        let item = statement.strip_prefix("pub").map_or(statement, |rest| {
            let rest = rest.trim_start();
            rest.strip_prefix('(')
                .and_then(|rest| rest.split_once(')'))
                .map_or(rest, |(_, item)| item)
                .trim_start()
        });
        item.is_empty() || item.starts_with("use ") || (item.starts_with("mod ") && !item.contains('{'))
    };
    let other = statements.into_iter().find(|statement| !is_content(statement))?;
    let start: String = other.chars().take(40).collect();
    Some(format!("{}: only modules and re-exports belong here, not {start:?}", source.path))
}

fn without_attributes(mut statement: &str) -> &str {
    while statement.starts_with("#[") {
        statement = statement.split_once(']').map_or("", |(_, rest)| rest.trim_start());
    }
    statement
}

#[test]
fn files_stay_small() {
    let sources = source::rust(&["src"]);
    expect_none(&sources.iter().filter_map(too_long).collect::<Vec<_>>());
    let p90 = p90(sources.iter().filter(|s| !s.is_test).map(Source::production_lines).collect());
    assert!(p90 <= LINES_P90_MAX, "nine files out of ten have up to {p90} lines, more than {LINES_P90_MAX}");
}

#[test]
fn functions_stay_small() {
    let clippy = source::read("clippy.toml");
    for bound in ["too-many-lines-threshold = 70", "too-many-arguments-threshold = 5"] {
        assert!(clippy.lines().any(|line| line == bound), "clippy.toml must say {bound}");
    }
    let manifest = source::read("Cargo.toml");
    for lint in ["too_many_lines = \"deny\"", "too_many_arguments = \"deny\"", "unwrap_used = \"deny\""] {
        assert!(manifest.lines().any(|line| line == lint), "Cargo.toml must say {lint}");
    }
}

#[test]
fn every_file_says_what_it_is() {
    let sources = source::rust(&["src", "tests", "benches"]);
    expect_none(&sources.iter().filter_map(without_header).collect::<Vec<_>>());
}

#[test]
fn every_mod_rs_is_a_table_of_contents() {
    let sources = source::rust(&["src"]);
    expect_none(&sources.iter().filter_map(more_than_contents).collect::<Vec<_>>());
}

#[test]
fn the_share_of_tests_is_told() {
    let sources = source::rust(&["src", "tests"]);
    let production: usize = sources.iter().map(Source::production_lines).sum();
    let tests: usize = sources.iter().map(Source::test_lines).sum();
    let files = sources.iter().filter(|source| !source.is_test).map(Source::production_lines);
    let hundredths = tests * 100 / production.max(1);
    let (p90, max) = (p90(files.clone().collect()), files.max().unwrap_or(0));
    let line = format!(
        "production lines {production}, test lines {tests}, {}.{:02} for one; files: p90 {p90}, longest {max}",
        hundredths / 100,
        hundredths % 100,
    );
    writeln!(std::io::stdout(), "{line}").expect("standard output is open");
}

mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let long = "//! Why.\n".to_owned() + &"fn a() {}\n".repeat(400);
        assert!(too_long(&Source::new("src/a.rs", &long)).is_some());
        let tested = "//! Why.\n".to_owned() + &"#[cfg(test)]\nfn a() {}\n".repeat(400);
        assert!(too_long(&Source::new("src/a.rs", &tested)).is_none());
        let blank = "//! Why.\n".to_owned() + &"fn a() {}\n\n".repeat(399);
        assert!(too_long(&Source::new("src/a.rs", &blank)).is_none());
    }

    #[test]
    fn nine_of_ten() {
        assert_eq!(p90((1..=10).collect()), 9);
        assert_eq!(p90(vec![5]), 5);
        assert_eq!(p90((1..=100).collect()), 90);
    }

    #[test]
    fn a_file_without_a_header_is_found() {
        for bad in ["", "use x;", "\n//! Why.", "//!", "//! ", "/// Why."] {
            assert!(without_header(&Source::new("src/a.rs", bad)).is_some(), "{bad:?}");
        }
        assert!(without_header(&Source::new("src/a.rs", "//! Why.\n")).is_none());
    }

    #[test]
    fn a_mod_rs_with_more_is_found() {
        let check = |text: &str| more_than_contents(&Source::new("src/a/mod.rs", text)).is_some();
        for bad in
            ["fn a() {}", "mod a;\nstruct B;", "mod a { }", "pub const A: u8 = 1;", "mod a;\n#[x]\nimpl A {}"]
        {
            assert!(check(bad), "{bad}");
        }
        let good = "//! Why.\n\nmod a;\npub(crate) mod b;\n#[cfg(test)]\nmod c;\n\npub use a::{A, B};\n// Why.\nuse b::C;\n";
        assert!(!check(good));
        assert!(more_than_contents(&Source::new("src/a.rs", "fn a() {}")).is_none());
    }
}
