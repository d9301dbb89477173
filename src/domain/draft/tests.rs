//! From transitions to the one write.

use super::*;
use crate::domain::decide::{Reservable, Settlement};
use crate::domain::entry::EntryKind;
use crate::domain::invariant::{check_rows, check_write};
use crate::domain::samples::{
    NOW, asked, file_id, observed, op, pending, processed, row_of, rules, upload, user,
};
use crate::domain::transitions::Removal;

fn draft(account: &Account, rows: &[File]) -> Draft {
    let rows = rows.iter().map(|row| (row.file_id, Box::new(row.clone()))).collect();
    Draft::new(account.clone(), rows, op(), rules().quota_bytes_default)
}

fn reserve(draft: &mut Draft, n: u8, size_bytes: u64) {
    let Ok(Reservable::New { transitions, .. }) =
        draft.account().reserve(&asked([upload(n, size_bytes)]), None, &rules(), NOW)
    else {
        panic!("{size_bytes} bytes fit")
    };
    transitions.iter().for_each(|transition| draft.push(transition));
}

#[test]
fn the_first_write_of_a_user_expects_nothing() {
    let mut draft = draft(&Account::new(user()), &[]);
    assert!(draft.is_empty());
    reserve(&mut draft, 1, 10);
    let (write, rows) = draft.into_write();
    assert_eq!((write.expected, write.account.version, write.entries.len()), (None, 1, 1));
    assert_eq!(write.files, rows.into_values().map(|row| *row).collect::<Vec<_>>());
    check_write(&write).expect("all invariants hold");
}

#[test]
fn several_transitions_are_one_write_with_an_entry_each() {
    let (account, row) = processed(10);
    let mut draft = draft(&account, std::slice::from_ref(&row));
    draft.push(&row.remove(Removal::Trash, NOW).expect("it moves"));
    reserve(&mut draft, 2, 20);
    let row = draft.row(row.file_id).expect("it is there").clone();
    draft.push(&row.remove(Removal::Permanent, NOW).expect("it moves"));
    let (write, rows) = draft.into_write();
    let kinds: Vec<EntryKind> = write.entries.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [EntryKind::Trashed, EntryKind::Reserved, EntryKind::Deleted]);
    assert_eq!((write.expected, write.account.version), (Some(2), 5));
    assert_eq!(write.entries.iter().map(|entry| entry.version).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(write.files.len(), 2, "each changed row once, as it is after");
    assert!(write.entries.iter().all(|entry| entry.op == op()));
    check_write(&write).expect("all invariants hold");
    check_rows(&write.account, rows.values().map(Box::as_ref)).expect("all invariants hold");
}

#[test]
fn an_entry_says_how_things_stand_after_it() {
    let (account, row) = processed(10);
    let mut draft = draft(&account, std::slice::from_ref(&row));
    draft.push(&row.remove(Removal::Trash, NOW).expect("it moves"));
    let (write, _) = draft.into_write();
    let entry = &write.entries[0];
    assert_eq!((entry.file_id, entry.size_bytes, entry.revision), (Some(row.file_id), 10, row.revision + 1));
    assert_eq!((entry.totals, entry.limit_bytes, entry.reason), (write.account.totals, 100, None));
    assert_eq!((entry.at, entry.threshold_percent), (NOW, None));
}

#[test]
fn a_change_of_the_account_is_an_entry_without_a_file() {
    let mut draft = draft(&Account::new(user()), &[]);
    let transition = draft.account().set_quota(Some(7), NOW).expect("it is new");
    draft.push(&transition);
    let (write, _) = draft.into_write();
    assert_eq!((write.entries[0].file_id, write.entries[0].limit_bytes), (None, 7));
    assert!(write.files.is_empty());
}

#[test]
fn a_draft_has_room_for_one_commit() {
    let mut draft = draft(&Account::new(user()), &[]);
    assert_eq!(draft.room(), COMMIT_TRANSITIONS_MAX);
    for n in 1..=5 {
        reserve(&mut draft, n, 1);
    }
    assert_eq!(draft.room(), COMMIT_TRANSITIONS_MAX - 5);
}

#[test]
fn published_rises_only_and_never_past_the_version() {
    let (account, _) = processed(10);
    let published = |marks: &[u64]| {
        let mut draft = draft(&account, &[]);
        marks.iter().for_each(|mark| draft.mark_published(*mark));
        assert!(!draft.is_empty(), "it is worth a write");
        let write = draft.into_write().0;
        assert!(write.entries.is_empty(), "no entry for that alone");
        write.account.published
    };
    assert_eq!(published(&[1]), 1);
    assert_eq!(published(&[2, 1]), 2);
    assert_eq!(published(&[9]), 2);
}

#[test]
fn the_first_subject_stays() {
    let mut draft = draft(&Account::new(user()), &[]);
    draft.keep_subject(None);
    draft.keep_subject(Some(&"alice".to_owned()));
    draft.keep_subject(Some(&"mallory".to_owned()));
    assert_eq!(draft.into_write().0.account.subject.as_deref(), Some("alice"));
}

#[test]
fn a_forgotten_row_is_deleted_and_not_written() {
    let (account, row) = pending(10);
    let mut draft = draft(&account, std::slice::from_ref(&row));
    assert_eq!(draft.account().row_count, 1);
    let Settlement::Transition(failed) = draft.account().settle(&row, &observed(11), &rules(), NOW) else {
        panic!("it is too large")
    };
    draft.push(&failed);
    draft.push(&row_of(&failed).purged(NOW).expect("it moves"));
    draft.forget(row.file_id);
    let (write, rows) = draft.into_write();
    let forgotten = [RowRange::of(file_id(1))];
    assert_eq!((write.files.len(), write.forgotten.as_slice(), rows.len()), (0, forgotten.as_slice(), 0));
    assert_eq!(write.account.row_count, 0);
    assert_eq!(write.entries.len(), 2, "what happened stays told");
    check_write(&write).expect("all invariants hold");
}

// proves: I4
#[test]
fn a_range_of_rows_leaves_as_one_and_nothing_new_can_be_inside_it() {
    let account = Account { row_count: 9, published: 0, ..processed(10).0 };
    let mut draft = draft(&account, &[]);
    draft.forget_range(RowRange { first: file_id(3), last: file_id(8) }, 6);
    assert_eq!((draft.account().row_count, draft.room()), (3, 0));
    assert!(!draft.is_empty());
    let (write, _) = draft.into_write();
    assert_eq!(write.forgotten, [RowRange { first: file_id(3), last: file_id(8) }]);
    check_write(&write).expect("all invariants hold");
}

// proves: I23
#[test]
fn a_write_names_the_attempt_that_it_was_decided_on() {
    let other = OpId::from_uuid(uuid::Uuid::from_u128(7));
    let account = Account { op: Some(other), ..processed(10).0 };
    let mut draft = draft(&account, &[]);
    assert_eq!(draft.untouched_since(), Some(other));
    assert_eq!(draft.clone().into_unchanged().account, account);
    draft.mark_published(1);
    assert_eq!(draft.untouched_since(), None);
    let (write, _) = draft.into_write();
    assert_eq!((write.expected_op, write.account.op), (Some(other), Some(op())));
}

// proves: I28
#[test]
fn history_is_trimmed_up_to_what_is_published_and_not_in_one_go() {
    let long = 3 * TRIMMED_MAX;
    let check = |floor, published, up_to, expected: Option<(u64, u64)>| {
        let (account, _) = processed(10);
        let account = Account { version: long, history_floor: floor, published, ..account };
        let mut draft = draft(&account, &[]);
        draft.trim(up_to);
        let (write, _) = draft.into_write();
        let trimmed = write.trimmed.map(|range| (*range.start(), *range.end()));
        assert_eq!(trimmed, expected, "above {floor}, published {published}, up to {up_to}");
        assert_eq!(write.account.history_floor, expected.map_or(floor, |(_, last)| last));
    };
    check(0, 10, 7, Some((1, 7)));
    check(3, 10, 7, Some((4, 7)));
    check(3, 5, 7, Some((4, 5)));
    check(7, 10, 7, None);
    check(7, 10, 3, None);
    check(0, long, long, Some((1, TRIMMED_MAX)));
}

// proves: I9
#[test]
fn a_request_that_was_just_remembered_is_known_to_the_next_decision() {
    let mut draft = draft(&Account::new(user()), &[]).with_requests([(7, None)].into());
    assert!(draft.knows_request(7) && !draft.knows_request(8));
    let request = Remembered { key: 7, body: 1, at: NOW, files: vec![file_id(1)] };
    draft.remember(request.clone());
    assert_eq!(draft.request(7), Some(&request));
    assert_eq!(draft.into_write().0.requests, [request]);
}

#[test]
fn the_highest_threshold_crossed_upwards_is_told() {
    let crossed = |before, after, limit_bytes| {
        let level = |taken_bytes| Level { taken_bytes, limit_bytes };
        crossed(level(before), level(after))
    };
    assert_eq!(crossed(0, 79, 100), None);
    assert_eq!(crossed(0, 80, 100), Some(80));
    assert_eq!(crossed(79, 94, 100), Some(80));
    assert_eq!(crossed(80, 94, 100), None, "told already");
    assert_eq!(crossed(80, 95, 100), Some(95));
    assert_eq!(crossed(94, 100, 100), Some(100), "the highest only");
    assert_eq!(crossed(0, 200, 100), Some(100));
    assert_eq!(crossed(100, 80, 100), None, "not on the way down");
    assert_eq!(crossed(100, 200, 100), None);
    assert_eq!(crossed(0, 5, 0), None, "a limit of nothing has no percentages");
    assert_eq!(crossed(0, u64::MAX, u64::MAX), Some(100), "no overflow");
    assert_eq!(crossed(0, 7, 9), None, "77.8 %");
    assert_eq!(crossed(0, 8, 9), Some(80), "88.9 %");
}

#[test]
fn the_transition_that_crosses_a_threshold_tells_it() {
    let mut draft = draft(&Account::new(user()), &[]);
    for (n, size_bytes) in (1..).zip([79, 1, 14, 1, 5]) {
        reserve(&mut draft, n, size_bytes);
    }
    let crossed_at: Vec<Option<u8>> =
        draft.into_write().0.entries.iter().map(|entry| entry.threshold_percent).collect();
    assert_eq!(crossed_at, [None, Some(80), None, Some(95), Some(100)]);
}

#[test]
fn a_lower_limit_crosses_thresholds_too() {
    let check = |taken_bytes, limits: [u64; 2], expected: Option<u8>| {
        let [before, after] = limits.map(|limit_bytes| Level { taken_bytes, limit_bytes });
        assert_eq!(crossed(before, after), expected, "{taken_bytes} of {limits:?}");
    };
    check(50, [100, 60], Some(80));
    check(50, [100, 50], Some(100));
    check(50, [100, 1], Some(100));
    check(50, [60, 55], None);
    check(50, [60, 100], None);
    check(50, [100, 63], None);
    let mut draft = draft(&Account::new(user()), &[]);
    reserve(&mut draft, 1, 50);
    let lower = draft.account().set_quota(Some(52), NOW).expect("it is another");
    draft.push(&lower);
    let crossed_at: Vec<Option<u8>> =
        draft.into_write().0.entries.iter().map(|entry| entry.threshold_percent).collect();
    assert_eq!(crossed_at, [None, Some(95)]);
}
