//! What may happen to an account: reserve, settle, expire. Each function decides one transition and changes nothing.

use std::time::Duration;

use super::account::{Account, AccountState, Change, Remembered, Transition};
use super::entry::EntryKind;
use super::file::{File, Hop, Multipart, Reason, Sha256, Status, Visibility, Weight};
use super::ids::FileId;
use super::time::Timestamp;
use super::transitions::transition;
use crate::limits::{self, PENDING_MAX};

/// The operator's settings, as far as decisions depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The limit of accounts without one of their own.
    pub quota_bytes_default: u64,
    /// Files a user may have.
    pub files_max: u32,
    /// File rows of any status that a user may have; never below `files_max`.
    pub rows_max: u32,
    /// How long a signed upload may be started.
    pub upload_url_ttl: Duration,
}

impl Rules {
    /// How long after the URL's death its bytes may still come: the longest upload, skew and event lag.
    pub const GRACE: Duration = Duration::from_secs(
        limits::UPLOAD_DURATION_MAX.as_secs()
            + limits::CLOCK_SKEW_MAX.as_secs()
            + limits::EVENT_LAG_MAX.as_secs(),
    );

    /// When a reservation made now may end.
    #[must_use]
    pub fn release_at(&self, now: Timestamp) -> Timestamp {
        now.after(self.upload_url_ttl).after(Self::GRACE)
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            quota_bytes_default: limits::QUOTA_BYTES_DEFAULT,
            files_max: limits::FILES_MAX,
            rows_max: limits::ROWS_MAX,
            upload_url_ttl: limits::UPLOAD_URL_TTL,
        }
    }
}

/// A requested upload; its fields have been checked at the edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUpload {
    /// Made by us, before the first try, and kept over all tries.
    pub file_id: FileId,
    /// Normalised.
    pub filename: String,
    /// Lower case.
    pub content_type: String,
    /// Exact.
    pub size_bytes: u64,
    /// If the client declared one.
    pub checksum_sha256: Option<Sha256>,
    /// Its visibility once it is processed.
    pub visibility: Visibility,
    /// If it comes in chunks.
    pub multipart: Option<Multipart>,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
}

/// The name of a request that must not be carried out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Hash of the client's key.
    pub key: u64,
    /// Hash of the request's body.
    pub body: u64,
}

/// Some uploads, reserved all or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// 1 to [`limits::BATCH_UPLOADS_MAX`].
    pub uploads: Vec<NewUpload>,
    /// If the client gave one.
    pub idempotency: Option<IdempotencyKey>,
    /// The subject of the token; stored with the first write.
    pub subject: Option<String>,
}

/// Why nothing was reserved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReserveRefusal {
    /// The bytes do not fit.
    #[error(
        "quota exceeded: {requested_bytes} bytes asked, {used_bytes} used and {reserved_bytes} reserved of {limit_bytes}"
    )]
    QuotaExceeded {
        /// The account's limit.
        limit_bytes: u64,
        /// Bytes used.
        used_bytes: u64,
        /// Bytes reserved.
        reserved_bytes: u64,
        /// Bytes asked for.
        requested_bytes: u64,
    },
    /// The user has too many files.
    #[error("a user may have {files_max} files")]
    TooManyFiles {
        /// The bound.
        files_max: u32,
    },
    /// The user has too many open reservations.
    #[error("a user may have {pending_max} uploads open")]
    TooManyPending {
        /// The bound.
        pending_max: usize,
    },
    /// An admin suspended the account.
    #[error("the account is suspended")]
    Suspended,
    /// The idempotency key was used with another body.
    #[error("the idempotency key was used for another request")]
    IdempotencyReused,
}

/// The outcome of a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reservable {
    /// It is new: these transitions, and what to remember of it.
    New {
        /// One a file.
        transitions: Vec<Transition>,
        /// If it has an idempotency key.
        remember: Option<Remembered>,
    },
    /// It was carried out before, and made these files.
    Repeat(Vec<FileId>),
}

/// An object in the bucket, as a HEAD reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Its length.
    pub size_bytes: u64,
    /// Its `ETag`, without quotes.
    pub etag: String,
    /// Its SHA-256, if the bucket knows it.
    pub checksum_sha256: Option<Sha256>,
    /// Its content type.
    pub content_type: Option<String>,
    /// When it was complete.
    pub landed_at: Timestamp,
    /// When the bridge read its notification.
    pub seen_at: Timestamp,
    /// When the bucket answered.
    pub inspected_at: Timestamp,
    /// The reason for which a gate rejected it.
    pub rejected: Option<Reason>,
}

/// The outcome of an object's arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The file changes by this transition.
    Transition(Box<Transition>),
    /// The file is settled already: nothing to do.
    Done,
    /// The file is deleted or being deleted: the object must go, nothing else.
    Remove,
}

impl Account {
    /// Sets bytes aside for some uploads, all or none. `known` is what is remembered under the request's key.
    ///
    /// # Errors
    /// See [`ReserveRefusal`]; then nothing is reserved.
    pub fn reserve(
        &self,
        asked: &Reserve,
        known: Option<&Remembered>,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Reservable, ReserveRefusal> {
        // Before all else: even what was reserved before is not signed again for a suspended account.
        if self.state == AccountState::Suspended {
            return Err(ReserveRefusal::Suspended);
        }
        if let Some(repeat) = repeat_of(asked.idempotency, known, now)? {
            return Ok(Reservable::Repeat(repeat));
        }
        // A try that was taken for lost has landed after all: file ids are ours and never used twice.
        if asked.uploads.iter().any(|upload| self.pending.contains_key(&upload.file_id)) {
            return Ok(Reservable::Repeat(asked.uploads.iter().map(|upload| upload.file_id).collect()));
        }
        let requested_bytes =
            asked.uploads.iter().fold(0_u64, |sum, upload| sum.saturating_add(upload.size_bytes));
        if !self.fits(requested_bytes, rules.quota_bytes_default) {
            return Err(ReserveRefusal::QuotaExceeded {
                limit_bytes: self.limit_bytes(rules.quota_bytes_default),
                used_bytes: self.totals.used_bytes,
                reserved_bytes: self.totals.reserved_bytes,
                requested_bytes,
            });
        }
        let count = u32::try_from(asked.uploads.len()).unwrap_or(u32::MAX);
        // Rows of deleted files count too, until no URL of theirs can be used: else a loop of presigns and deletes would
        // grow the partition without bound.
        if self.totals.file_count.saturating_add(count) > rules.files_max
            || self.row_count.saturating_add(count) > rules.rows_max
        {
            return Err(ReserveRefusal::TooManyFiles { files_max: rules.files_max });
        }
        if self.pending.len() + asked.uploads.len() > PENDING_MAX {
            return Err(ReserveRefusal::TooManyPending { pending_max: PENDING_MAX });
        }
        let release_at = Some(rules.release_at(now));
        let transitions = asked.uploads.iter().map(|upload| upload.reserved(release_at, now)).collect();
        let files = asked.uploads.iter().map(|upload| upload.file_id).collect();
        let remember = asked.idempotency.map(|id| Remembered { key: id.key, body: id.body, at: now, files });
        Ok(Reservable::New { transitions, remember })
    }

    /// Settles a file whose object is there: used, or removed with a reason.
    ///
    /// Any number of repeats, in any order, give the same ledger (invariant 22).
    #[must_use]
    pub fn settle(&self, row: &File, seen: &Observed, rules: &Rules, now: Timestamp) -> Settlement {
        let fault = match row.status {
            Status::Processed | Status::Trashed => return Settlement::Done,
            Status::Deleting | Status::Gone => return Settlement::Remove,
            Status::Pending => fault_of(row, seen),
            Status::Expired => fault_of(row, seen).or_else(|| self.too_late(seen, rules)),
        };
        let transition = match fault {
            Some(reason) => transition(EntryKind::Failed, row, now, |file| {
                file.status = Status::Deleting;
                file.reason = Some(reason);
                file.hops = hops_of(seen);
            }),
            None => transition(EntryKind::Processed, row, now, |file| {
                file.status = Status::Processed;
                file.reason = None;
                file.size_bytes = seen.size_bytes;
                file.etag = Some(seen.etag.clone());
                file.checksum_sha256 = seen.checksum_sha256.or(file.checksum_sha256);
                file.processed_at = Some(now);
                file.hops = hops_of(seen);
            }),
        };
        Settlement::Transition(Box::new(transition))
    }

    /// Whether a file whose reservation has ended no longer fits.
    fn too_late(&self, seen: &Observed, rules: &Rules) -> Option<Reason> {
        let fits = self.fits(seen.size_bytes, rules.quota_bytes_default)
            && self.totals.file_count < rules.files_max
            && self.state == AccountState::Active;
        if fits { None } else { Some(Reason::Quota) }
    }

    /// Ends a reservation for which the bucket has no object; nothing if it is not due or not pending.
    #[must_use]
    pub fn expire(&self, row: &File, now: Timestamp) -> Option<Transition> {
        let due = self.pending.get(&row.file_id).is_some_and(|reservation| now > reservation.release_at);
        (due && row.status == Status::Pending)
            .then(|| transition(EntryKind::Expired, row, now, |file| file.status = Status::Expired))
    }

    /// Changes an account's own limit; nothing if it has that limit.
    #[must_use]
    pub fn set_quota(&self, quota_bytes: Option<u64>, now: Timestamp) -> Option<Transition> {
        let change = Change::Quota(quota_bytes);
        (quota_bytes != self.quota_bytes).then_some(Transition {
            kind: EntryKind::QuotaChanged,
            at: now,
            change,
        })
    }

    /// Suspends or reactivates an account; nothing if it is so already.
    #[must_use]
    pub fn set_state(&self, state: AccountState, now: Timestamp) -> Option<Transition> {
        let change = Change::State(state);
        (state != self.state).then_some(Transition { kind: EntryKind::StateChanged, at: now, change })
    }
}

/// The files of an earlier request with this key and this body.
fn repeat_of(
    asked: Option<IdempotencyKey>,
    known: Option<&Remembered>,
    now: Timestamp,
) -> Result<Option<Vec<FileId>>, ReserveRefusal> {
    let Some((asked, known)) = asked.zip(known) else { return Ok(None) };
    if known.key != asked.key || !known.is_valid(now) {
        Ok(None)
    } else if known.body == asked.body {
        Ok(Some(known.files.clone()))
    } else {
        Err(ReserveRefusal::IdempotencyReused)
    }
}

/// The way of an object up to its settlement.
fn hops_of(seen: &Observed) -> Vec<(Hop, Timestamp)> {
    vec![(Hop::Landed, seen.landed_at), (Hop::ArrivalSeen, seen.seen_at), (Hop::Inspected, seen.inspected_at)]
}

/// What is wrong with an object, if anything.
fn fault_of(row: &File, seen: &Observed) -> Option<Reason> {
    let other_checksum = match (row.checksum_sha256, seen.checksum_sha256) {
        (Some(declared), Some(found)) => declared != found,
        (None, _) | (_, None) => false,
    };
    if row.is_given_up() {
        row.reason
    } else if seen.size_bytes > row.size_bytes {
        Some(Reason::Size)
    } else if other_checksum {
        Some(Reason::Checksum)
    } else if seen.content_type.as_ref().is_some_and(|found| !found.eq_ignore_ascii_case(&row.content_type)) {
        Some(Reason::Type)
    } else {
        seen.rejected
    }
}

impl NewUpload {
    /// How a file of this upload looks whose row was forgotten: deleted by its owner.
    #[must_use]
    pub fn forgotten(&self, file_id: FileId, now: Timestamp) -> File {
        let (status, reason) = (Status::Gone, Some(Reason::User));
        File { file_id, status, reason, ..self.row(None, now) }
    }

    fn reserved(&self, release_at: Option<Timestamp>, now: Timestamp) -> Transition {
        let after = Box::new(self.row(release_at, now));
        let change = Change::File { before: Weight::default(), after, release_at };
        Transition { kind: EntryKind::Reserved, at: now, change }
    }

    fn row(&self, uploads_end_at: Option<Timestamp>, now: Timestamp) -> File {
        File {
            file_id: self.file_id,
            status: Status::Pending,
            reason: None,
            size_bytes: self.size_bytes,
            filename: self.filename.clone(),
            content_type: self.content_type.clone(),
            checksum_sha256: self.checksum_sha256,
            etag: None,
            visibility: self.visibility,
            created_at: now,
            processed_at: None,
            trashed_at: None,
            changed_at: now,
            revision: 1,
            hops: Vec::new(),
            multipart: self.multipart.clone(),
            traceparent: self.traceparent.clone(),
            uploads_end_at,
        }
    }
}

#[cfg(test)]
mod tests;
