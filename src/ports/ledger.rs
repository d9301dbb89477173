//! The ledger: all accounts, file rows and entries.

use std::future::Future;

use crate::domain::account::{Account, AccountState, Remembered};
use crate::domain::draft::Write;
use crate::domain::entry::{Entry, Totals};
use crate::domain::file::File;
use crate::domain::ids::{FileId, UserId};
use crate::domain::time::Timestamp;

/// Where accounts, files and entries live.
///
/// Contract: `commit` applies the whole write or nothing, only on the version it expects, and is durable
/// when it returns `Ok`. `load`, `entry` and `request` are linearizable: they see every write that returned before
/// they were called. The other reads see at least every write that returned before on this process.
/// Dropping a future of `commit` leaves its outcome unknown. Checked by `contract::ledger`.
pub trait LedgerPort: Send + Sync {
    /// The account, or none if nothing was ever written for the user.
    fn load(&self, user: UserId) -> impl Future<Output = Result<Option<Account>, LedgerError>> + Send;

    /// One file's row.
    fn file(
        &self,
        user: UserId,
        file: FileId,
    ) -> impl Future<Output = Result<Option<File>, LedgerError>> + Send;

    /// The request that is remembered under this key. It is there for [`IDEMPOTENCY_TTL`] at least, whatever else was
    /// written, and may be there for longer: ask [`Remembered::is_valid`].
    ///
    /// [`IDEMPOTENCY_TTL`]: crate::limits::IDEMPOTENCY_TTL
    fn request(
        &self,
        user: UserId,
        key: u64,
    ) -> impl Future<Output = Result<Option<Remembered>, LedgerError>> + Send;

    /// File rows of every status, newest id first.
    fn files(
        &self,
        user: UserId,
        page: FilePage,
    ) -> impl Future<Output = Result<Vec<File>, LedgerError>> + Send;

    /// The entry that made `version`, if it is (still) there.
    fn entry(
        &self,
        user: UserId,
        version: u64,
    ) -> impl Future<Output = Result<Option<Entry>, LedgerError>> + Send;

    /// Entries with a version above `after`, oldest first, at most `limit`. Ask for none that was trimmed:
    /// [`Account::history_floor`].
    fn entries_after(
        &self,
        user: UserId,
        after: u64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Entry>, LedgerError>> + Send;

    /// Entries with a version between the two, neither included, newest first, at most `limit`. The lower one is the
    /// account's `history_floor` at least: trimmed entries are skipped.
    fn entries_before(
        &self,
        user: UserId,
        between: (u64, u64),
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Entry>, LedgerError>> + Send;

    /// The one write.
    ///
    /// # Errors
    /// [`CommitError::Conflict`]: nothing was written, version or last attempt are not the expected ones.
    /// [`CommitError::Unavailable`] and [`CommitError::Refused`]: nothing was written, and will not be later.
    /// [`CommitError::Unknown`]: it may have been, or may be later.
    fn commit(&self, write: Write) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// All accounts, a page at a time, in an order of the backend's own.
    ///
    /// An account that exists for the whole scan is seen; one that is written meanwhile may be seen old. One that
    /// cannot be read is in [`ScanPage::unreadable`], and hides no other. A page may be short, or empty, and have a
    /// next one.
    fn scan(
        &self,
        after: Option<ScanCursor>,
        limit: usize,
    ) -> impl Future<Output = Result<ScanPage, LedgerError>> + Send;
}

/// Which file rows to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePage {
    /// Only files with an id below this one.
    pub before: Option<FileId>,
    /// How many at most.
    pub limit: usize,
}

/// The position of a scan. Means something to its backend only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanCursor(pub Vec<u8>);

/// Some accounts of a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanPage {
    /// The accounts.
    pub accounts: Vec<Summary>,
    /// Those that are there and cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// The next position; none: that was all.
    pub next: Option<ScanCursor>,
}

/// An account that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Its user; none: only its position is known.
    pub user: Option<UserId>,
    /// Why, as a read of it would say.
    pub error: LedgerError,
}

/// An account as far as a search for due work, and the totals of a deployment, need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its user.
    pub user: UserId,
    /// See [`Account::version`].
    pub version: u64,
    /// See [`Account::published`].
    pub published: u64,
    /// The sums.
    pub totals: Totals,
    /// This user's own limit.
    pub quota_bytes: Option<u64>,
    /// Whether it may take new files.
    pub state: AccountState,
    /// Files whose bytes are still to be removed.
    pub deleting_count: u32,
    /// See [`Account::dead_rows`].
    pub dead_rows: u32,
    /// Open reservations.
    pub pending_count: usize,
    /// When the first of them may end.
    pub next_release_at: Option<Timestamp>,
}

impl From<&Account> for Summary {
    fn from(account: &Account) -> Self {
        Self {
            user: account.user,
            version: account.version,
            published: account.published,
            totals: account.totals,
            quota_bytes: account.quota_bytes,
            state: account.state,
            deleting_count: account.deleting_count,
            dead_rows: account.dead_rows(),
            pending_count: account.pending.len(),
            next_release_at: account.pending.values().map(|reservation| reservation.release_at).min(),
        }
    }
}

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Worth repeating, after a pause.
    #[error("the ledger does not answer: {reason}")]
    Unavailable {
        /// For the log.
        reason: String,
    },
    /// The ledger answers, and cannot read this part of one user's data. The others are not affected.
    #[error("the ledger cannot read this part: {reason}")]
    Unreadable {
        /// For the log.
        reason: String,
    },
    /// The stored data cannot be decoded: a bug, or a newer version wrote it.
    #[error("the ledger holds something that cannot be read: {reason}")]
    Corrupt {
        /// For the log.
        reason: String,
    },
}

impl LedgerError {
    /// Whether it says something about the ledger as a whole. The others are about one user's data, and must not
    /// decide about anyone else.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Unreadable { .. } | Self::Corrupt { .. } => false,
        }
    }
}

/// Why a write was not confirmed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Another writer wrote first: load, then decide again.
    #[error("another write came first")]
    Conflict,
    /// Nothing was written, and will not be: the ledger does not take writes now.
    #[error("the ledger does not take writes: {reason}")]
    Unavailable {
        /// For the log.
        reason: String,
    },
    /// Nothing was written, and will not be: the ledger cannot take this write. It may take others.
    #[error("the ledger cannot take this write: {reason}")]
    Refused {
        /// For the log.
        reason: String,
    },
    /// It may have been written, or may be later: ask for the entry at the proposed version.
    #[error("the ledger did not say whether it wrote: {reason}")]
    Unknown {
        /// For the log.
        reason: String,
    },
}
