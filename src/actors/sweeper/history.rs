//! The history of a user is trimmed: entries older than they are kept leave from the start, up to a floor.

use super::requests::TrimHistory;
use super::tools::{SweepError, SweepTools, found};
use crate::domain::account::Account;
use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;
use crate::limits::HISTORY_ENTRIES_MAX;

/// Trims what is older than it is kept, and what is above the number of entries that are kept. The last entry stays: its
/// totals are the account's.
pub(super) async fn trim(tools: &mut SweepTools, user: UserId) -> Result<(), SweepError> {
    let Some(kept) = tools.parts.options.history else { return Ok(()) };
    let Some(account) = tools.load(user).await? else { return Ok(()) };
    let last = account.published.min(account.version.saturating_sub(1));
    let by_age = last_before(tools, &account, last, tools.now().before(kept)).await?;
    let up_to = by_age.max(account.version.saturating_sub(HISTORY_ENTRIES_MAX)).min(last);
    let mut floor = account.history_floor;
    // Each write trims a bounded number; one that trims nothing is the last.
    while floor < up_to {
        found("history");
        let trimmed = tools.parts.desks.ask(user, TrimHistory { up_to }, None).await;
        let after = trimmed.map_err(|error| SweepError::Desk(error.to_string()))?;
        if after <= floor {
            break;
        }
        floor = after;
    }
    Ok(())
}

/// The last version, up to `last`, whose entry is older than `cut`; the floor if there is none.
///
/// Times rise with versions but for what clocks differ by, so halving finds it in a few reads, and mostly in one.
async fn last_before(
    tools: &mut SweepTools,
    account: &Account,
    last: u64,
    cut: Timestamp,
) -> Result<u64, SweepError> {
    let (mut old, mut young) = (account.history_floor, last.saturating_add(1));
    let mut next = old.saturating_add(1);
    while next < young {
        // An entry that is not there, though it is above the floor, was dropped by an earlier release for its age.
        let entry = tools.entry(account.user, next).await?;
        if entry.is_none_or(|entry| entry.at < cut) {
            old = next;
        } else {
            young = next;
        }
        next = old + (young - old).div_ceil(2);
        if young - old <= 1 {
            break;
        }
    }
    Ok(old)
}
