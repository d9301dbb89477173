//! A naive ledger: rows and a few notes, everything recounted each time.

use std::collections::BTreeMap;

use wharfinger::domain::account::{AccountState, Remembered};
use wharfinger::domain::decide::Reserve;
use wharfinger::domain::draft::{Requests, Rows};
use wharfinger::domain::entry::Totals;
use wharfinger::domain::file::Status;
use wharfinger::domain::ids::FileId;
use wharfinger::domain::time::Timestamp;
use wharfinger::limits::IDEMPOTENCY_TTL;

use crate::script::Command;
use crate::world::{FILES_MAX, QUOTA_BYTES};

/// What the ledger holds.
#[derive(Clone)]
pub(crate) struct Naive {
    pub(crate) rows: Rows,
    pub(crate) quota_bytes: Option<u64>,
    pub(crate) state: AccountState,
    /// By key: the body, when it was, and the files it made.
    pub(crate) requests: BTreeMap<u64, (u64, Timestamp, Vec<FileId>)>,
    /// Which command reserved which file: our ids are never made twice.
    pub(crate) owners: BTreeMap<FileId, Command>,
}

impl Naive {
    pub(crate) fn new() -> Self {
        Self {
            rows: Rows::new(),
            quota_bytes: None,
            state: AccountState::Active,
            requests: BTreeMap::new(),
            owners: BTreeMap::new(),
        }
    }

    /// The remembered requests as rows.
    pub(crate) fn remembered(&self) -> Requests {
        let row = |(key, (body, at, files)): (&u64, &(u64, Timestamp, Vec<FileId>))| {
            (*key, Some(Remembered { key: *key, body: *body, at: *at, files: files.clone() }))
        };
        self.requests.iter().map(row).collect()
    }

    /// The sums, counted the slow way.
    pub(crate) fn totals(&self) -> Totals {
        let sum = |statuses: &[Status]| {
            self.rows.values().filter(|row| statuses.contains(&row.status)).map(|row| row.size_bytes).sum()
        };
        let live = [Status::Pending, Status::Processed, Status::Trashed];
        let count = self.rows.values().filter(|row| live.contains(&row.status)).count();
        Totals {
            used_bytes: sum(&[Status::Processed, Status::Trashed]),
            reserved_bytes: sum(&[Status::Pending]),
            trashed_bytes: sum(&[Status::Trashed]),
            file_count: u32::try_from(count).expect("a handful"),
        }
    }

    pub(crate) fn limit_bytes(&self) -> u64 {
        self.quota_bytes.unwrap_or(QUOTA_BYTES)
    }

    /// Whether so many bytes more stay within the limit.
    pub(crate) fn fits(&self, sizes: impl IntoIterator<Item = u64>) -> bool {
        let totals = self.totals();
        let taken = u128::from(totals.used_bytes) + u128::from(totals.reserved_bytes);
        let more: u128 = sizes.into_iter().map(u128::from).sum();
        taken + more <= u128::from(self.limit_bytes())
    }

    /// The expected outcome of a reservation, in a word.
    pub(crate) fn verdict(&self, asked: &Reserve, now: Timestamp) -> &'static str {
        let known = asked.idempotency.and_then(|asked| Some((asked.body, self.requests.get(&asked.key)?)));
        let is_young = |at: Timestamp| now.since(at) < IDEMPOTENCY_TTL;
        let is_pending = |file: FileId| self.rows.get(&file).is_some_and(|row| row.status == Status::Pending);
        let count = u32::try_from(asked.uploads.len()).expect("a few");
        match known {
            Some(_) | None if self.state == AccountState::Suspended => "suspended",
            Some((body, (first, at, _))) if is_young(*at) && body == *first => "repeated",
            Some((_, (_, at, _))) if is_young(*at) => "key reused",
            Some(_) | None if asked.uploads.iter().any(|upload| is_pending(upload.file_id)) => "repeated",
            Some(_) | None if !self.fits(asked.uploads.iter().map(|upload| upload.size_bytes)) => {
                "over the quota"
            }
            Some(_) | None if self.totals().file_count + count > FILES_MAX => "too many files",
            Some(_) | None => "reserved",
        }
    }
}
