//! What a reserved file is signed for, and for how long.

use std::time::Duration;

use crate::domain::decide::Rules;
use crate::domain::file::{File, PublicStatus};
use crate::domain::ids::ObjectKey;
use crate::domain::metadata::metadata_of;
use crate::domain::time::Timestamp;
use crate::ports::UploadGrant;

/// How long the URL of a reserved file may live: no longer than its bytes stay set aside for it. None if there is
/// nothing left to upload, or too little time.
pub(in crate::http) fn ttl_of(
    file: &File,
    release_at: Option<Timestamp>,
    url_ttl: Duration,
    now: Timestamp,
) -> Option<Duration> {
    let release_at = release_at.filter(|_| file.public_status() == PublicStatus::Pending)?;
    let left = release_at.before(Rules::GRACE).since(now);
    let whole = Duration::from_secs(left.min(url_ttl).as_secs());
    (!whole.is_zero()).then_some(whole)
}

/// What an upload of this file is signed for.
pub(in crate::http) fn grant_of(key: ObjectKey, file: &File, ttl: Duration, now: Timestamp) -> UploadGrant {
    UploadGrant {
        key,
        size_bytes: file.size_bytes,
        content_type: file.content_type.clone(),
        checksum_sha256: file.checksum_sha256,
        metadata: metadata_of(file.file_id, &file.filename, file.size_bytes),
        now,
        ttl,
    }
}

#[cfg(test)]
mod tests;
