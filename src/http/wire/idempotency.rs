//! `Idempotency-Key`: the name under which a request is carried out at most once.

use aws_lc_rs::digest::{SHA256, digest};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use crate::domain::decide::IdempotencyKey;
use crate::http::error::{ErrorCode, Problem};
use crate::limits;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The request's name, if it has one: hashes of the key and of the body as it came.
///
/// # Errors
/// `idempotency_key_invalid`.
pub(in crate::http) fn idempotency_of(
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Option<IdempotencyKey>, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter().map(HeaderValue::as_bytes);
    let Some(key) = keys.next() else { return Ok(None) };
    let is_printable = key.iter().all(|b| (b' '..=b'~').contains(b));
    let is_sized = (1..=limits::IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len());
    if !is_printable || !is_sized || keys.next().is_some() {
        let detail =
            format!("One key of 1 to {} printable ASCII characters.", limits::IDEMPOTENCY_KEY_BYTES_MAX);
        return Err(Problem::new(ErrorCode::IdempotencyKeyInvalid).detail(detail));
    }
    Ok(Some(IdempotencyKey { key: hash(key), body: hash(body) }))
}

/// The first 64 bits of the SHA-256. Among the few keys of one user that is collision-free in practice, and a
/// caller who searches for a collision finds only their own file.
fn hash(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&digest(&SHA256, bytes).as_ref()[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(
            hash(b"abc"),
            0xba78_16bf_8f01_cfea,
            "the start of SHA-256, or repeats would reserve again"
        );
    }
}
