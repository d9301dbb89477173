//! Gives an anchor row to the accounts of an earlier release.
//!
//! Runs whenever the tables are brought up to date: while an upgrade rolls through a cluster, nodes of the release
//! before go on making accounts without one.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;
use uuid::Uuid;

use super::lock::SchemaLock;
use super::runner::SchemaError;
use crate::adapters::scylla::errors::{read_error, rows_of_read, shape_error};
use crate::adapters::scylla::outcome::ConditionalResult;
use crate::adapters::scylla::ring::{self, Page, Stretch};
use crate::adapters::scylla::session::CqlSession;
use crate::adapters::scylla::statements::{ADD_ANCHOR, USERS_WITH_ANCHOR, USERS_WITH_ENTRIES};
use crate::ports::LedgerError;

/// Accounts looked at in one go.
const PAGE: i32 = 500;
/// Anchors looked at in one go. Where there are more, some are written again, which changes nothing.
const ANCHORED_MAX: i32 = 4 * PAGE;
/// Rows written at a time.
const WRITES_AT_ONCE: usize = 16;

/// Every partition. The server looks for the first row of each, and gives up where too many were deleted before it: so
/// this comes last, when only few accounts have no anchor.
const USERS: &str =
    "SELECT DISTINCT user_id FROM user_ledger WHERE token(user_id) > ? AND token(user_id) <= ? LIMIT ?";

/// The statements, in the order of their use.
struct Anchors<'s> {
    session: &'s Session,
    sources: [PreparedStatement; 2],
    anchored: PreparedStatement,
    add: PreparedStatement,
}

/// Adds what is missing; returns how many there were. An account whose partition cannot even be named is left for the
/// first time it is loaded, and logged.
pub(super) async fn add_missing(cql: &CqlSession, lock: &SchemaLock<'_>) -> Result<u64, SchemaError> {
    let anchors = Anchors::prepare(cql).await?;
    let mut added = 0;
    for (source, is_last) in anchors.sources.iter().zip([false, true]) {
        let mut after = i64::MIN;
        loop {
            lock.renew().await?;
            let page = ring::page(after, PAGE, |stretch| anchors.users(source, stretch)).await;
            let to = match page.map_err(SchemaError::cql)? {
                Page::Rows { rows, is_end } => {
                    let to = anchors.end_of(&rows, is_end)?;
                    added += anchors.add(&rows, (after, to)).await.map_err(SchemaError::cql)?;
                    to
                }
                Page::Unreadable { token, error } => {
                    if is_last {
                        tracing::error!(
                            token,
                            "the account at a token cannot be read and has no anchor row: {error}"
                        );
                    }
                    token
                }
            };
            if to == ring::END {
                break;
            }
            after = to;
        }
    }
    Ok(added)
}

impl<'s> Anchors<'s> {
    async fn prepare(cql: &'s CqlSession) -> Result<Self, SchemaError> {
        let prepared = async |text: &str, profile| -> Result<PreparedStatement, SchemaError> {
            let mut statement = cql.session.prepare(text).await.map_err(SchemaError::cql)?;
            statement.set_execution_profile_handle(Some(profile));
            Ok(statement)
        };
        let read = || cql.profiles.read.clone();
        Ok(Self {
            session: &cql.session,
            sources: [prepared(USERS_WITH_ENTRIES, read()).await?, prepared(USERS, read()).await?],
            anchored: prepared(USERS_WITH_ANCHOR, read()).await?,
            add: prepared(ADD_ANCHOR, cql.profiles.write.clone()).await?,
        })
    }

    async fn users(&self, statement: &PreparedStatement, stretch: Stretch) -> Result<Vec<Uuid>, LedgerError> {
        let Stretch { after, to, limit } = stretch;
        let found = self.session.execute_unpaged(statement, (after, to, limit)).await;
        let found = rows_of_read(found.map_err(|error| read_error(&error))?)?;
        let rows = found.rows::<(Uuid,)>().map_err(shape_error)?;
        rows.map(|row| row.map(|(user,)| user).map_err(shape_error)).collect()
    }

    /// The token of the last of these, or the end of the ring.
    fn end_of(&self, users: &[Uuid], is_end: bool) -> Result<i64, SchemaError> {
        match users.last() {
            Some(last) if !is_end => {
                let token = self.add.calculate_token(&(*last,)).map_err(SchemaError::cql)?;
                Ok(token.map_or(ring::END, |token| token.value()))
            }
            Some(_) | None => Ok(ring::END),
        }
    }

    /// Adds the anchors that are missing of these users, who are all between two tokens.
    async fn add(&self, users: &[Uuid], (after, to): (i64, i64)) -> Result<u64, LedgerError> {
        if users.is_empty() {
            return Ok(0);
        }
        let anchored = self.users(&self.anchored, Stretch { after, to, limit: ANCHORED_MAX }).await?;
        let anchored: BTreeSet<Uuid> = anchored.into_iter().collect();
        let missing: Vec<Uuid> = users.iter().filter(|user| !anchored.contains(user)).copied().collect();
        let add = |user: Uuid| async move {
            let added = self.session.execute_unpaged(&self.add, (user,)).await;
            let outcome = ConditionalResult::of(added.map_err(|error| read_error(&error))?);
            outcome.and_then(|outcome| outcome.is_applied()).map_err(shape_error)
        };
        stream::iter(missing.into_iter().map(add))
            .buffer_unordered(WRITES_AT_ONCE)
            .try_fold(0, |count, is_added| std::future::ready(Ok(count + u64::from(is_added))))
            .await
    }
}
