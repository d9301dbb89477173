//! What tests of this folder start from.

use uuid::Uuid;

use super::account::{Account, Change, Transition};
use super::decide::{NewUpload, Observed, Reservable, Reserve, Rules, Settlement};
use super::file::{File, Visibility};
use super::ids::{FileId, OpId, UserId};
use super::time::Timestamp;
use super::transitions::Removal;

/// Some time in November 2026.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_795_169_642_000);

/// Rules with a limit of 100 bytes and 5 files.
pub(super) fn rules() -> Rules {
    Rules { quota_bytes_default: 100, files_max: 5, ..Rules::default() }
}

pub(super) fn user() -> UserId {
    UserId::from_uuid(Uuid::from_u128(0x0199_a3c4_0000_7000_8000_0000_0000_0001))
}

pub(super) fn op() -> OpId {
    OpId::from_uuid(Uuid::from_u128(0x0199_a3c4_0000_7000_8000_0000_0000_00ff))
}

pub(super) fn file_id(n: u8) -> FileId {
    FileId::from_uuid(Uuid::from_u128(0x0199_a3c4_0000_7000_8000_0000_0000_1000 | u128::from(n)))
}

pub(super) fn upload(n: u8, size_bytes: u64) -> NewUpload {
    NewUpload {
        file_id: file_id(n),
        filename: format!("{n}.txt"),
        content_type: "text/plain".to_owned(),
        size_bytes,
        checksum_sha256: None,
        visibility: Visibility::Private,
        multipart: None,
        traceparent: None,
    }
}

pub(super) fn asked(uploads: impl IntoIterator<Item = NewUpload>) -> Reserve {
    Reserve { uploads: uploads.into_iter().collect(), idempotency: None, subject: None }
}

pub(super) fn observed(size_bytes: u64) -> Observed {
    Observed {
        size_bytes,
        etag: "e".to_owned(),
        checksum_sha256: None,
        content_type: Some("text/plain".to_owned()),
        landed_at: NOW,
        seen_at: NOW,
        inspected_at: NOW,
        rejected: None,
    }
}

/// The row that a transition leaves.
pub(super) fn row_of(transition: &Transition) -> File {
    match &transition.change {
        Change::File { after, .. } => (**after).clone(),
        Change::Quota(_) | Change::State(_) => panic!("this moves no file: {transition:?}"),
    }
}

/// An account with one pending file of this size, and the file's row.
pub(super) fn pending(size_bytes: u64) -> (Account, File) {
    let mut account = Account::new(user());
    let Ok(Reservable::New { transitions, .. }) =
        account.reserve(&asked([upload(1, size_bytes)]), None, &rules(), NOW)
    else {
        panic!("{size_bytes} bytes fit into an empty account")
    };
    account.apply(&transitions[0]);
    let row = row_of(&transitions[0]);
    (account, row)
}

/// An account with one processed file of this size, and the file's row.
pub(super) fn processed(size_bytes: u64) -> (Account, File) {
    let (mut account, row) = pending(size_bytes);
    let Settlement::Transition(transition) = account.settle(&row, &observed(size_bytes), &rules(), NOW)
    else {
        panic!("a pending file settles")
    };
    account.apply(&transition);
    (account, row_of(&transition))
}

/// A row in each status, named; a cancelled pending one and an expired cancelled one too.
pub(super) fn rows() -> Vec<(&'static str, File)> {
    let (account, pending) = pending(10);
    let (_, processed) = processed(10);
    let late = rules().release_at(NOW).after(std::time::Duration::from_millis(1));
    let after = |transition: Option<Transition>| row_of(&transition.expect("it moves"));
    let cancelled = after(pending.remove(Removal::Trash, NOW));
    let trashed = after(processed.remove(Removal::Trash, NOW));
    let deleting = after(processed.remove(Removal::Permanent, NOW));
    let gone = after(deleting.purged(NOW));
    let expired = after(account.expire(&pending, late));
    let expired_cancelled = after(account.expire(&cancelled, late));
    let failed = match account.settle(&pending, &observed(11), &rules(), NOW) {
        Settlement::Transition(transition) => row_of(&transition),
        Settlement::Done | Settlement::Remove => panic!("too large a file fails"),
    };
    vec![
        ("pending", pending),
        ("cancelled", cancelled),
        ("processed", processed),
        ("trashed", trashed),
        ("deleting", deleting),
        ("failed", failed),
        ("gone", gone),
        ("expired", expired),
        ("expired_cancelled", expired_cancelled),
    ]
}
