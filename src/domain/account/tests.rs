//! Applying what is decided, and remembering requests.

use super::*;
use crate::domain::file::Weight;
use crate::domain::samples::{NOW, file_id, processed, user};

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
    let settled = totals.moved(of(0, 20, 0, 1), of(15, 0, 0, 1));
    assert_eq!(settled, Totals { used_bytes: 115, reserved_bytes: 0, ..totals });
    let deleted = totals.moved(of(30, 0, 30, 1), Weight::default());
    assert_eq!(deleted, Totals { used_bytes: 70, trashed_bytes: 0, file_count: 3, ..totals });
}

#[test]
fn the_oldest_request_makes_room() {
    let mut account = Account::new(user());
    for key in 0..=u64::try_from(IDEMPOTENCY_KEYS_MAX).expect("a small number") {
        account.remember(Remembered { key, body: 0, at: NOW, files: vec![file_id(1)] });
    }
    assert_eq!(account.idempotency.len(), IDEMPOTENCY_KEYS_MAX);
    assert_eq!(account.idempotency.front().map(|known| known.key), Some(1));
}
