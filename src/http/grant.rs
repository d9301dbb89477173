//! What a reserved file is signed for, and for how long.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::domain::decide::Rules;
use crate::domain::file::{File, Shown};
use crate::domain::ids::ObjectKey;
use crate::domain::time::Timestamp;
use crate::ports::UploadGrant;

/// How long the URL of a reserved file may live: no longer than its bytes stay set aside for it. None if there is
/// nothing left to upload, or too little time.
pub(super) fn ttl_of(
    file: &File,
    release_at: Option<Timestamp>,
    url_ttl: Duration,
    now: Timestamp,
) -> Option<Duration> {
    let release_at = release_at.filter(|_| file.shown() == Shown::Pending)?;
    let left = release_at.before(Rules::GRACE).since(now);
    let whole = Duration::from_secs(left.min(url_ttl).as_secs());
    (!whole.is_zero()).then_some(whole)
}

/// What an upload of this file is signed for.
pub(super) fn grant_of(key: ObjectKey, file: &File, ttl: Duration, now: Timestamp) -> UploadGrant {
    let name = utf8_percent_encode(&file.filename, NON_ALPHANUMERIC).to_string();
    UploadGrant {
        key,
        size_bytes: file.size_bytes,
        content_type: file.content_type.clone(),
        checksum_sha256: file.checksum_sha256,
        metadata: vec![
            ("file-id".to_owned(), file.file_id.to_string()),
            ("name".to_owned(), name),
            ("size".to_owned(), file.size_bytes.to_string()),
        ],
        now,
        ttl,
    }
}

#[cfg(test)]
mod tests;
