//! Entries where too many that expired stand in the way of a read.
//!
//! An earlier release gave each entry a time to live: one that has run out counts as a tombstone a cell, fifteen of them,
//! until the server drops it. What this release trims is below the floor and never looked at. Versions have no gap, so a
//! range of versions bounds what a read meets.

use std::future::Future;

use crate::ports::LedgerError;

/// Versions of one read: 30,000 tombstones if all of them have expired.
const VERSIONS: u64 = 2048;

/// Versions above `after` and below `before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) after: u64,
    pub(super) before: u64,
}

/// At most `limit` entries between two versions, newest first, of an account at `version`. `read` brings all entries of
/// a range, newest first. Where one has expired, those before it have too.
pub(super) async fn newest<E, F>(
    between: Versions,
    version: u64,
    limit: usize,
    read: impl Fn(Versions) -> F,
) -> Result<Vec<E>, LedgerError>
where
    F: Future<Output = Result<Vec<E>, LedgerError>>,
{
    let (mut entries, mut before) = (Vec::new(), between.before.min(version.saturating_add(1)));
    loop {
        let wanted = u64::try_from(limit - entries.len()).unwrap_or(VERSIONS).min(VERSIONS);
        let after = before.saturating_sub(wanted.saturating_add(1)).max(between.after);
        let width = before.saturating_sub(after.saturating_add(1));
        if width == 0 {
            return Ok(entries);
        }
        let found = read(Versions { after, before }).await?;
        let is_whole = u64::try_from(found.len()).is_ok_and(|count| count == width);
        entries.extend(found);
        if !is_whole {
            return Ok(entries);
        }
        before = after.saturating_add(1);
    }
}

/// At most `limit` entries above a version, oldest first, of an account at `version`. `read` brings all entries of a
/// range, newest first.
pub(super) async fn oldest<E, F>(
    after: u64,
    version: u64,
    limit: usize,
    read: impl Fn(Versions) -> F,
) -> Result<Vec<E>, LedgerError>
where
    F: Future<Output = Result<Vec<E>, LedgerError>>,
{
    let (mut entries, mut after) = (Vec::new(), after);
    while after < version && entries.len() < limit {
        let last = version.min(after.saturating_add(VERSIONS));
        let found = read(Versions { after, before: last.saturating_add(1) }).await?;
        entries.extend(found.into_iter().rev());
        after = last;
    }
    entries.truncate(limit);
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// An account at version 10,000 whose entries up to 6,000 have expired, on a server that walks over 3,000 of those.
    const VERSION: u64 = 10_000;
    const EXPIRED: u64 = 6_000;
    const EXPIRED_MAX: u64 = 3_000;

    fn answer(Versions { after, before }: Versions) -> Result<Vec<u64>, LedgerError> {
        if before.min(EXPIRED + 1).saturating_sub(after + 1) > EXPIRED_MAX {
            return Err(LedgerError::Unreadable { reason: "tombstones".to_owned() });
        }
        Ok((after + 1..before).filter(|version| (EXPIRED + 1..=VERSION).contains(version)).rev().collect())
    }

    async fn check_newest(after: u64, before: u64, limit: usize) {
        let reads = Cell::new(0);
        let read = |versions| {
            reads.set(reads.get() + 1);
            std::future::ready(answer(versions))
        };
        let found = newest(Versions { after, before }, VERSION, limit, read).await;
        let kept = after.max(EXPIRED) + 1..before.min(VERSION + 1);
        assert_eq!(found, Ok(kept.rev().take(limit).collect()), "{limit} between {after} and {before}");
        assert!(reads.get() < 6, "{} reads", reads.get());
    }

    async fn check_oldest(after: u64, limit: usize) {
        let found = oldest(after, VERSION, limit, |versions| std::future::ready(answer(versions))).await;
        let kept = after.max(EXPIRED) + 1..=VERSION;
        assert_eq!(found, Ok(kept.take(limit).collect()), "{limit} after {after}");
    }

    #[tokio::test]
    async fn expired_entries_are_passed_in_both_directions() {
        for limit in [0, 1, 200, 20_000] {
            for before in [0, 1, 300, EXPIRED + 1, EXPIRED + 100, VERSION, VERSION + 1, u64::MAX] {
                check_newest(0, before, limit).await;
                check_newest(EXPIRED + 50, before, limit).await;
            }
            for after in [0, 300, EXPIRED, EXPIRED + 1, VERSION - 10, VERSION, VERSION + 1] {
                check_oldest(after, limit).await;
            }
        }
    }
}
