//! The port.

use std::sync::Arc;
use std::time::Duration;

use scylla::client::session::Session;
use scylla::deserialize::row::DeserializeRow;
use scylla::response::query_result::QueryRowsResult;
use scylla::routing::Token;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;

use super::errors::{ConnectError, commit_error, read_error, shape_error};
use super::outcome::Outcome;
use super::rows::{AccountRow, EntryRow, FileRow, SummaryRow};
use super::schema::Migrations;
use super::session::CqlSession;
use super::statements::Statements;
use super::write;
use crate::config::ScyllaSettings;
use crate::domain::account::Account;
use crate::domain::draft::Write;
use crate::domain::entry::Entry;
use crate::domain::file::File;
use crate::domain::ids::{FileId, UserId};
use crate::ports::{CommitError, FilePage, LedgerError, LedgerPort, ScanCursor, ScanPage, Unreadable};

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
        let history = cql.settings.history();
        Ok(Self { cql, statements: Arc::new(statements), entry_ttl_secs: 0 }.with_history(history))
    }

    /// Keeps the entries written from now on for so long, in whole seconds; zero: for ever.
    #[must_use]
    pub fn with_history(self, history: Duration) -> Self {
        // The server refuses more than 20 years, and so do the settings.
        let entry_ttl_secs = i32::try_from(history.as_secs()).unwrap_or(i32::MAX);
        Self { entry_ttl_secs, ..self }
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
        result.map_err(|error| read_error(&error))?.into_rows_result().map_err(shape_error)
    }
}

impl LedgerPort for ScyllaLedger {
    async fn load(&self, user: UserId) -> Result<Option<Account>, LedgerError> {
        let found = self.read(&self.statements.load, (user.uuid(),)).await?;
        let Some(row) = found.maybe_first_row::<AccountRow>().map_err(shape_error)? else { return Ok(None) };
        Ok(row.into_account(user)?)
    }

    async fn file(&self, user: UserId, file: FileId) -> Result<Option<File>, LedgerError> {
        let found = self.read(&self.statements.file, (user.uuid(), file.uuid())).await?;
        let row = found.maybe_first_row::<FileRow>().map_err(shape_error)?;
        Ok(row.map(File::try_from).transpose()?)
    }

    async fn files(&self, user: UserId, page: FilePage) -> Result<Vec<File>, LedgerError> {
        let Some(limit) = limit(page.limit) else { return Ok(Vec::new()) };
        let found = match page.before {
            None => self.read(&self.statements.files, (user.uuid(), limit)).await?,
            Some(before) => {
                self.read(&self.statements.files_before, (user.uuid(), before.uuid(), limit)).await?
            }
        };
        all::<FileRow, File>(&found)
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
        let (Ok(after), Some(limit)) = (i64::try_from(after), limit(limit_max)) else {
            return Ok(Vec::new());
        };
        all::<EntryRow, Entry>(&self.read(&self.statements.entries_after, (user.uuid(), after, limit)).await?)
    }

    async fn entries_before(
        &self,
        user: UserId,
        before: u64,
        limit_max: usize,
    ) -> Result<Vec<Entry>, LedgerError> {
        let Some(limit) = limit(limit_max) else { return Ok(Vec::new()) };
        // Every version is below 2^63, so a later `before` means all of them.
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        all::<EntryRow, Entry>(
            &self.read(&self.statements.entries_before, (user.uuid(), before, limit)).await?,
        )
    }

    async fn commit(&self, write: Write) -> Result<(), CommitError> {
        let rows = write::rows(&write, self.entry_ttl_secs)?;
        let batch = write::batch(&rows, &self.statements, &self.cql.profiles.write);
        match self.session().batch(&batch, &rows).await {
            Ok(result) => match Outcome::of(result).and_then(|outcome| outcome.is_applied()) {
                Ok(true) => Ok(()),
                Ok(false) => Err(CommitError::Conflict),
                Err(reason) => Err(CommitError::Unknown { reason }),
            },
            Err(error) => Err(commit_error(&error)),
        }
    }

    async fn scan(&self, after: Option<ScanCursor>, limit_max: usize) -> Result<ScanPage, LedgerError> {
        let from = after.as_ref().map_or(Ok(i64::MIN), token_of)?;
        let rows_max = limit_max.clamp(1, SCAN_PAGE_MAX);
        let limit = i32::try_from(rows_max).map_err(shape_error)?;
        let found = self.read(&self.statements.scan, (from, limit)).await?;
        let rows = rows_of::<SummaryRow>(&found)?;
        // Two users whose tokens collide (2^-64 a pair) would be cut apart by a page that ends between them.
        let next = match rows.last() {
            Some(last) if rows.len() == rows_max => Some(self.cursor_at(last.user())?),
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
    fn cursor_at(&self, user: UserId) -> Result<ScanCursor, LedgerError> {
        let token: Option<Token> =
            self.statements.load.calculate_token(&(user.uuid(),)).map_err(shape_error)?;
        let token = token.ok_or_else(|| shape_error("a user has no token"))?;
        Ok(ScanCursor(token.value().to_be_bytes().to_vec()))
    }
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
