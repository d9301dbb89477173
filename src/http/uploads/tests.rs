//! What a reservation is signed for, and for how long.

use super::*;
use crate::domain::file::{Reason, Status, Visibility};

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
    }
}

fn check_ttl(file: &File, left: Option<Duration>, expected: Option<u64>) {
    let release_at = left.map(|left| NOW.after(left).after(Rules::GRACE));
    let ttl = ttl_of(file, release_at, URL_TTL, NOW).map_err(|problem| problem.code());
    assert_eq!(ttl, expected.map(Duration::from_secs).ok_or(ErrorCode::UploadExpired), "{file:?} {left:?}");
}

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

fn check_key(keys: &[&[u8]], expected: Result<bool, ErrorCode>) {
    let keys = keys.iter().map(|key| (IDEMPOTENCY_KEY, HeaderValue::from_bytes(key).unwrap()));
    let mut headers = HeaderMap::new();
    for (name, value) in keys {
        headers.append(name, value);
    }
    let outcome = idempotency_of(&headers, b"{}").map(|found| found.is_some());
    assert_eq!(outcome.map_err(|problem| problem.code()), expected, "{headers:?}");
}

#[test]
fn an_idempotency_key_is_short_and_printable() {
    check_key(&[], Ok(false));
    check_key(&[b"3f6c 1"], Ok(true));
    check_key(&[&[b'x'; 255]], Ok(true));
    check_key(&[b""], Err(ErrorCode::IdempotencyKeyInvalid));
    check_key(&[&[b'x'; 256]], Err(ErrorCode::IdempotencyKeyInvalid));
    check_key(&["ü".as_bytes()], Err(ErrorCode::IdempotencyKeyInvalid));
    check_key(&[b"a", b"b"], Err(ErrorCode::IdempotencyKeyInvalid));
}

#[test]
fn the_hash_of_a_key_is_frozen() {
    assert_eq!(hash(b"abc"), 0xba78_16bf_8f01_cfea, "the start of SHA-256, or repeats would reserve again");
}
