//! A walk around the ring of tokens that one bad partition does not stop.
//!
//! A page fails as a whole when one partition of it cannot be read. Then smaller pages are tried, down to a single
//! account; if that one fails, its token is searched for, so that the walk can go on behind it.

use std::future::Future;

use crate::ports::LedgerError;

/// The last token.
pub(super) const END: i64 = i64::MAX;

/// A part of the ring, and how many accounts of it are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Tokens above this one.
    pub(super) after: i64,
    /// Tokens up to this one.
    pub(super) to: i64,
    /// So many accounts at most.
    pub(super) limit: i32,
}

/// What comes next on the ring.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Page<R> {
    /// Accounts, in the order of their tokens.
    Rows {
        /// The accounts; may be none.
        rows: Vec<R>,
        /// Whether nothing is behind them.
        is_end: bool,
    },
    /// A partition that cannot be read. There is no other account before it.
    Unreadable {
        /// Its token: where to go on.
        token: i64,
        /// Why.
        error: LedgerError,
    },
}

/// Reads the next accounts after a token, at most `limit`.
///
/// # Errors
/// Only such as concern every partition.
pub(super) async fn page<R, F>(
    after: i64,
    limit: i32,
    read: impl Fn(Stretch) -> F,
) -> Result<Page<R>, LedgerError>
where
    F: Future<Output = Result<Vec<R>, LedgerError>>,
{
    let mut limit = limit.max(1);
    loop {
        match read(Stretch { after, to: END, limit }).await {
            Ok(rows) => {
                let is_end = i32::try_from(rows.len()).is_ok_and(|count| count < limit);
                return Ok(Page::Rows { rows, is_end });
            }
            Err(LedgerError::Unreadable { .. }) if limit > 1 => limit /= 2,
            Err(LedgerError::Unreadable { .. }) => return first_unreadable(after, read).await,
            Err(error @ (LedgerError::Unavailable { .. } | LedgerError::Corrupt { .. })) => {
                return Err(error);
            }
        }
    }
}

/// Halves the ring until one token is left: that of the first partition that cannot be read. Returns rows instead if
/// there turn out to be some before it.
async fn first_unreadable<R, F>(after: i64, read: impl Fn(Stretch) -> F) -> Result<Page<R>, LedgerError>
where
    F: Future<Output = Result<Vec<R>, LedgerError>>,
{
    // Up to `low` there is nothing; up to `high` something cannot be read.
    let (mut low, mut high) = (after, END);
    loop {
        let is_last = low.abs_diff(high) <= 1;
        let to = if is_last { high } else { low.midpoint(high) };
        match read(Stretch { after: low, to, limit: 1 }).await {
            Ok(rows) if !rows.is_empty() || is_last => return Ok(Page::Rows { rows, is_end: to == END }),
            Ok(_) => low = to,
            Err(error @ LedgerError::Unreadable { .. }) if is_last => {
                return Ok(Page::Unreadable { token: high, error });
            }
            Err(LedgerError::Unreadable { .. }) => high = to,
            Err(error @ (LedgerError::Unavailable { .. } | LedgerError::Corrupt { .. })) => {
                return Err(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn unreadable() -> LedgerError {
        LedgerError::Unreadable { reason: "tombstones".to_owned() }
    }

    /// A ring with accounts at these tokens, some of which cannot be read; a read that meets one of those fails.
    fn answer(ring: &[i64], bad: &[i64], asked: Stretch) -> Result<Vec<i64>, LedgerError> {
        let inside = ring.iter().copied().filter(|token| (asked.after + 1..=asked.to).contains(token));
        let rows: Vec<i64> = inside.take(usize::try_from(asked.limit).unwrap()).collect();
        if rows.iter().any(|token| bad.contains(token)) { Err(unreadable()) } else { Ok(rows) }
    }

    /// Walks around the whole ring; returns what was read, what was not, and the number of reads.
    async fn walk(ring: &[i64], bad: &[i64], limit: i32) -> (Vec<i64>, Vec<i64>, u32) {
        let (mut read, mut skipped, reads, mut after) = (Vec::new(), Vec::new(), Cell::new(0), i64::MIN);
        loop {
            let ask = |stretch| {
                reads.set(reads.get() + 1);
                std::future::ready(answer(ring, bad, stretch))
            };
            let (next, is_end) = match page(after, limit, ask).await.unwrap() {
                Page::Rows { rows, is_end } => {
                    let last = rows.last().copied();
                    read.extend(rows);
                    (last, is_end)
                }
                Page::Unreadable { token, .. } => {
                    skipped.push(token);
                    (Some(token), token == END)
                }
            };
            match next {
                Some(next) if !is_end => after = next,
                Some(_) | None => return (read, skipped, reads.get()),
            }
        }
    }

    async fn check(ring: &[i64], bad: &[i64], limit: i32) -> u32 {
        let (read, skipped, reads) = walk(ring, bad, limit).await;
        let good: Vec<i64> = ring.iter().copied().filter(|token| !bad.contains(token)).collect();
        assert_eq!((read, skipped), (good, bad.to_vec()), "pages of {limit}");
        reads
    }

    #[tokio::test]
    async fn a_walk_passes_every_account_once_and_only_skips_those_that_cannot_be_read() {
        let ring: Vec<i64> = (-150..150).map(|n| n * 61_489_146_912_365).collect();
        for limit in [1, 7, 100, 500] {
            check(&[], &[], limit).await;
            check(&ring, &[], limit).await;
            check(&ring, &ring[..1], limit).await;
            check(&ring, &ring[299..], limit).await;
            check(&ring, &[ring[3], ring[4], ring[290]], limit).await;
            check(&ring, &ring, limit).await;
        }
        check(&[i64::MIN + 1, -1, 0, 1, END], &[-1, 0, END], 2).await;
        let reads = check(&ring, &[ring[250]], 500).await;
        assert!(reads < 120, "one bad account of 300 took {reads} reads");
    }

    #[tokio::test]
    async fn an_outage_ends_the_walk_and_is_no_bad_account() {
        let away = LedgerError::Unavailable { reason: "no replica".to_owned() };
        let outcome = page::<i64, _>(0, 8, |_| std::future::ready(Err(away.clone()))).await;
        assert_eq!(outcome, Err(away.clone()));
        let late = |stretch: Stretch| {
            std::future::ready(Err(if stretch.to == END { unreadable() } else { away.clone() }))
        };
        assert_eq!(page::<i64, _>(0, 8, late).await, Err(away.clone()));
    }

    #[tokio::test]
    async fn a_failure_that_passes_is_no_bad_account() {
        let reads = Cell::new(0);
        let ask = |stretch: Stretch| {
            reads.set(reads.get() + 1);
            std::future::ready(if reads.get() < 5 { Err(unreadable()) } else { answer(&[7], &[], stretch) })
        };
        assert_eq!(page(0, 8, ask).await, Ok(Page::Rows { rows: vec![7], is_end: false }));
        reads.set(0);
        let ask = |stretch: Stretch| {
            reads.set(reads.get() + 1);
            std::future::ready(if reads.get() < 5 { Err(unreadable()) } else { answer(&[], &[], stretch) })
        };
        assert_eq!(page(0, 8, ask).await, Ok(Page::Rows { rows: Vec::new(), is_end: true }));
    }
}
