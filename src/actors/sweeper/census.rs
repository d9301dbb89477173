//! The totals of a deployment, counted by the pass that reads every account anyway.

use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::entry::Totals;
use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;
use crate::limits::TOP_USERS_MAX;
use crate::ports::{LedgerError, LedgerPort, Summary};
use crate::telemetry::names;

/// Accounts that one read of [`Census::count_few`] takes.
const PAGE_ACCOUNTS: usize = 200;

/// The sums of all accounts. Changes made while they were counted may be in it or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// When the count began.
    pub as_of: Timestamp,
    /// Accounts.
    pub users: u64,
    /// Files pending, processed or trashed.
    pub files: u64,
    /// Bytes of processed and trashed files.
    pub used_bytes: u64,
    /// Bytes set aside.
    pub reserved_bytes: u64,
    /// Bytes of trashed files; part of `used_bytes`.
    pub trashed_bytes: u64,
    /// Accounts that cannot be read; they are in none of the numbers above.
    pub unreadable: u64,
    /// Those who use the most, the most first; at most [`TOP_USERS_MAX`].
    pub top: Vec<TopUser>,
}

/// One of those who use the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopUser {
    /// Who.
    pub user: UserId,
    /// Their sums.
    pub totals: Totals,
}

impl Census {
    /// Nobody counted yet.
    pub(super) fn begin(as_of: Timestamp) -> Self {
        Self { as_of, ..Self::default() }
    }

    /// Counts the accounts now, if there are at most `accounts_max` of them: a small deployment does not wait for a
    /// sweep.
    ///
    /// # Errors
    /// The ledger's, if it cannot be read to the end.
    pub async fn count_few(
        ledger: &impl LedgerPort,
        as_of: Timestamp,
        accounts_max: u64,
    ) -> Result<Option<Self>, LedgerError> {
        let mut census = Self::begin(as_of);
        let mut after = None;
        while census.users + census.unreadable <= accounts_max {
            let page = ledger.scan(after, PAGE_ACCOUNTS).await?;
            page.accounts.iter().for_each(|account| census.add(account));
            census.unreadable = page.unreadable.iter().fold(census.unreadable, |count, _| count + 1);
            after = page.next;
            if after.is_none() {
                return Ok(Some(census));
            }
        }
        Ok(None)
    }

    /// Counts an account.
    pub(super) fn add(&mut self, account: &Summary) {
        let totals = account.totals;
        self.users += 1;
        self.files += u64::from(totals.file_count);
        self.used_bytes = self.used_bytes.saturating_add(totals.used_bytes);
        self.reserved_bytes = self.reserved_bytes.saturating_add(totals.reserved_bytes);
        self.trashed_bytes = self.trashed_bytes.saturating_add(totals.trashed_bytes);
        let above = |other: &TopUser| other.totals.used_bytes >= totals.used_bytes;
        let place = self.top.partition_point(above);
        if place < TOP_USERS_MAX && totals.used_bytes > 0 {
            self.top.insert(place, TopUser { user: account.user, totals });
            self.top.truncate(TOP_USERS_MAX);
        }
    }
}

/// Where the last whole count hangs. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(in crate::actors) struct CensusBoard(Arc<RwLock<Option<Arc<Census>>>>);

impl CensusBoard {
    /// The last whole count; none before the first.
    pub(in crate::actors) fn last(&self) -> Option<Arc<Census>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Hangs up a whole count.
    pub(super) fn show(&self, census: Census) {
        let gauges = [
            (names::USERS, census.users),
            (names::FILES, census.files),
            (names::USED_BYTES, census.used_bytes),
            (names::RESERVED_BYTES, census.reserved_bytes),
            (names::TRASHED_BYTES, census.trashed_bytes),
            (names::SWEEP_UNREADABLE_ACCOUNTS, census.unreadable),
        ];
        for (name, value) in gauges {
            names::set_gauge(name, value);
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(census));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::account::Account;

    fn summary(name: &str, used_bytes: u64) -> Summary {
        let mut account = Account::new(UserId::from_subject("issuer", name).unwrap());
        account.totals =
            Totals { used_bytes, reserved_bytes: 1, trashed_bytes: used_bytes / 2, file_count: 3 };
        Summary::from(&account)
    }

    #[test]
    fn the_sums_are_those_of_all_and_the_top_are_the_largest() {
        let mut census = Census::begin(Timestamp::from_millis(7));
        // 1, 101, 201, then down to 100: neither sorted nor turned around.
        for n in (0..300_u64).map(|n| (n * 101) % 300) {
            census.add(&summary(&format!("user {n}"), n));
        }
        assert_eq!((census.users, census.files, census.reserved_bytes), (300, 900, 300));
        assert_eq!(census.used_bytes, (0..300).sum::<u64>());
        assert_eq!(census.trashed_bytes, (0..300_u64).map(|n| n / 2).sum::<u64>());
        let top: Vec<u64> = census.top.iter().map(|top| top.totals.used_bytes).collect();
        assert_eq!(top, (290..300).rev().collect::<Vec<_>>());
    }

    #[test]
    fn who_uses_nothing_is_not_at_the_top() {
        let mut census = Census::begin(Timestamp::default());
        census.add(&summary("nobody", 0));
        assert_eq!((census.users, census.top.len()), (1, 0));
    }
}
