//! What a pass works with: the world, its pace, and reads that end.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

use super::census::CensusBoard;
use super::options::SweepOptions;
use super::throttle::Throttle;
use crate::actors::desks::Desks;
use crate::actors::inspector::{Inspector, log_inspected};
use crate::actors::publisher::Publisher;
use crate::actors::remover::Remover;
use crate::actors::requests::{Settle, Settled};
use crate::adapters::{Ledger, Objects};
use crate::domain::decide::Observed;
use crate::domain::entry::Entry;
use crate::domain::file::File;
use crate::domain::ids::{FileId, ObjectKey, UserId};
use crate::domain::{account::Account, time::Timestamp};
use crate::limits::{ENTRIES_PAGE_MAX, UPSTREAM_WITHIN};
use crate::ports::{
    Clock, FilePage, LedgerError, LedgerPort, ObjectPage, ObjectsError, ObjectsPort, ScanCursor, ScanPage,
    UploadCursor, UploadPage,
};
use crate::telemetry::names;

/// Accounts of one page of a scan.
const SCAN_PAGE: usize = 256;
/// File rows of one page.
pub(super) const ROWS_PAGE: usize = 1000;
/// Questions in a row that the bucket leaves unanswered before it counts as away. One may be about its object alone.
const UNANSWERED_MAX: u32 = 3;
/// How long one read of the ledger or one page of the bucket's list may take.
const READ_WITHIN: Duration = UPSTREAM_WITHIN;

/// What the sweeper works with. Cheap to clone.
#[derive(Clone)]
pub(in crate::actors) struct SweeperParts {
    pub(in crate::actors) ledger: Ledger,
    pub(in crate::actors) objects: Objects,
    pub(in crate::actors) desks: Desks,
    pub(in crate::actors) inspector: Inspector,
    pub(in crate::actors) publisher: Publisher,
    pub(in crate::actors) remover: Remover,
    pub(in crate::actors) clock: Clock,
    pub(in crate::actors) options: SweepOptions,
    pub(in crate::actors) census: CensusBoard,
}

/// Why a pass could not look at something. It is counted, and looked at again by the next.
#[derive(Debug, thiserror::Error)]
pub(super) enum SweepError {
    /// The ledger did not answer a read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The bucket did not answer.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// A desk did not carry out what was asked.
    #[error("a change was not made: {0}")]
    Desk(String),
}

/// One pass's hands.
pub(super) struct SweepTools {
    pub(super) parts: SweeperParts,
    accounts: Throttle,
    objects: Throttle,
    /// Questions in a row that the bucket did not answer.
    unanswered: u32,
}

impl SweepTools {
    pub(super) fn new(parts: SweeperParts) -> Self {
        let accounts = Throttle::new(parts.options.accounts_per_sec);
        let objects = Throttle::new(parts.options.objects_per_sec);
        Self { parts, accounts, objects, unanswered: 0 }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// A page of accounts. Does not count: a look at an account takes it first.
    pub(super) async fn scan(&self, after: Option<ScanCursor>) -> Result<ScanPage, SweepError> {
        Ok(in_time(self.parts.ledger.scan(after, SCAN_PAGE)).await?)
    }

    /// Waits until one more account may be looked at.
    pub(super) async fn take_account(&mut self) {
        self.accounts.take().await;
    }

    /// Waits until one more object may be looked at.
    pub(super) async fn take_object(&mut self) {
        self.objects.take().await;
    }

    /// An account as it is now: linearizable.
    pub(super) async fn load(&mut self, user: UserId) -> Result<Option<Account>, SweepError> {
        self.accounts.take().await;
        Ok(in_time(self.parts.ledger.load(user)).await?)
    }

    /// A page of a user's rows, newest first; fewer than [`ROWS_PAGE`]: the last.
    pub(super) async fn rows(
        &mut self,
        user: UserId,
        before: Option<FileId>,
    ) -> Result<Vec<File>, SweepError> {
        self.accounts.take().await;
        Ok(in_time(self.parts.ledger.files(user, FilePage { before, limit: ROWS_PAGE })).await?)
    }

    /// The files whose entries are not all known to be in the log; none if they are too many to say.
    pub(super) async fn untold(&self, account: &Account) -> Result<Option<BTreeSet<FileId>>, SweepError> {
        if account.published >= account.version {
            return Ok(Some(BTreeSet::new()));
        }
        let entries = self.parts.ledger.entries_after(account.user, account.published, ENTRIES_PAGE_MAX);
        let entries = in_time(entries).await?;
        let is_all = entries.len() < ENTRIES_PAGE_MAX;
        Ok(is_all.then(|| entries.into_iter().filter_map(|entry| entry.file_id).collect()))
    }

    /// The entry that made a version, if it is there.
    pub(super) async fn entry(&mut self, user: UserId, version: u64) -> Result<Option<Entry>, SweepError> {
        self.accounts.take().await;
        Ok(in_time(self.parts.ledger.entry(user, version)).await?)
    }

    /// A page of keys. Does not count: a look at an object takes it first.
    pub(super) async fn list(&self, prefix: &str, after: Option<String>) -> Result<ObjectPage, SweepError> {
        Ok(in_time(self.parts.objects.list(prefix.to_owned(), after)).await?)
    }

    /// A page of uploads in chunks. Does not count: a look at one takes it first.
    pub(super) async fn uploads(
        &self,
        prefix: &str,
        after: Option<UploadCursor>,
    ) -> Result<UploadPage, SweepError> {
        Ok(in_time(self.parts.objects.list_uploads(prefix.to_owned(), after)).await?)
    }

    /// The bucket's record of one object; none if it is not there.
    pub(super) async fn inspect(&mut self, key: ObjectKey) -> Result<Option<Observed>, SweepError> {
        self.objects.take().await;
        let answer = self.parts.inspector.inspect(key, self.now()).await;
        self.unanswered = if answer.is_ok() { 0 } else { self.unanswered + 1 };
        if matches!(answer, Ok(None)) {
            log_inspected(key, None, None);
        }
        Ok(answer?)
    }

    /// Whether the bucket is not worth asking any more in this pass: every question takes its whole time.
    pub(super) const fn is_bucket_away(&self) -> bool {
        self.unanswered >= UNANSWERED_MAX
    }

    /// Settles a file whose object is there, as if the news of it had come.
    pub(super) async fn settle(&self, key: ObjectKey, seen: Observed) -> Result<(), SweepError> {
        let size_bytes = seen.size_bytes;
        let settled = self.parts.desks.ask(key.user, Settle { file: key.file, seen }, None).await;
        log_inspected(key, Some(size_bytes), settled.as_ref().ok().and_then(Settled::row));
        match settled {
            Ok(Settled::Remove(_)) => self.parts.remover.remove(key),
            Ok(Settled::File(_) | Settled::Unknown) => {}
            Err(error) => return Err(SweepError::Desk(error.to_string())),
        }
        Ok(())
    }

    /// A desk's refusal: logged, if it is about this account alone.
    ///
    /// # Errors
    /// The ledger does not answer.
    pub(super) async fn not_done(&mut self, user: UserId, why: &impl Display) -> Result<(), SweepError> {
        match self.load(user).await {
            Ok(_) => failed("an account", &SweepError::Desk(why.to_string())),
            Err(SweepError::Ledger(error)) if !error.is_outage() => unreadable(Some(user), &error),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// A read that ends, with an answer or without.
async fn in_time<T, E: Late>(read: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    timeout(READ_WITHIN, read)
        .await
        .unwrap_or_else(|_| Err(E::late(format!("no answer within {READ_WITHIN:?}"))))
}

/// Errors that can say that there was no answer.
trait Late {
    fn late(reason: String) -> Self;
}

impl Late for LedgerError {
    fn late(reason: String) -> Self {
        Self::Unavailable { reason }
    }
}

impl Late for ObjectsError {
    fn late(reason: String) -> Self {
        Self::Unavailable { reason }
    }
}

/// Counts something to do.
pub(super) fn found(kind: &'static str) {
    metrics::counter!(names::SWEEP_FOUND_TOTAL, "kind" => kind).increment(1);
}

/// Counts and logs an account that cannot be read. The pass goes on without it.
pub(super) fn unreadable(user: Option<UserId>, error: &LedgerError) {
    metrics::counter!(names::SWEEP_FAILURES_TOTAL, "what" => "an account").increment(1);
    let user = user.map_or_else(|| "unknown".to_owned(), |user| user.to_string());
    tracing::error!(user_id = user, "an account cannot be read, and the sweep goes on without it: {error}");
}

/// Counts and tells what could not be looked at.
pub(super) fn failed(what: &'static str, error: &SweepError) {
    metrics::counter!(names::SWEEP_FAILURES_TOTAL, "what" => what).increment(1);
    tracing::warn!("the sweep cannot look at {what}: {error}; the next one tries again");
}
