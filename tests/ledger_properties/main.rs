//! The ledger's invariants under any script of commands: random, repeated, stale, in any order.
//!
//! Beside the real ledger runs a naive one that keeps only rows, and recounts them after every step. A script
//! that breaks something is made as short as it gets, printed a line a command, and tried first the next time.
//! `PROPTEST_CASES=10000 cargo test --test ledger_properties` looks longer: 10,000 scripts of about 100 commands.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test stops where it is wrong, and tells")]

mod script;
mod decide;
mod naive;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use wharfinger::domain::entry::EntryKind;
use wharfinger::domain::file::Status;

use world::World;

/// Where scripts that broke something are kept.
const FOUND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/ledger_properties.txt");

/// Outcomes that random commands must reach, in words.
const WORDS: [&str; 22] = [
    "reserved",
    "repeated",
    "key reused",
    "suspended",
    "over the quota",
    "too many files",
    "moved",
    "late",
    "forgotten",
    "nothing to do",
    "no such file",
    "not with this file",
    "settled before",
    "an object to remove",
    "user",
    "quota",
    "size",
    "checksum",
    "type",
    "malware",
    "cancelled",
    "hidden",
];

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(FOUND))),
        ..ProptestConfig::default()
    })]

    // proves: I1 I2 I3 I4 I5 I6 I8 I9 I22 I28 F10 F13
    #[test]
    fn no_script_breaks_an_invariant(script in script::script()) {
        let mut world = World::new();
        world.run(script);
        world.check_history();
        world.check_arrivals_again();
    }
}

/// Which kinds of entry, which edges and which refusals random scripts reach: a property that never gets there
/// proves nothing.
#[test]
fn random_scripts_reach_every_kind_every_edge_and_every_refusal() {
    let mut runner = TestRunner::deterministic();
    let (mut kinds, mut edges, mut words) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
    let mut conflicts = 0;
    for _ in 0..300 {
        let script = script::script().new_tree(&mut runner).expect("a script").current();
        let batches = u64::try_from(script.0.len()).expect("a few");
        let mut world = World::new();
        world.run(script);
        conflicts += batches - world.writes;
        kinds.extend(world.entries.iter().map(|entry| entry.kind.code()));
        world.edges.keys().for_each(|(_, from, to)| *edges.entry((*from, *to)).or_insert(0) += 1);
        world.words.iter().for_each(|word| *words.entry(*word).or_insert(0) += 1);
    }
    for kind in EntryKind::ALL {
        assert!(kinds.contains(&kind.code()), "no script came to {kind:?}: {kinds:?}");
    }
    for from in Status::ALL {
        for to in Status::ALL.into_iter().filter(|to| from.may_become(*to)) {
            assert!(edges.contains_key(&(from, to)), "no script went from {from:?} to {to:?}: {edges:?}");
        }
    }
    for word in WORDS {
        assert!(words.contains_key(word), "no script came to {word:?}: {words:?}");
    }
    assert!(conflicts > 100, "stale writes are refused: {conflicts}");
}
