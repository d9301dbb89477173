//! The cross table: which test holds which invariant and which fault row of the ledger's rules, `docs/proof.md`.
//!
//! A test says what it holds in a line directly above its attributes: `// proves:` and then `I3 I13 F6`. `rows` has
//! what there is to be held, `found` reads the markers, `page` writes the table. After a change:
//! `WHARFDEV_BLESS=1 cargo test --test cross`.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests stop at the first surprise, and say so")]

mod rows;
mod found;
mod page;

use std::path::Path;

use found::Proof;
use rows::{AWAITED, FAULTS, INVARIANTS, Row, Where};

/// Where the table stands.
const PAGE: &str = "docs/proof.md";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn is_blessed() -> bool {
    std::env::var_os("WHARFDEV_BLESS").is_some()
}

fn is_held(row: &Row, proofs: &[Proof]) -> bool {
    proofs.iter().any(|proof| proof.rows.contains(&row.id()))
}

#[test]
fn every_marker_stands_above_a_test_and_names_rows() {
    let (_, faults) = found::proofs(root());
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_table_is_as_the_tests_say() {
    let (proofs, _) = found::proofs(root());
    let (path, text) = (root().join(PAGE), page::page(&proofs));
    if is_blessed() {
        std::fs::write(&path, &text).unwrap();
    }
    let is_the_same = std::fs::read_to_string(&path).is_ok_and(|there| there == text);
    assert!(is_the_same, "{PAGE} is stale; run: WHARFDEV_BLESS=1 cargo test --test cross");
}

#[test]
fn every_row_that_one_machine_can_show_is_held() {
    let (proofs, _) = found::proofs(root());
    let mut missing = Vec::new();
    for row in INVARIANTS.iter().chain(FAULTS).filter(|row| row.place == Where::Here) {
        let awaited = AWAITED.iter().any(|(id, _)| *id == row.id());
        match (is_held(row, &proofs), awaited) {
            (true, false) | (false, true) => {}
            (false, false) => missing.push(format!("{} has no test: {}", row.id(), row.words)),
            (true, true) => missing.push(format!("{} is held: take it from AWAITED", row.id())),
        }
    }
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

#[test]
fn the_rows_are_those_of_the_rules() {
    for (rows, letter, last) in [(INVARIANTS, 'I', 28), (FAULTS, 'F', 52)] {
        let ids: Vec<_> = rows.iter().map(Row::id).collect();
        let expected: Vec<_> = (1..=last).map(|number| format!("{letter}{number}")).collect();
        assert_eq!(ids, expected);
    }
}
