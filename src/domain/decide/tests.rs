//! Reserve, settle, expire: each way they can go.

use super::*;
use crate::domain::file::PublicStatus;
use crate::domain::samples::{
    NOW, asked, file_id, observed, pending, processed, row_of, rows, rules, upload, user,
};

const MILLI: Duration = Duration::from_millis(1);

/// The outcome of a reservation, in one word.
fn reserved(account: &Account, asked: &Reserve, now: Timestamp) -> &'static str {
    repeated(account, asked, None, now)
}

/// The outcome of a reservation, in one word, if this is remembered under the key.
fn repeated(account: &Account, asked: &Reserve, known: Option<&Remembered>, now: Timestamp) -> &'static str {
    match account.reserve(asked, known, &rules(), now) {
        Ok(Reservable::New { .. }) => "new",
        Ok(Reservable::Repeat(_)) => "repeat",
        Err(ReserveRefusal::QuotaExceeded { .. }) => "quota",
        Err(ReserveRefusal::TooManyFiles { .. }) => "files",
        Err(ReserveRefusal::TooManyPending { .. }) => "pending",
        Err(ReserveRefusal::Suspended) => "suspended",
        Err(ReserveRefusal::IdempotencyReused) => "reused",
    }
}

fn apply(account: &mut Account, asked: &Reserve, now: Timestamp) -> Option<Remembered> {
    let Ok(Reservable::New { transitions, remember }) = account.reserve(asked, None, &rules(), now) else {
        panic!("this fits")
    };
    transitions.iter().for_each(|transition| account.apply(transition));
    remember
}

// proves: I3
#[test]
fn a_batch_is_reserved_to_the_last_byte_and_not_beyond() {
    let account = Account::new(user());
    let batch = |sizes: &[u64]| asked((1..).zip(sizes).map(|(n, size)| upload(n, *size)));
    assert_eq!(reserved(&account, &batch(&[60, 40]), NOW), "new");
    assert_eq!(reserved(&account, &batch(&[60, 41]), NOW), "quota");
    assert_eq!(reserved(&account, &batch(&[u64::MAX, u64::MAX]), NOW), "quota");
    assert_eq!(reserved(&account, &batch(&[0; 5]), NOW), "new");
    assert_eq!(reserved(&account, &batch(&[0; 6]), NOW), "files");
    let outcome = account.reserve(&batch(&[101]), None, &rules(), NOW).map(|_| ());
    let error = ReserveRefusal::QuotaExceeded {
        limit_bytes: 100,
        used_bytes: 0,
        reserved_bytes: 0,
        requested_bytes: 101,
    };
    assert_eq!(outcome, Err(error), "with the numbers");
}

// proves: I3
#[test]
fn used_and_reserved_bytes_both_count_and_a_limit_of_ones_own_wins() {
    let (mut account, _) = processed(50);
    apply(&mut account, &asked([upload(2, 30)]), NOW);
    assert_eq!(reserved(&account, &asked([upload(3, 20)]), NOW), "new");
    assert_eq!(reserved(&account, &asked([upload(3, 21)]), NOW), "quota");
    account.quota_bytes = Some(101);
    assert_eq!(reserved(&account, &asked([upload(3, 21)]), NOW), "new");
    account.quota_bytes = Some(10);
    assert_eq!(reserved(&account, &asked([upload(3, 1)]), NOW), "quota", "over it already: nothing new");
    assert_eq!(reserved(&account, &asked([upload(3, 0)]), NOW), "quota", "not even an empty file");
}

// proves: I25
#[test]
fn open_reservations_are_counted() {
    let mut account = Account::new(user());
    let reservation = crate::domain::account::Reservation { size_bytes: 0, release_at: NOW };
    for n in 0..PENDING_MAX {
        let id = FileId::from_uuid(uuid::Uuid::from_u128(u128::try_from(n).expect("a small number")));
        account.pending.insert(id, reservation);
    }
    assert_eq!(reserved(&account, &asked([upload(1, 1)]), NOW), "pending");
    account.pending.pop_first();
    assert_eq!(reserved(&account, &asked([upload(1, 1)]), NOW), "new");
    assert_eq!(reserved(&account, &asked([upload(1, 1), upload(2, 1)]), NOW), "pending");
}

#[test]
fn a_suspended_account_takes_nothing_new() {
    let mut account = Account::new(user());
    account.apply(&account.set_state(AccountState::Suspended, NOW).expect("it was active"));
    assert_eq!(reserved(&account, &asked([upload(1, 1)]), NOW), "suspended");
    assert_eq!(account.set_state(AccountState::Suspended, NOW), None, "it is so already");
    account.apply(&account.set_state(AccountState::Active, NOW).expect("it was suspended"));
    assert_eq!(reserved(&account, &asked([upload(1, 1)]), NOW), "new");
}

// proves: I9
#[test]
fn an_idempotency_key_answers_for_a_day_and_for_one_body_only() {
    let key =
        |key, body, n| Reserve { idempotency: Some(IdempotencyKey { key, body }), ..asked([upload(n, 10)]) };
    let mut account = Account::new(user());
    let known = apply(&mut account, &key(7, 1, 1), NOW);
    let known = known.as_ref();
    let repeat = account.reserve(&key(7, 1, 2), known, &rules(), NOW);
    assert_eq!(repeat, Ok(Reservable::Repeat(vec![file_id(1)])), "the first one's file");
    assert_eq!(repeated(&account, &key(7, 2, 2), known, NOW), "reused");
    assert_eq!(repeated(&account, &key(8, 2, 2), None, NOW), "new");
    assert_eq!(
        repeated(&account, &asked([upload(2, 10)]), known, NOW),
        "new",
        "without a key nothing repeats"
    );
    let day = limits::IDEMPOTENCY_TTL;
    assert_eq!(repeated(&account, &key(7, 1, 2), known, NOW.after(day).before(MILLI)), "repeat");
    assert_eq!(repeated(&account, &key(7, 2, 2), known, NOW.after(day)), "new");
    account.state = AccountState::Suspended;
    assert_eq!(
        repeated(&account, &key(7, 1, 2), known, NOW),
        "suspended",
        "a repeat is signed anew, so it is refused too"
    );
}

// proves: I4
#[test]
fn rows_of_deleted_files_count_against_a_bound_of_their_own() {
    let (mut account, _) = processed(10);
    account.row_count = 7;
    let check = |rows_max, expected: Result<(), ReserveRefusal>| {
        let rules = Rules { rows_max, ..rules() };
        let outcome = account.reserve(&asked([upload(2, 1), upload(3, 1)]), None, &rules, NOW);
        assert_eq!(outcome.map(|_| ()), expected);
    };
    check(9, Ok(()));
    check(8, Err(ReserveRefusal::TooManyFiles { files_max: 5 }));
}

#[test]
fn a_forgotten_file_looks_deleted_by_its_owner() {
    let row = upload(1, 10).forgotten(file_id(9), NOW);
    assert_eq!(
        (row.file_id, row.status, row.public_status()),
        (file_id(9), Status::Gone, PublicStatus::Hidden)
    );
}

#[test]
fn a_try_that_was_taken_for_lost_is_a_repeat() {
    let mut account = Account::new(user());
    let batch = asked([upload(1, 60), upload(2, 10)]);
    apply(&mut account, &batch, NOW);
    let again = account.reserve(&batch, None, &rules(), NOW);
    assert_eq!(again, Ok(Reservable::Repeat(vec![file_id(1), file_id(2)])), "not counted twice");
}

// proves: I8 F10
#[test]
fn a_reservation_outlives_its_url_the_longest_upload_and_the_news() {
    let (account, row) = pending(10);
    let release_at = account.pending[&row.file_id].release_at;
    let chain =
        limits::UPLOAD_URL_TTL + limits::UPLOAD_DURATION_MAX + limits::CLOCK_SKEW_MAX + limits::EVENT_LAG_MAX;
    assert_eq!(release_at, NOW.after(chain));
    assert_eq!(account.expire(&row, release_at), None, "not yet");
    let transition = account.expire(&row, release_at.after(MILLI)).expect("now it is due");
    assert_eq!((transition.kind, row_of(&transition).status), (EntryKind::Expired, Status::Expired));
}

#[test]
fn only_pending_files_expire() {
    let (account, _) = pending(10);
    let late = rules().release_at(NOW).after(MILLI);
    for (name, row) in rows() {
        let expires = account.expire(&row, late).is_some();
        assert_eq!(expires, name == "pending" || name == "cancelled", "{name}");
    }
    let (other, row) = processed(10);
    assert_eq!(other.expire(&row, late), None, "no reservation, nothing to end");
}

// proves: I6 I22
#[test]
fn what_settling_comes_to_depends_on_where_the_file_stands() {
    let (account, _) = pending(10);
    let settled = |name: &str, row: &File| match account.settle(row, &observed(10), &rules(), NOW) {
        Settlement::Transition(transition) => {
            assert_eq!(row_of(&transition).revision, row.revision + 1, "{name}");
            format!("{:?}", row_of(&transition).status)
        }
        Settlement::Done => "done".to_owned(),
        Settlement::Remove => "remove".to_owned(),
    };
    let all: Vec<String> =
        rows().iter().map(|(name, row)| format!("{name}: {}", settled(name, row))).collect();
    let expected = [
        "pending: Processed",
        "cancelled: Deleting",
        "processed: done",
        "trashed: done",
        "deleting: remove",
        "failed: remove",
        "gone: remove",
        "expired: Processed",
        "expired_cancelled: Deleting",
    ];
    assert_eq!(all, expected);
}

/// The reason against this object for a pending file of 10 bytes, `text/plain`, if any.
fn reason_against(seen: &Observed, declared: Option<Sha256>) -> Option<Reason> {
    let (account, mut row) = pending(10);
    row.checksum_sha256 = declared;
    let Settlement::Transition(transition) = account.settle(&row, seen, &rules(), NOW) else {
        panic!("a pending file moves")
    };
    let after = row_of(&transition);
    if after.reason.is_none() {
        assert_eq!((transition.kind, after.status), (EntryKind::Processed, Status::Processed));
        assert_eq!(after.size_bytes, seen.size_bytes);
    } else {
        assert_eq!((transition.kind, after.status), (EntryKind::Failed, Status::Deleting));
    }
    after.reason
}

#[test]
fn an_object_that_is_not_what_was_declared_goes_with_a_reason() {
    let (sum, other) = (Sha256([1; 32]), Sha256([2; 32]));
    let typed = |content_type: &str| Observed { content_type: Some(content_type.to_owned()), ..observed(10) };
    let summed = |sum| Observed { checksum_sha256: sum, ..observed(10) };
    let rejected = Observed { rejected: Some(Reason::Malware), ..observed(10) };
    assert_eq!(reason_against(&observed(10), None), None);
    assert_eq!(reason_against(&observed(9), None), None, "fewer bytes are fine, and counted as they are");
    assert_eq!(reason_against(&observed(11), None), Some(Reason::Size));
    assert_eq!(reason_against(&summed(Some(sum)), Some(sum)), None);
    assert_eq!(reason_against(&summed(Some(other)), Some(sum)), Some(Reason::Checksum));
    assert_eq!(reason_against(&summed(Some(sum)), None), None);
    assert_eq!(reason_against(&summed(None), Some(sum)), None, "the bucket does not know");
    assert_eq!(reason_against(&typed("TEXT/Plain"), None), None);
    assert_eq!(reason_against(&typed("text/html"), None), Some(Reason::Type));
    assert_eq!(reason_against(&Observed { content_type: None, ..observed(10) }, None), None);
    assert_eq!(reason_against(&rejected, None), Some(Reason::Malware));
}

#[test]
fn a_settled_file_knows_its_bytes_and_its_way() {
    let (account, row) = pending(10);
    let seen = Observed { checksum_sha256: Some(Sha256([3; 32])), ..observed(8) };
    let Settlement::Transition(transition) = account.settle(&row, &seen, &rules(), NOW.after(MILLI)) else {
        panic!("a pending file moves")
    };
    let after = row_of(&transition);
    assert_eq!(
        (after.size_bytes, after.etag.as_deref(), after.checksum_sha256),
        (8, Some("e"), Some(Sha256([3; 32])))
    );
    assert_eq!(after.processed_at, Some(NOW.after(MILLI)));
    assert_eq!(after.hops.iter().map(|(hop, _)| *hop).collect::<Vec<_>>(), Hop::ALL);
}

// proves: I3 F10
#[test]
fn bytes_that_come_after_their_reservation_are_kept_only_if_they_still_fit() {
    let (mut account, row) = pending(60);
    let late = rules().release_at(NOW).after(MILLI);
    let expiry = account.expire(&row, late).expect("it is due");
    account.apply(&expiry);
    let row = row_of(&expiry);
    let reason = |account: &Account, size| match account.settle(&row, &observed(size), &rules(), late) {
        Settlement::Transition(transition) => row_of(&transition).reason,
        Settlement::Done | Settlement::Remove => panic!("an expired file moves"),
    };
    assert_eq!(reason(&account, 60), None);
    assert_eq!(reason(&account, 61), Some(Reason::Size), "what is wrong with it comes first");
    let suspended = Account { state: AccountState::Suspended, ..account.clone() };
    assert_eq!(reason(&suspended, 60), Some(Reason::Quota));
    apply(&mut account, &asked([upload(2, 41)]), late);
    assert_eq!(reason(&account, 60), Some(Reason::Quota), "somebody else has the room");
    assert_eq!(reason(&account, 59), None);
    for n in 3..=6 {
        apply(&mut account, &asked([upload(n, 0)]), late);
    }
    assert_eq!(reason(&account, 59), Some(Reason::Quota), "or the place");
}

#[test]
fn a_limit_changes_once() {
    let mut account = Account::new(user());
    assert_eq!(account.set_quota(None, NOW), None);
    account.apply(&account.set_quota(Some(7), NOW).expect("it is new"));
    assert_eq!((account.quota_bytes, account.version), (Some(7), 1));
    assert_eq!(account.set_quota(Some(7), NOW), None);
    account.apply(&account.set_quota(None, NOW).expect("back to the default"));
    assert_eq!(account.limit_bytes(100), 100);
}

#[test]
fn refusals_say_what_is_wrong_and_with_what_numbers() {
    let quota = ReserveRefusal::QuotaExceeded {
        limit_bytes: 4,
        used_bytes: 1,
        reserved_bytes: 2,
        requested_bytes: 3,
    };
    assert_eq!(quota.to_string(), "quota exceeded: 3 bytes asked, 1 used and 2 reserved of 4");
    assert_eq!(ReserveRefusal::TooManyFiles { files_max: 5 }.to_string(), "a user may have 5 files");
    assert_eq!(
        ReserveRefusal::TooManyPending { pending_max: 6 }.to_string(),
        "a user may have 6 uploads open"
    );
}

#[test]
fn a_cancelled_file_shows_as_failed_wherever_it_stands() {
    for (name, row) in rows().into_iter().filter(|(name, _)| name.contains("cancelled")) {
        assert_eq!(row.public_status(), PublicStatus::Failed("cancelled"), "{name}");
    }
}
