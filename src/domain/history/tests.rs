//! The history, replayed and read.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::account::{Account, AccountState, Transition};
use crate::domain::decide::{Reservable, Settlement};
use crate::domain::draft::{Draft, Rows};
use crate::domain::samples::{NOW, asked, file_id, observed, op, rules, upload, user};
use crate::domain::transitions::Removal;

/// What may happen to one of a few files.
#[derive(Clone, Copy, Debug)]
enum Act {
    Reserve(u64),
    Settle(u64),
    Expire,
    Remove(Removal),
    Restore,
    Purge,
    Quota(u64),
    State(bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0_u64..40).prop_map(Act::Reserve),
        4 => (0_u64..40).prop_map(Act::Settle),
        1 => Just(Act::Expire),
        1 => Just(Act::Remove(Removal::Permanent)),
        2 => Just(Act::Remove(Removal::Trash)),
        1 => Just(Act::Restore),
        1 => Just(Act::Purge),
        1 => (50_u64..150).prop_map(Act::Quota),
        1 => any::<bool>().prop_map(Act::State),
    ]
}

/// The entries that a script makes, oldest first, and the account after.
fn run(script: &[(u8, Act)]) -> (Vec<Entry>, Account, Rows) {
    let (mut account, mut rows, mut entries) = (Account::new(user()), BTreeMap::new(), Vec::new());
    for (at, (n, act)) in (1..).zip(script) {
        let now = NOW.after(std::time::Duration::from_secs(1000 * at));
        let mut draft = Draft::new(account, rows, op(), rules().quota_bytes_default);
        for transition in decided(&draft, *n, *act, now) {
            draft.push(&transition);
        }
        let (write, after) = draft.into_write();
        (account, rows) = (write.account, after);
        entries.extend(write.entries);
    }
    (entries, account, rows)
}

fn decided(draft: &Draft, n: u8, act: Act, now: Timestamp) -> Vec<Transition> {
    let (account, row) = (draft.account(), draft.row(file_id(n)));
    match act {
        Act::Reserve(_) if row.is_some() => Vec::new(),
        Act::Reserve(size) => match account.reserve(&asked([upload(n, size)]), None, &rules(), now) {
            Ok(Reservable::New { transitions, .. }) => transitions,
            Ok(Reservable::Repeat(_)) | Err(_) => Vec::new(),
        },
        Act::Settle(size) => match row.map(|row| account.settle(row, &observed(size), &rules(), now)) {
            Some(Settlement::Transition(transition)) => vec![*transition],
            Some(Settlement::Done | Settlement::Remove) | None => Vec::new(),
        },
        Act::Expire => row.and_then(|row| account.expire(row, now)).into_iter().collect(),
        Act::Remove(how) => row.and_then(|row| row.remove(how, now)).into_iter().collect(),
        Act::Restore => row.and_then(|row| row.restore(now).ok().flatten()).into_iter().collect(),
        Act::Purge => row.and_then(|row| row.purged(now)).into_iter().collect(),
        Act::Quota(bytes) => account.set_quota(Some(bytes), now).into_iter().collect(),
        Act::State(is_active) => {
            let state = if is_active { AccountState::Active } else { AccountState::Suspended };
            account.set_state(state, now).into_iter().collect()
        }
    }
}

/// Whether a step is one that an entry of this kind may make.
fn fits(entry: &Entry, step: TotalsDelta) -> bool {
    let size = i64::try_from(entry.size_bytes).expect("small");
    let TotalsDelta { used_bytes, reserved_bytes, trashed_bytes, file_count } = step;
    match entry.kind {
        EntryKind::Reserved => (used_bytes, reserved_bytes, trashed_bytes, file_count) == (0, size, 0, 1),
        // From pending, or late: then nothing was reserved any more.
        EntryKind::Processed => {
            used_bytes == size
                && trashed_bytes == 0
                && ((reserved_bytes <= -size && file_count == 0) || (reserved_bytes == 0 && file_count == 1))
        }
        EntryKind::Failed => used_bytes == 0 && reserved_bytes <= 0 && trashed_bytes == 0 && file_count <= 0,
        EntryKind::Expired => (used_bytes, reserved_bytes, trashed_bytes, file_count) == (0, -size, 0, -1),
        EntryKind::Trashed => (used_bytes, reserved_bytes, trashed_bytes, file_count) == (0, 0, size, 0),
        EntryKind::Restored => (used_bytes, reserved_bytes, trashed_bytes, file_count) == (0, 0, -size, 0),
        // A failed one counts for what it did.
        EntryKind::Deleted => {
            let is_freed = used_bytes == -size
                && reserved_bytes == 0
                && (trashed_bytes == 0 || trashed_bytes == -size)
                && file_count == -1;
            is_freed || step == TotalsDelta::default()
        }
        EntryKind::Cancelled
        | EntryKind::Updated
        | EntryKind::Purged
        | EntryKind::QuotaChanged
        | EntryKind::StateChanged => step == TotalsDelta::default(),
    }
}

fn step_at(entries: &[Entry], at: usize) -> Option<TotalsDelta> {
    TotalsDelta::of(&entries[at], at.checked_sub(1).map(|older| &entries[older]))
}

proptest! {
    // proves: I28
    #[test]
    fn replaying_the_steps_between_two_entries_gives_the_seconds_totals(
        script in prop::collection::vec((0_u8..6, act()), 1..80),
        (from, to) in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let (entries, account, _) = run(&script);
        prop_assume!(!entries.is_empty());
        let (from, to) = (from.index(entries.len()), to.index(entries.len()));
        let (from, to) = (from.min(to), from.max(to));
        let replayed = (from + 1..=to).fold(entries[from].totals, |totals, at| {
            step_at(&entries, at).expect("the entry before is kept").from(totals)
        });
        prop_assert_eq!(replayed, entries[to].totals);
        let all = (0..entries.len()).map(|at| step_at(&entries, at).expect("none is missing"));
        prop_assert_eq!(all.fold(Totals::default(), |totals, step| step.from(totals)), account.totals);
    }

    // proves: I28
    #[test]
    fn every_step_is_what_its_kind_says(script in prop::collection::vec((0_u8..6, act()), 1..80)) {
        let (entries, _, _) = run(&script);
        for (at, entry) in entries.iter().enumerate() {
            let step = step_at(&entries, at).expect("none is missing");
            prop_assert!(fits(entry, step), "{:?} moved by {step:?}", entry);
        }
    }

    /// The way of every file begins where it was presigned and names each of its entries once, oldest first.
    #[test]
    fn the_timeline_of_a_file_names_every_entry_of_it(script in prop::collection::vec((0_u8..6, act()), 1..80)) {
        let (entries, _, rows) = run(&script);
        for row in rows.values() {
            let own: Vec<Entry> =
                entries.iter().filter(|entry| entry.file_id == Some(row.file_id)).cloned().collect();
            let timeline = timeline_of(row, &own);
            let found = timeline.iter().filter_map(|(step, _)| match step {
                TimelineStep::Entry(kind) => Some(*kind),
                TimelineStep::Hop(_) => None,
            });
            prop_assert_eq!(found.collect::<Vec<_>>(), own.iter().map(|entry| entry.kind).collect::<Vec<_>>());
            prop_assert_eq!(timeline.len(), own.len() + row.hops.len());
        }
    }
}

#[test]
fn a_step_whose_older_entry_is_gone_is_not_made_up() {
    let (entries, _, _) = run(&[(1, Act::Reserve(5)), (1, Act::Settle(5)), (1, Act::Remove(Removal::Trash))]);
    assert_eq!(TotalsDelta::of(&entries[2], None), None);
    assert_eq!(TotalsDelta::of(&entries[2], Some(&entries[0])), None, "not the one before");
    assert!(TotalsDelta::of(&entries[0], None).is_some(), "before the first there was nothing");
}

/// The words of a file's timeline after a script, when only entries from `kept` on are kept.
fn check_way(script: &[Act], kept: usize, expected: &str) {
    let script: Vec<(u8, Act)> = script.iter().map(|act| (1, *act)).collect();
    let (entries, _, rows) = run(&script);
    let timeline = timeline_of(&rows[&file_id(1)], &entries[kept..]);
    let words: Vec<_> = timeline.iter().map(|(step, _)| step.as_str()).collect();
    assert_eq!(words.join(" "), expected, "{script:?}");
}

#[test]
fn a_way_is_read_in_order() {
    let (reserve, settle) = (Act::Reserve(5), Act::Settle(5));
    let (trash, delete) = (Act::Remove(Removal::Trash), Act::Remove(Removal::Permanent));
    check_way(&[reserve], 0, "presigned");
    let there = "presigned landed arrival_seen inspected processed";
    check_way(&[reserve, settle], 0, there);
    check_way(&[reserve, settle, trash, Act::Restore], 0, &format!("{there} trashed restored"));
    check_way(&[reserve, settle, delete, Act::Purge], 0, &format!("{there} deleted purged"));
    check_way(&[reserve, Act::Settle(6)], 0, "presigned landed arrival_seen inspected failed");
    check_way(&[reserve, trash, Act::Expire], 0, "presigned cancelled expired");
}

#[test]
fn what_the_entries_no_longer_tell_the_row_does() {
    let (reserve, settle, trash) = (Act::Reserve(5), Act::Settle(5), Act::Remove(Removal::Trash));
    let there = "presigned landed arrival_seen inspected processed";
    check_way(&[reserve, settle], 1, there);
    check_way(&[reserve, settle], 2, there);
    check_way(&[reserve, settle, trash], 2, &format!("{there} trashed"));
    check_way(&[reserve, settle, trash, Act::Restore], 3, &format!("{there} restored"));
    check_way(&[reserve], 1, "presigned");
}
