//! What the committer does for the queue.

use serde::{Deserialize, Serialize};

use crate::adapters::embedded::store::{Batch, ReadError, Tables, row, unrow};
use crate::domain::time::Timestamp;

const HEAD_KEY: &str = "queue";

/// A notification, in the form of its table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredMessage {
    /// Deliveries as far as they were noted: the second and later ones are.
    pub(super) deliveries: u32,
    /// When it came.
    pub(super) at: Timestamp,
    /// What the bucket wrote.
    pub(super) body: String,
}

/// The last number that was given. Outlives its notification, so that no receipt names another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueHead {
    pub(super) last: u64,
    #[serde(skip)]
    is_changed: bool,
}

impl QueueHead {
    /// Its form on disk.
    pub(crate) fn load(tables: &Tables) -> Result<Self, ReadError> {
        let row = tables.meta.get(HEAD_KEY)?;
        let empty = Self { last: 0, is_changed: false };
        Ok(row.map(|row| unrow(&row, 0)).transpose()?.unwrap_or(empty))
    }

    /// Adds it to the batch, if it has changed.
    pub(crate) fn put(&mut self, tables: &Tables, batch: &mut Batch) {
        if std::mem::take(&mut self.is_changed) {
            batch.put(&tables.meta, HEAD_KEY, row(&[], self));
        }
    }
}

/// Adds a notification.
pub(crate) fn append(body: String, tables: &Tables, head: &mut QueueHead, batch: &mut Batch) {
    head.last += 1;
    head.is_changed = true;
    let message = StoredMessage { deliveries: 0, at: batch.now, body };
    batch.put(&tables.messages, head.last.to_be_bytes(), row(&[], &message));
}

/// Removes notifications; those that are gone already do not matter.
pub(crate) fn delete(numbers: &[u64], tables: &Tables, batch: &mut Batch) {
    for number in numbers {
        if batch.removed.insert(*number) {
            batch.remove(&tables.messages, number.to_be_bytes());
        }
    }
}

/// Notes how often a notification was handed out, if it is still there.
pub(crate) fn recount(
    number: u64,
    deliveries: u32,
    tables: &Tables,
    batch: &mut Batch,
) -> Result<(), ReadError> {
    if let Some(mut message) = present(number, tables, batch)? {
        message.deliveries = message.deliveries.max(deliveries);
        batch.put(&tables.messages, number.to_be_bytes(), row(&[], &message));
    }
    Ok(())
}

/// Moves a notification to the dead letters, if it is still there.
pub(crate) fn bury(
    number: u64,
    deliveries: u32,
    tables: &Tables,
    batch: &mut Batch,
) -> Result<(), ReadError> {
    if let Some(mut message) = present(number, tables, batch)? {
        message.deliveries = message.deliveries.max(deliveries);
        batch.put(&tables.dead, number.to_be_bytes(), row(&[], &message));
    }
    delete(&[number], tables, batch);
    Ok(())
}

/// A notification that is on disk and that no earlier job of this batch removed.
fn present(number: u64, tables: &Tables, batch: &Batch) -> Result<Option<StoredMessage>, ReadError> {
    if batch.removed.contains(&number) {
        return Ok(None);
    }
    let row = tables.messages.get(number.to_be_bytes())?;
    row.map(|row| unrow(&row, 0)).transpose().map_err(Into::into)
}
