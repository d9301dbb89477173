//! Each invariant can be broken, and then says so.

use super::*;
use crate::domain::draft::Draft;
use crate::domain::file::Visibility;
use crate::domain::samples::{NOW, asked, op, pending, processed, rules, upload, user};
use crate::domain::transitions::Removal;

/// A write that is right: one file reserved beside one that is processed.
fn good() -> (Write, Vec<File>) {
    let (account, row) = processed(10);
    let mut draft = Draft::new(account, BTreeMap::from([(row.file_id, Box::new(row))]), op(), 100);
    let asked = asked([upload(2, 20)]);
    let outcome = draft.account().reserve(&asked, None, &rules(), NOW);
    let Ok(crate::domain::decide::Reservable::New { transitions, .. }) = outcome else { panic!("it fits") };
    transitions.iter().for_each(|transition| draft.push(transition));
    let (write, rows) = draft.into_write();
    (write, rows.into_values().map(|row| *row).collect())
}

/// The verdict on a good write after this edit.
fn broken(damage: impl FnOnce(&mut Write)) -> String {
    let (mut write, _) = good();
    assert_eq!(check_write(&write), Ok(()));
    damage(&mut write);
    check_write(&write).map_or_else(|broken| broken.to_string(), |()| "holds".to_owned())
}

/// The verdict on good rows after this edit.
fn broken_rows(damage: impl FnOnce(&mut Vec<File>)) -> String {
    let (write, mut rows) = good();
    assert_eq!(check_rows(&write.account, &rows), Ok(()));
    damage(&mut rows);
    check_rows(&write.account, &rows).map_or_else(|broken| broken.to_string(), |()| "holds".to_owned())
}

// proves: I2
#[test]
fn reserved_bytes_are_the_open_reservations() {
    let text = broken(|write| write.account.pending.clear());
    assert_eq!(text, "I2: 20 bytes reserved, but open reservations sum to 0");
    let text = broken(|write| write.account.totals.reserved_bytes = 21);
    assert_eq!(text, "I2: 21 bytes reserved, but open reservations sum to 20");
}

// proves: I3
#[test]
fn a_reservation_stays_inside_the_limit() {
    assert_eq!(broken(|write| write.entries[0].limit_bytes = 30), "holds");
    let text = broken(|write| write.entries[0].limit_bytes = 29);
    assert_eq!(text, "I3: 30 bytes taken of 29 after a new reservation");
    let other = broken(|write| {
        write.entries[0].limit_bytes = 29;
        write.entries[0].kind = EntryKind::QuotaChanged;
    });
    assert_eq!(other, "holds", "an admin may lower the limit below what is taken");
}

// proves: I5 I28
#[test]
fn entries_count_the_versions() {
    let text = "I5: entries do not lead from version 2 to";
    assert_eq!(broken(|write| write.account.version = 4), format!("{text} 4"));
    assert_eq!(broken(|write| write.entries[0].version = 4), format!("{text} 3"));
    assert_eq!(broken(|write| write.entries.clear()), format!("{text} 3"));
    assert_eq!(
        broken(|write| write.account.published = 4),
        format!("{text} 3"),
        "published what is not there"
    );
    let text = broken(|write| write.expected = None);
    assert_eq!(text, "I5: entries do not lead from version 0 to 3");
}

// proves: I28
#[test]
fn the_last_entry_says_what_the_account_says() {
    let text = broken(|write| write.account.totals.used_bytes += 1);
    assert!(text.starts_with("I28: the last entry says Totals"), "{text}");
    let text = broken(|write| write.entries[0].totals.file_count = 9);
    assert!(text.starts_with("I28: "), "{text}");
}

#[test]
fn a_write_without_entries_may_only_move_marks() {
    let (account, _) = processed(10);
    let mut draft = Draft::new(account, BTreeMap::new(), op(), 100);
    draft.mark_published(2);
    assert_eq!(check_write(&draft.into_write().0), Ok(()));
}

// proves: I1 I4
#[test]
fn sums_are_the_sums_of_the_rows() {
    for damage in [
        |rows: &mut Vec<File>| rows[0].size_bytes += 1,
        |rows: &mut Vec<File>| rows[1].size_bytes += 1,
        |rows: &mut Vec<File>| drop(rows.pop()),
        |rows: &mut Vec<File>| rows[0].status = Status::Trashed,
        |rows: &mut Vec<File>| rows[0].status = Status::Gone,
    ] {
        let text = broken_rows(damage);
        assert!(text.starts_with("I1: sums Totals"), "{text}");
    }
    let renamed = broken_rows(|rows| {
        rows[0].filename = "other".to_owned();
        rows[0].visibility = Visibility::Team;
    });
    assert_eq!(renamed, "holds");
}

// proves: I2
#[test]
fn open_reservations_are_the_pending_rows_one_by_one() {
    let text = broken_rows(|rows| rows[1].file_id = crate::domain::samples::file_id(9));
    assert!(text.starts_with("I2: "), "the sum is right, the file is not: {text}");
}

// proves: I8
#[test]
fn a_cancelled_file_stays_reserved() {
    let (mut account, row) = pending(10);
    let transition = row.remove(Removal::Permanent, NOW).expect("it moves");
    account.apply(&transition);
    let row = crate::domain::samples::row_of(&transition);
    assert_eq!((account.totals.reserved_bytes, account.pending.len()), (10, 1));
    assert_eq!(check_rows(&account, [&row]), Ok(()));
}

#[test]
fn an_empty_account_is_right() {
    assert_eq!(check_rows(&Account::new(user()), []), Ok(()));
}

#[test]
fn an_account_knows_how_many_of_its_files_are_being_deleted() {
    let mut account = Account::new(user());
    account.deleting_count = 1;
    let text = check_rows(&account, []).unwrap_err().to_string();
    assert_eq!(text, "I17: 1 files counted as deleting, but 0 are");
}

#[test]
fn drift_is_told_in_bytes() {
    let (mut account, row) = processed(10);
    let mut tally = Tally::default();
    tally.add(&row);
    assert_eq!(tally.check(&account), Ok(()));
    account.totals.used_bytes = 3;
    account.totals.trashed_bytes = 2;
    assert_eq!(tally.check(&account).map_err(|broken| broken.bytes_apart()), Err(9));
    let (mut account, row) = pending(10);
    let mut tally = Tally::default();
    tally.add(&row);
    account.pending.clear();
    assert_eq!(tally.check(&account).map_err(|broken| broken.bytes_apart()), Err(10));
}

#[test]
fn what_is_in_the_trash_is_used_and_what_is_reserved_is_a_file() {
    let text = broken(|write| write.account.totals.trashed_bytes = 11);
    assert_eq!(text, "I1: 11 bytes trashed of 10 used");
    let text = broken(|write| write.account.totals.file_count = 0);
    assert_eq!(text, "I4: 0 files with 1 open reservations; there may be 50000");
    let text = broken(|write| {
        write.account.totals.file_count = 50_001;
        write.account.row_count = 50_001;
        write.entries[0].totals.file_count = 50_001;
    });
    assert_eq!(text, "I4: 50001 files with 1 open reservations; there may be 50000");
}

// proves: I4 I28
#[test]
fn there_is_a_row_for_each_file_and_nothing_is_trimmed_that_is_not_published() {
    let text = broken(|write| write.account.row_count = 0);
    assert!(text.starts_with("I4: 0 rows for "), "{text}");
    let text = broken(|write| write.account.history_floor = write.account.published + 1);
    assert!(text.starts_with("I28: entries are trimmed up to version "), "{text}");
}

#[test]
fn a_row_that_counts_for_more_than_the_account_has_breaks_the_draft() {
    let check = |size_bytes: u64, expected: bool| {
        let (account, mut row) = processed(10);
        row.size_bytes = size_bytes;
        let rows = BTreeMap::from([(row.file_id, Box::new(row.clone()))]);
        let mut draft = Draft::new(account, rows, op(), 100);
        draft.push(&row.remove(Removal::Permanent, NOW).expect("it moves"));
        assert_eq!(draft.broken().is_some(), expected, "{size_bytes}");
    };
    check(10, false);
    check(11, true);
}
