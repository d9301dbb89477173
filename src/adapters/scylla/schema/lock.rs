//! The schema lock: the process that changes the tables holds a row that expires by itself if the process dies.

use std::time::Duration;

use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlValue;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::runner::SchemaError;
use crate::adapters::scylla::outcome::ConditionalResult;

/// How long the row lives after it was written last. Longer than any one statement takes.
const TTL_SECS: i32 = 60;
/// How long to wait for another holder. Longer than the row of one that died lives.
const WAIT_MAX: Duration = Duration::from_secs(90);
/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(200);
/// The only row.
const NAME: &str = "schema";

/// The lock, held.
pub(super) struct SchemaLock<'s> {
    session: &'s Session,
    owner: Uuid,
    renew: PreparedStatement,
    release: PreparedStatement,
}

impl<'s> SchemaLock<'s> {
    /// Takes the lock, waiting for its holder.
    pub(super) async fn take(
        session: &'s Session,
        prepare: impl AsyncFn(&str) -> Result<PreparedStatement, SchemaError>,
    ) -> Result<Self, SchemaError> {
        let take =
            prepare("INSERT INTO schema_lock (name, owner) VALUES (?, ?) IF NOT EXISTS USING TTL ?").await?;
        let lock = Self {
            session,
            owner: Uuid::new_v4(),
            renew: prepare("UPDATE schema_lock USING TTL ? SET owner = ? WHERE name = ? IF owner = ?")
                .await?,
            release: prepare("DELETE FROM schema_lock WHERE name = ? IF owner = ?").await?,
        };
        let give_up_at = Instant::now() + WAIT_MAX;
        loop {
            // An answer that got lost is asked for again: then the row is there, and ours.
            let result = session.execute_unpaged(&take, (NAME, lock.owner, TTL_SECS)).await;
            let outcome = result.map_err(|error| error.to_string()).and_then(ConditionalResult::of);
            match outcome.and_then(|outcome| lock.is_mine(&outcome)) {
                Ok(true) => return Ok(lock),
                Ok(false) if Instant::now() >= give_up_at => return Err(SchemaError::Locked),
                Err(reason) if Instant::now() >= give_up_at => return Err(SchemaError::Cql { reason }),
                Ok(false) | Err(_) => sleep(PAUSE).await,
            }
        }
    }

    fn is_mine(&self, outcome: &ConditionalResult) -> Result<bool, String> {
        let holder = outcome.column("owner").and_then(CqlValue::as_uuid);
        Ok(outcome.is_applied()? || holder == Some(self.owner))
    }

    /// Holds it for longer.
    ///
    /// # Errors
    /// It expired, and another process may hold it.
    pub(super) async fn renew(&self) -> Result<(), SchemaError> {
        let values = (TTL_SECS, self.owner, NAME, self.owner);
        let result = self.session.execute_unpaged(&self.renew, values).await;
        let outcome = ConditionalResult::of(result.map_err(SchemaError::cql)?);
        match outcome.and_then(|outcome| outcome.is_applied()).map_err(SchemaError::cql)? {
            true => Ok(()),
            false => Err(SchemaError::LockLost),
        }
    }

    /// Lets go. If that fails, the row goes away by itself.
    pub(super) async fn release(self) {
        if let Err(error) = self.session.execute_unpaged(&self.release, (NAME, self.owner)).await {
            tracing::warn!(%error, "the schema lock stays for {TTL_SECS} s: {error}");
        }
    }
}
