//! What the ledger says that one user has in the bucket: all rows, read at one version, in little memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::tools::{ROWS_PAGE, SweepError, SweepTools};
use crate::domain::account::Account;
use crate::domain::file::{File, Status};
use crate::domain::ids::{FileId, OpId, UserId};
use crate::domain::invariant::{Broken, Tally};
use crate::domain::time::Timestamp;

/// Tries to read an account and its rows while nobody writes.
const READS_MAX: u32 = 3;

/// All rows of a user.
#[derive(Debug, Default)]
pub(super) struct UserSnapshot {
    /// What stands there, as far as the bucket is concerned.
    pub(super) kept: BTreeMap<FileId, RowSummary>,
    /// Trashed for longer than the trash keeps.
    pub(super) past_retention: Vec<FileId>,
    /// What is wrong with the sums, seen twice, each time without a write in between.
    pub(super) drift: Option<Broken>,
    /// The last write before the rows were read, if nothing was written until all were read.
    pub(super) read_at: Option<OpId>,
}

/// A row, as far as the bucket is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowSummary {
    pub(super) status: Status,
    /// When its bytes were settled.
    pub(super) processed_at: Option<Timestamp>,
    /// From when it may be forgotten; none: it counts for something, or not all its events are published.
    pub(super) forgettable_from: Option<Timestamp>,
    /// Where it is among all rows: neighbours have neighbouring places.
    pub(super) place: usize,
}

/// Reads all rows of a user; none for one that was never written.
pub(super) async fn read(tools: &mut SweepTools, user: UserId) -> Result<Option<UserSnapshot>, SweepError> {
    let Some(mut account) = tools.load(user).await? else { return Ok(None) };
    let (mut seen_before, mut tries) = (None, 0);
    loop {
        let (mut shelf, tally) = read_rows(tools, &account).await?;
        let Some(after) = tools.load(user).await? else { return Ok(None) };
        let is_still = after.op == account.op;
        let broken = if is_still { tally.check(&account).err() } else { None };
        tries += 1;
        let is_right = is_still && broken.is_none();
        if is_right || tries >= READS_MAX {
            // Asked after the rows were read: what a row shows was written by then, so it is published or among these.
            let unpublished = tools.untold(&after).await?;
            shelf.keep_unpublished(unpublished.as_ref());
            // Once may be a read that was behind; twice is not.
            shelf.drift = broken.filter(|_| seen_before.is_some());
            shelf.read_at = account.op.filter(|_| is_right);
            return Ok(Some(shelf));
        }
        seen_before = broken.or(seen_before);
        account = after;
    }
}

async fn read_rows(tools: &mut SweepTools, account: &Account) -> Result<(UserSnapshot, Tally), SweepError> {
    let (mut shelf, mut tally) = (UserSnapshot::default(), Tally::default());
    let mut before = None;
    loop {
        let rows = tools.rows(account.user, before).await?;
        before = rows.last().map(|row| row.file_id);
        let is_last = rows.len() < ROWS_PAGE;
        for row in rows {
            tally.add(&row);
            shelf.put(&row, tools.parts.options.trash_retention, tools.now());
        }
        if is_last {
            return Ok((shelf, tally));
        }
    }
}

impl UserSnapshot {
    /// Keeps the rows of files that have unpublished events, for events are made from the row too; none: all have. When a
    /// row changed does not say whether its events are published: that is by the clock of the node that changed it.
    fn keep_unpublished(&mut self, files: Option<&BTreeSet<FileId>>) {
        for (file, kept) in &mut self.kept {
            if files.is_none_or(|files| files.contains(file)) {
                kept.forgettable_from = None;
            }
        }
    }

    fn put(&mut self, row: &File, retention: Duration, now: Timestamp) {
        if row.is_past_retention(retention, now) {
            self.past_retention.push(row.file_id);
        }
        let kept = RowSummary {
            status: row.status,
            processed_at: row.processed_at,
            forgettable_from: row.forgettable_from(),
            place: self.kept.len(),
        };
        self.kept.insert(row.file_id, kept);
    }
}
