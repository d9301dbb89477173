//! The port.

use std::sync::Arc;
use std::time::Duration;

use scylla::client::session::Session;
use scylla::deserialize::row::DeserializeRow;
use scylla::response::query_result::QueryRowsResult;
use scylla::routing::Token;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use uuid::Uuid;

use super::errors::{ConnectError, commit_error, read_error, rows_of_read, shape_error};
use super::history::{self, Versions};
use super::outcome::ConditionalResult;
use super::ring::{self, Page, Stretch};
use super::rows::{AccountRow, Anchored, EntryRow, FileRow, RequestRow, SummaryRow, seq_of};
use super::schema::Migrations;
use super::session::CqlSession;
use super::spans::{self, Span};
use super::statements::Statements;
use super::write;
use crate::config::ScyllaSettings;
use crate::domain::account::{Account, Remembered};
use crate::domain::draft::Write;
use crate::domain::entry::Entry;
use crate::domain::file::File;
use crate::domain::ids::{FileId, UserId};
use crate::ports::{Clock, CommitError, FilePage, LedgerError, LedgerPort, ScanCursor, ScanPage, Unreadable};

/// Accounts of one page of a scan; each may bring 12 KB of open reservations.
const SCAN_PAGE_MAX: usize = 1000;

/// The ledger in a keyspace. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ScyllaLedger {
    cql: CqlSession,
    statements: Arc<Statements>,
    /// How long entries live, in seconds; 0: for ever.
    entry_ttl_secs: i32,
}

impl ScyllaLedger {
    /// Connects to a keyspace whose tables are ready, and prepares every statement.
    ///
    /// # Errors
    /// See [`ConnectError`]; among them tables that are older than this release.
    pub async fn connect(settings: &ScyllaSettings) -> Result<Self, ConnectError> {
        Self::on(CqlSession::connect(settings).await?).await
    }

    /// The same on a connection that is already there.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn on(cql: CqlSession) -> Result<Self, ConnectError> {
        Migrations::shipped().require_applied(&cql).await?;
        let unreachable = |reason| ConnectError::Unreachable { reason };
        let keyspace = &cql.settings.keyspace;
        cql.session.use_keyspace(keyspace, false).await.map_err(|error| unreachable(error.to_string()))?;
        let statements = Statements::prepare(&cql.session, &cql.profiles)
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        Ok(Self { cql, statements: Arc::new(statements), entry_ttl_secs: 0 })
    }

    /// Keeps the entries written from now on for so long, in whole seconds; zero: for ever.
    #[must_use]
    pub fn with_history(self, history: Duration) -> Self {
        // The server refuses more than 20 years, and so do the settings.
        let entry_ttl_secs = i32::try_from(history.as_secs()).unwrap_or(i32::MAX);
        Self { entry_ttl_secs, ..self }
    }

    /// The identity of this ledger, made with its tables.
    pub(super) async fn identity(&self) -> Result<uuid::Uuid, String> {
        self.cql.identity().await
    }

    fn session(&self) -> &Session {
        &self.cql.session
    }

    /// Runs a read whose result fits in one answer.
    async fn read(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<QueryRowsResult, LedgerError> {
        let result = self.session().execute_unpaged(statement, values).await;
        rows_of_read(result.map_err(|error| read_error(&error))?)
    }
}

impl LedgerPort for ScyllaLedger {
    async fn load(&self, user: UserId) -> Result<Option<Account>, LedgerError> {
        match self.account(&self.statements.load, user).await? {
            Some(row) => Ok(row.into_account(user)?),
            None => self.load_without_anchor(user).await,
        }
    }

    async fn file(&self, user: UserId, file: FileId) -> Result<Option<File>, LedgerError> {
        let found = self.read(&self.statements.file, (user.uuid(), file.uuid())).await?;
        let row = found.maybe_first_row::<FileRow>().map_err(shape_error)?;
        Ok(row.map(File::try_from).transpose()?)
    }

    async fn request(&self, user: UserId, key: u64) -> Result<Option<Remembered>, LedgerError> {
        let found = self.read(&self.statements.request, (user.uuid(), seq_of(key))).await?;
        let row = found.maybe_first_row::<RequestRow>().map_err(shape_error)?;
        Ok(row.map(Remembered::try_from).transpose()?)
    }

    async fn files(&self, user: UserId, page: FilePage) -> Result<Vec<File>, LedgerError> {
        let Some(limit) = limit(page.limit) else { return Ok(Vec::new()) };
        let before = page.before.map(FileId::uuid);
        let found = match before {
            None => self.read(&self.statements.files, (user.uuid(), limit)).await,
            Some(before) => self.read(&self.statements.files_before, (user.uuid(), before, limit)).await,
        };
        match found {
            Ok(found) => all::<FileRow, File>(&found),
            Err(LedgerError::Unreadable { .. }) => {
                let now_ms = Clock::System.now().as_millis();
                let read = |span, limit| self.files_of_span(user, span, limit);
                spans::newest_first(before, now_ms, page.limit, read).await
            }
            Err(error) => Err(error),
        }
    }

    async fn entry(&self, user: UserId, version: u64) -> Result<Option<Entry>, LedgerError> {
        let Ok(seq) = i64::try_from(version) else { return Ok(None) };
        let found = self.read(&self.statements.entry, (user.uuid(), seq)).await?;
        let row = found.maybe_first_row::<EntryRow>().map_err(shape_error)?;
        Ok(row.map(Entry::try_from).transpose()?)
    }

    async fn entries_after(
        &self,
        user: UserId,
        after: u64,
        limit_max: usize,
    ) -> Result<Vec<Entry>, LedgerError> {
        let (Ok(seq), Some(limit)) = (i64::try_from(after), limit(limit_max)) else {
            return Ok(Vec::new());
        };
        match self.read(&self.statements.entries_after, (user.uuid(), seq, limit)).await {
            Ok(found) => all::<EntryRow, Entry>(&found),
            Err(LedgerError::Unreadable { .. }) => {
                let version = self.version(user).await?;
                history::oldest(after, version, limit_max, |range| self.entries_of(user, range)).await
            }
            Err(error) => Err(error),
        }
    }

    async fn entries_before(
        &self,
        user: UserId,
        (floor, before): (u64, u64),
        limit_max: usize,
    ) -> Result<Vec<Entry>, LedgerError> {
        let Some(limit) = limit(limit_max) else { return Ok(Vec::new()) };
        let between = Versions { after: floor, before };
        match self.entries_between(user, between, limit).await {
            Err(LedgerError::Unreadable { .. }) => {
                let version = self.version(user).await?;
                history::newest(between, version, limit_max, |range| self.entries_of(user, range)).await
            }
            outcome => outcome,
        }
    }

    async fn commit(&self, write: Write) -> Result<(), CommitError> {
        let rows = write::rows(&write, self.entry_ttl_secs)?;
        let batch = write::batch(&rows, &self.statements, &self.cql.profiles.write);
        match self.session().batch(&batch, &rows).await {
            Ok(result) => match ConditionalResult::of(result).and_then(|outcome| outcome.is_applied()) {
                Ok(true) => Ok(()),
                Ok(false) => Err(CommitError::Conflict),
                Err(reason) => Err(CommitError::Unknown { reason }),
            },
            Err(error) => Err(commit_error(&error)),
        }
    }

    async fn scan(&self, after: Option<ScanCursor>, limit_max: usize) -> Result<ScanPage, LedgerError> {
        let from = after.as_ref().map_or(Ok(i64::MIN), token_of)?;
        let limit = i32::try_from(limit_max.clamp(1, SCAN_PAGE_MAX)).map_err(shape_error)?;
        let (rows, is_end) = match ring::page(from, limit, |stretch| self.summaries(stretch)).await? {
            Page::Rows { rows, is_end } => (rows, is_end),
            Page::Unreadable { token, error } => {
                let user = self.user_at(token).await;
                let next = (token < ring::END).then(|| cursor(token));
                return Ok(ScanPage {
                    next,
                    unreadable: vec![Unreadable { user, error }],
                    ..ScanPage::default()
                });
            }
        };
        // Two users whose tokens collide (2^-64 a pair) would be cut apart by a page that ends between them.
        let next = match rows.last() {
            Some(last) if !is_end => Some(cursor(self.token(last.user())?)),
            Some(_) | None => None,
        };
        let mut page = ScanPage { next, ..ScanPage::default() };
        for row in rows {
            let user = row.user();
            match row.into_summary() {
                Ok(summary) => page.accounts.extend(summary),
                Err(error) => page.unreadable.push(Unreadable { user: Some(user), error: error.into() }),
            }
        }
        Ok(page)
    }
}

impl ScyllaLedger {
    /// An account by one of the statements that read it.
    async fn account(
        &self,
        statement: &PreparedStatement,
        user: UserId,
    ) -> Result<Option<AccountRow>, LedgerError> {
        let found = self.read(statement, (user.uuid(),)).await?;
        let row = found.maybe_first_row::<Anchored<AccountRow>>().map_err(shape_error)?;
        Ok(row.map(|Anchored(row)| row))
    }

    /// A user without an anchor row: new, or last written by an earlier release. The latter gets one, so that scans see
    /// the account too.
    async fn load_without_anchor(&self, user: UserId) -> Result<Option<Account>, LedgerError> {
        match self.account(&self.statements.load_without_anchor, user).await {
            Ok(row) => {
                let account = row.map(|row| row.into_account(user)).transpose()?.flatten();
                if account.is_some()
                    && let Err(error) = self.add_anchor(user).await
                {
                    tracing::warn!(user.id = %user, "an account has no anchor row yet: {error}");
                }
                Ok(account)
            }
            // Only a partition that exists can fail so: too much was deleted from it for its first row to be found.
            Err(LedgerError::Unreadable { .. }) => {
                self.add_anchor(user).await?;
                let row = self.account(&self.statements.load, user).await?;
                Ok(row.map(|row| row.into_account(user)).transpose()?.flatten())
            }
            Err(error) => Err(error),
        }
    }

    async fn add_anchor(&self, user: UserId) -> Result<(), LedgerError> {
        let added = self.session().execute_unpaged(&self.statements.add_anchor, (user.uuid(),)).await;
        added.map(drop).map_err(|error| read_error(&error))
    }

    async fn version(&self, user: UserId) -> Result<u64, LedgerError> {
        Ok(self.load(user).await?.map_or(0, |account| account.version))
    }

    /// Entries between two versions, newest first.
    async fn entries_between(
        &self,
        user: UserId,
        Versions { after, before }: Versions,
        limit: i32,
    ) -> Result<Vec<Entry>, LedgerError> {
        // Every version is below 2^63, so a later one means all of them.
        let [after, before] = [after, before].map(|version| i64::try_from(version).unwrap_or(i64::MAX));
        let found = self.read(&self.statements.entries_before, (user.uuid(), after, before, limit)).await?;
        all::<EntryRow, Entry>(&found)
    }

    async fn entries_of(&self, user: UserId, range: Versions) -> Result<Vec<Entry>, LedgerError> {
        self.entries_between(user, range, i32::MAX).await
    }

    async fn files_of_span(
        &self,
        user: UserId,
        span: Span,
        limit_max: usize,
    ) -> Result<Vec<File>, LedgerError> {
        let Some(limit) = limit(limit_max) else { return Ok(Vec::new()) };
        let (user, from) = (user.uuid(), span.from);
        let found = match span.before {
            None => self.read(&self.statements.files_from, (user, from, limit)).await?,
            Some(before) => self.read(&self.statements.files_between, (user, from, before, limit)).await?,
        };
        all::<FileRow, File>(&found)
    }

    async fn summaries(&self, stretch: Stretch) -> Result<Vec<SummaryRow>, LedgerError> {
        let Stretch { after, to, limit } = stretch;
        let found = self.read(&self.statements.scan, (after, to, limit)).await?;
        Ok(rows_of::<Anchored<SummaryRow>>(&found)?.into_iter().map(|Anchored(row)| row).collect())
    }

    /// Whose partition is at a token, as far as any part of it can be read.
    async fn user_at(&self, token: i64) -> Option<UserId> {
        for statement in [&self.statements.users_with_entries, &self.statements.users_with_files] {
            if let Ok(found) = self.read(statement, (token.saturating_sub(1), token, 1_i32)).await
                && let Ok(Some((user,))) = found.maybe_first_row::<(Uuid,)>()
            {
                return Some(UserId::from_uuid(user));
            }
        }
        None
    }

    fn token(&self, user: UserId) -> Result<i64, LedgerError> {
        let token = self.statements.load.calculate_token(&(user.uuid(),)).map_err(shape_error)?;
        token.map(|token: Token| token.value()).ok_or_else(|| shape_error("a user has no token"))
    }
}

fn cursor(token: i64) -> ScanCursor {
    ScanCursor(token.to_be_bytes().to_vec())
}

/// The token in a cursor: where on the ring the scan is.
fn token_of(cursor: &ScanCursor) -> Result<i64, LedgerError> {
    let bytes = <[u8; 8]>::try_from(cursor.0.as_slice());
    bytes.map(i64::from_be_bytes).map_err(|_| shape_error("a cursor of another backend"))
}

/// A bound on the rows of an answer; none if no rows are wanted.
fn limit(limit: usize) -> Option<i32> {
    Some(i32::try_from(limit).unwrap_or(i32::MAX)).filter(|limit| *limit > 0)
}

fn rows_of<'r, R: DeserializeRow<'r, 'r>>(found: &'r QueryRowsResult) -> Result<Vec<R>, LedgerError> {
    let rows = found.rows::<R>().map_err(shape_error)?;
    rows.collect::<Result<_, _>>().map_err(shape_error)
}

fn all<'r, R, T>(found: &'r QueryRowsResult) -> Result<Vec<T>, LedgerError>
where
    R: DeserializeRow<'r, 'r>,
    T: TryFrom<R>,
    LedgerError: From<T::Error>,
{
    rows_of::<R>(found)?.into_iter().map(|row| Ok(T::try_from(row)?)).collect()
}
