//! Rows newest first where too many deleted ones stand before them to be read at once.
//!
//! A file's id is a UUIDv7, which begins with its time, so a part of a list is a span of time. A span that cannot be
//! read is cut; one that was read is followed by a longer one. A read that fails costs as much as one that walks over all
//! the deleted rows that the server allows, so it is cut to an eighth at once.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::ports::LedgerError;

/// The first span, in milliseconds. At 700 files a second, as fast as one user's commits go, it holds 90,000.
const FIRST_MS: u64 = 128_000;
/// A span that was read in less time met few deleted rows.
const AT_ONCE: Duration = Duration::from_millis(25);
/// How much longer the next span is then, and otherwise.
const GROWTH_AT_ONCE: u64 = 8;
const GROWTH: u64 = 2;
/// How much shorter the next span is after one that cannot be read.
const CUT: u64 = 8;
/// Spans of one list. At 50,000 deleted rows each, far more than a partition may hold.
const SPANS_MAX: u32 = 256;

/// Ids from `from` up to, and without, `before`; none: without an upper end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Uuid,
    pub(super) before: Option<Uuid>,
}

/// Reads at most `limit` rows below `before`, newest first. `now_ms` is about the time of the newest row.
///
/// # Errors
/// See [`LedgerError`]; a single millisecond that cannot be read is [`LedgerError::Unreadable`].
pub(super) async fn newest_first<R, F>(
    before: Option<Uuid>,
    now_ms: u64,
    limit: usize,
    read: impl Fn(Span, usize) -> F,
) -> Result<Vec<R>, LedgerError>
where
    F: Future<Output = Result<Vec<R>, LedgerError>>,
{
    let mut rows = Vec::new();
    let mut end = before;
    let mut end_ms = before.map_or(now_ms, |before| millis_of(before).saturating_add(1).min(now_ms));
    let mut span_ms = FIRST_MS;
    for _ in 0..SPANS_MAX {
        let from_ms = end_ms.saturating_sub(span_ms);
        let from = if from_ms == 0 { Uuid::nil() } else { lowest_at(from_ms) };
        let started = Instant::now();
        match read(Span { from, before: end }, limit.saturating_sub(rows.len())).await {
            Ok(found) => {
                rows.extend(found);
                if rows.len() >= limit || from.is_nil() {
                    return Ok(rows);
                }
                (end, end_ms) = (Some(from), from_ms);
                let growth = if started.elapsed() < AT_ONCE { GROWTH_AT_ONCE } else { GROWTH };
                span_ms = span_ms.saturating_mul(growth);
            }
            Err(LedgerError::Unreadable { .. }) if span_ms > 1 => span_ms = (span_ms / CUT).max(1),
            Err(error) => return Err(error),
        }
    }
    Err(LedgerError::Unreadable { reason: format!("a list needs more than {SPANS_MAX} reads") })
}

/// The lowest id of a millisecond: version 7, variant 2, and nothing else.
fn lowest_at(millis: u64) -> Uuid {
    Uuid::from_u128((u128::from(millis) << 80) | (7 << 76) | (2 << 62))
}

/// The millisecond of an id.
fn millis_of(id: Uuid) -> u64 {
    u64::try_from(id.as_u128() >> 80).expect("48 bits fit")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const NOW_MS: u64 = 1_795_169_642_161;

    /// A partition: ids newest first, and whether each is alive.
    type Partition = Vec<(Uuid, bool)>;

    /// So many deleted rows, one every `step_ms`, the newest now, and before them some that are there.
    fn wall(deleted: u64, step_ms: u64, alive: u64) -> Partition {
        let at = |n: u64| lowest_at(NOW_MS - n * step_ms);
        (0..deleted + alive).map(|n| (at(n), n >= deleted)).collect()
    }

    /// Lists as a server does that gives up at `tombstones_max` deleted rows; returns the rows and the reads.
    async fn list(
        partition: &Partition,
        before: Option<Uuid>,
        limit: usize,
        tombstones_max: usize,
    ) -> (Result<Vec<Uuid>, LedgerError>, u32) {
        let reads = Cell::new(0);
        let read = |span: Span, limit: usize| {
            reads.set(reads.get() + 1);
            let (mut found, mut deleted) = (Vec::new(), 0);
            let inside = |id: &Uuid| *id >= span.from && span.before.is_none_or(|before| *id < before);
            for (id, is_alive) in partition.iter().filter(|(id, _)| inside(id)) {
                if found.len() == limit || deleted > tombstones_max {
                    break;
                }
                if *is_alive { found.push(*id) } else { deleted += 1 }
            }
            let is_too_much = deleted > tombstones_max;
            let reason = "tombstones".to_owned();
            std::future::ready(if is_too_much { Err(LedgerError::Unreadable { reason }) } else { Ok(found) })
        };
        (newest_first(before, NOW_MS, limit, read).await, reads.get())
    }

    async fn check(partition: &Partition, before: Option<Uuid>, limit: usize) -> u32 {
        let alive = partition.iter().filter(|(id, is_alive)| *is_alive && before.is_none_or(|b| *id < b));
        let expected: Vec<Uuid> = alive.map(|(id, _)| *id).take(limit).collect();
        let (found, reads) = list(partition, before, limit, 1000).await;
        assert_eq!(found, Ok(expected));
        reads
    }

    #[tokio::test]
    async fn every_living_row_is_found_behind_any_number_of_deleted_ones() {
        for (deleted, step_ms) in [(0, 1), (999, 4), (20_000, 4), (5_000, 60_000), (3_000, 3_600_000)] {
            let partition = wall(deleted, step_ms, 300);
            let reads = check(&partition, None, 200).await;
            assert!(reads < 120, "{deleted} deleted rows, {step_ms} ms apart: {reads} reads");
            check(&partition, Some(partition[17].0), 1).await;
            check(&partition, Some(lowest_at(NOW_MS + 99_999)), 500).await;
            check(&partition, Some(Uuid::nil()), 5).await;
        }
    }

    #[tokio::test]
    async fn rows_from_a_clock_that_runs_ahead_are_found() {
        let ahead = vec![(lowest_at(NOW_MS + 3_600_000), true), (lowest_at(NOW_MS - 1), true)];
        check(&ahead, None, 10).await;
    }

    #[tokio::test]
    async fn a_millisecond_that_cannot_be_read_ends_the_list() {
        let partition = wall(5_000, 0, 0);
        let (found, reads) = list(&partition, None, 10, 1000).await;
        assert!(matches!(found, Err(LedgerError::Unreadable { .. })), "{found:?}");
        assert!(reads < 40, "{reads} reads");
    }
}
