//! The table as a page.

use std::fmt::Write as _;

use crate::found::Proof;
use crate::is_held;
use crate::rows::{AWAITED, FAULTS, INVARIANTS, Row, Where};

const HEAD: &str = "\
# What is held, and by which test

Written by `WHARFDEV_BLESS=1 cargo test --test cross` out of the markers above the tests; do not edit it. A name stands for a test in the
file before it. A test of a suite (`tests/contract`) runs on every backend: embedded, and the real servers where they are up.

";

/// Everything.
pub(crate) fn page(proofs: &[Proof]) -> String {
    let mut text = HEAD.to_owned();
    let held = |rows: &[Row]| rows.iter().filter(|row| is_held(row, proofs)).count();
    writeln!(
        text,
        "{} of {} invariants and {} of {} fault rows are held by {} tests.\n",
        held(INVARIANTS),
        INVARIANTS.len(),
        held(FAULTS),
        FAULTS.len(),
        proofs.len()
    )
    .unwrap();
    table(&mut text, "Invariants", "Always", INVARIANTS, proofs);
    table(&mut text, "Faults", "Where: what", FAULTS, proofs);
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn table(text: &mut String, title: &str, what: &str, rows: &[Row], proofs: &[Proof]) {
    write!(text, "## {title}\n\n| # | {what} | Held by |\n|---|---|---|\n").unwrap();
    for row in rows {
        let mut cells = Vec::new();
        if let Where::Elsewhere(why) = row.place {
            cells.push(format!("*not here: {why}*"));
        }
        if let Some((_, what)) = AWAITED.iter().find(|(id, _)| *id == row.id()) {
            cells.push(format!("*awaited: {what}*"));
        }
        cells.extend(by_file(&row.id(), proofs));
        writeln!(text, "| {} | {} | {} |", row.id(), row.words, cells.join("<br>")).unwrap();
    }
    text.push('\n');
}

/// A cell's lines: a file and the tests in it.
fn by_file(row: &str, proofs: &[Proof]) -> Vec<String> {
    let mut lines: Vec<(&str, Vec<&str>)> = Vec::new();
    for proof in proofs.iter().filter(|proof| proof.rows.iter().any(|held| held == row)) {
        match lines.last_mut() {
            Some((file, names)) if *file == proof.file => names.push(&proof.name),
            Some(_) | None => lines.push((&proof.file, vec![&proof.name])),
        }
    }
    lines.into_iter().map(|(file, names)| format!("[{file}](../{file}): `{}`", names.join("`, `"))).collect()
}
