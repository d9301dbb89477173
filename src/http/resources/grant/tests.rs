//! What a reservation is signed for, and for how long.

use super::*;
use crate::domain::file::{Reason, Status, Visibility};
use crate::domain::ids::FileId;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const URL_TTL: Duration = Duration::from_secs(900);

fn file(status: Status, reason: Option<Reason>) -> File {
    File {
        file_id: FileId::parse("0199a3c4-0000-7000-8000-000000000001").unwrap(),
        status,
        reason,
        size_bytes: 5,
        filename: "ü \".txt".to_owned(),
        content_type: "text/plain".to_owned(),
        checksum_sha256: None,
        etag: None,
        visibility: Visibility::Private,
        created_at: NOW,
        processed_at: None,
        trashed_at: None,
        changed_at: NOW,
        revision: 1,
        hops: Vec::new(),
        multipart: None,
        traceparent: None,
        uploads_end_at: None,
    }
}

fn check_ttl(file: &File, left: Option<Duration>, expected: Option<u64>) {
    let release_at = left.map(|left| NOW.after(left).after(Rules::GRACE));
    let ttl = ttl_of(file, release_at, URL_TTL, NOW);
    assert_eq!(ttl, expected.map(Duration::from_secs), "{file:?} {left:?}");
}

// proves: I8
#[test]
fn a_url_dies_before_its_reservation() {
    let pending = file(Status::Pending, None);
    check_ttl(&pending, Some(URL_TTL), Some(900));
    check_ttl(&pending, Some(URL_TTL * 2), Some(900));
    check_ttl(&pending, Some(Duration::from_millis(2_999)), Some(2));
    check_ttl(&pending, Some(Duration::from_millis(999)), None);
    check_ttl(&pending, Some(Duration::ZERO), None);
    check_ttl(&pending, None, None);
}

// proves: I7
#[test]
fn only_a_pending_file_gets_a_url() {
    check_ttl(&file(Status::Pending, Some(Reason::Cancelled)), Some(URL_TTL), None);
    for status in Status::ALL.into_iter().filter(|status| *status != Status::Pending) {
        check_ttl(&file(status, None), Some(URL_TTL), None);
    }
}

#[test]
fn what_is_signed_names_the_file() {
    let file = file(Status::Pending, None);
    let user = crate::domain::ids::UserId::from_subject("issuer", "alice").unwrap();
    let grant = grant_of(ObjectKey { user, file: file.file_id }, &file, URL_TTL, NOW);
    assert_eq!(
        grant.metadata,
        [
            ("file-id".to_owned(), file.file_id.to_string()),
            ("name".to_owned(), "%C3%BC%20%22%2Etxt".to_owned()),
            ("size".to_owned(), "5".to_owned()),
        ]
    );
}
