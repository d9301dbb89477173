//! Applying what is decided, and how large an account may get.

use super::*;
use crate::domain::file::Weight;
use crate::domain::samples::{NOW, processed, row_of, user};
use crate::domain::transitions::Removal;

#[test]
fn codes_read_back_and_the_rest_is_none() {
    for state in [AccountState::Active, AccountState::Suspended] {
        assert_eq!(AccountState::from_code(state.code()), Some(state));
    }
    assert_eq!(AccountState::from_code(2), None);
    assert_eq!((AccountState::Active.as_str(), AccountState::Suspended.as_str()), ("active", "suspended"));
}

#[test]
fn an_account_that_was_never_written_expects_no_version() {
    let (account, _) = processed(10);
    assert_eq!(Account::new(user()).expected_version(), None);
    assert_eq!(account.expected_version(), Some(2));
}

#[test]
fn what_is_free_is_never_negative() {
    let (mut account, _) = processed(10);
    assert_eq!(account.free_bytes(100), 90);
    account.quota_bytes = Some(3);
    assert_eq!(account.free_bytes(100), 0);
    account.totals.reserved_bytes = u64::MAX;
    assert_eq!(account.free_bytes(100), 0);
}

#[test]
fn sums_move_by_what_a_row_counted_before_and_after() {
    let of = |used_bytes, reserved_bytes, trashed_bytes, file_count| Weight {
        used_bytes,
        reserved_bytes,
        trashed_bytes,
        file_count,
        deleting_count: 0,
    };
    let totals = Totals { used_bytes: 100, reserved_bytes: 20, trashed_bytes: 30, file_count: 4 };
    let settled = totals.reweighed(of(0, 20, 0, 1), of(15, 0, 0, 1));
    assert_eq!(settled, Totals { used_bytes: 115, reserved_bytes: 0, ..totals });
    let deleted = totals.reweighed(of(30, 0, 30, 1), Weight::default());
    assert_eq!(deleted, Totals { used_bytes: 70, trashed_bytes: 0, file_count: 3, ..totals });
}

#[test]
fn rows_are_counted_when_they_are_made_and_dead_ones_are_those_that_count_for_nothing() {
    let (mut account, row) = processed(10);
    assert_eq!((account.row_count, account.dead_rows()), (1, 0));
    let deleted = row.remove(Removal::Permanent, NOW).expect("it moves");
    account.apply(&deleted);
    assert_eq!((account.row_count, account.dead_rows()), (1, 0), "its bytes are still to be removed");
    account.apply(&row_of(&deleted).purged(NOW).expect("it moves"));
    assert_eq!((account.row_count, account.dead_rows()), (1, 1));
}

// proves: I25
#[test]
fn the_largest_account_is_small() {
    let mut account = Account::new(user());
    account.subject = Some("s".repeat(255));
    let release_at = Timestamp::from_millis(u64::MAX);
    for n in 0..crate::limits::PENDING_MAX {
        let file = FileId::from_uuid(uuid::Uuid::from_u128(u128::MAX - u128::try_from(n).unwrap()));
        account.pending.insert(file, Reservation { size_bytes: u64::MAX, release_at });
    }
    let bytes = postcard::to_allocvec(&account).unwrap().len();
    assert!((8 << 10..=crate::limits::ACCOUNT_BYTES_MAX).contains(&bytes), "{bytes} bytes");
}

// proves: I9
#[test]
fn a_request_is_valid_for_its_day() {
    let request = Remembered { key: 1, body: 2, at: NOW, files: Vec::new() };
    assert!(request.is_valid(NOW.after(IDEMPOTENCY_TTL).before(std::time::Duration::from_millis(1))));
    assert!(!request.is_valid(NOW.after(IDEMPOTENCY_TTL)));
}
