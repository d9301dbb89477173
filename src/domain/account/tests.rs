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

fn remembered(key: u64, at: Timestamp, files: usize) -> Remembered {
    Remembered { key, body: u64::MAX, at, files: vec![file_id(255); files] }
}

#[test]
fn many_large_requests_take_no_more_room_than_many_small_ones() {
    let mut account = Account::new(user());
    for key in 0..1000 {
        account.remember(remembered(key, NOW, 32));
        let files: usize = account.idempotency.iter().map(|known| known.files.len()).sum();
        assert!(files <= IDEMPOTENCY_FILES_MAX, "{files}");
    }
    assert_eq!(account.idempotency.len() * 32, IDEMPOTENCY_FILES_MAX);
    assert_eq!(account.idempotency.back().map(|known| known.key), Some(999), "the newest stay");
}

// proves: I25
#[test]
fn the_largest_account_is_small() {
    let mut account = Account::new(user());
    account.subject = Some("s".repeat(255));
    let last = Timestamp::from_millis(u64::MAX);
    for n in 0..IDEMPOTENCY_KEYS_MAX {
        account.remember(remembered(u64::MAX, last, IDEMPOTENCY_FILES_MAX / IDEMPOTENCY_KEYS_MAX));
        let file = FileId::from_uuid(uuid::Uuid::from_u128(u128::MAX - u128::try_from(n).unwrap()));
        account.pending.insert(file, Reservation { size_bytes: u64::MAX, release_at: last });
    }
    let bytes = postcard::to_allocvec(&account).unwrap().len();
    assert!((16 << 10..=crate::limits::ACCOUNT_BYTES_MAX).contains(&bytes), "{bytes} bytes");
}

// proves: I9
#[test]
fn a_request_is_forgotten_with_the_first_change_after_its_day() {
    let (mut account, row) = processed(10);
    account.remember(remembered(1, NOW, 1));
    account.remember(remembered(2, NOW.after(std::time::Duration::from_secs(60)), 1));
    let change = |account: &mut Account, at: Timestamp| {
        let transition = account.set_quota(Some(at.as_millis()), at).expect("another quota");
        account.apply(&transition);
        account.idempotency.iter().map(|known| known.key).collect::<Vec<_>>()
    };
    let day = IDEMPOTENCY_TTL;
    assert_eq!(change(&mut account, NOW.after(day).before(std::time::Duration::from_millis(1))), [1, 2]);
    assert_eq!(change(&mut account, NOW.after(day)), [2]);
    assert_eq!(row.size_bytes, 10);
}
