//! The static columns of a partition: the account.

use std::collections::BTreeMap;

use scylla::value::CqlTimestamp;
use scylla::{DeserializeRow, DeserializeValue, SerializeRow, SerializeValue};
use uuid::Uuid;

use crate::adapters::scylla::cells::{Cell, CellError, bigint, known, time, timestamp, unsigned};
use crate::domain::account::{Account, AccountState, Reservation};
use crate::domain::entry::{EntryKind, Totals};
use crate::domain::ids::{FileId, OpId, UserId};
use crate::ports::Summary;

/// An account's cells.
#[derive(Clone, Debug, PartialEq, SerializeRow, DeserializeRow)]
pub(in crate::adapters::scylla) struct AccountRow {
    /// None: nothing was ever written.
    version: Option<i64>,
    #[scylla(default_when_null)]
    published: i64,
    #[scylla(default_when_null)]
    epoch: i64,
    /// The attempt that made the last write.
    op_id: Option<Uuid>,
    #[scylla(default_when_null)]
    history_floor: i64,
    /// None: written by an earlier release, which did not count them.
    row_count: Option<i64>,
    #[scylla(default_when_null)]
    used_bytes: i64,
    #[scylla(default_when_null)]
    reserved_bytes: i64,
    #[scylla(default_when_null)]
    trashed_bytes: i64,
    #[scylla(default_when_null)]
    file_count: i64,
    #[scylla(default_when_null)]
    deleting_count: i64,
    quota_bytes: Cell<i64>,
    /// Once known it stays.
    subject: Cell<String>,
    #[scylla(default_when_null)]
    state: i8,
    #[scylla(default_when_null)]
    pending: BTreeMap<Uuid, ReservationCell>,
}

/// The cells of an account that a scan needs.
#[derive(Clone, Debug, PartialEq, DeserializeRow)]
pub(in crate::adapters::scylla) struct SummaryRow {
    user_id: Uuid,
    version: Option<i64>,
    #[scylla(default_when_null)]
    published: i64,
    #[scylla(default_when_null)]
    used_bytes: i64,
    #[scylla(default_when_null)]
    reserved_bytes: i64,
    #[scylla(default_when_null)]
    trashed_bytes: i64,
    #[scylla(default_when_null)]
    file_count: i64,
    #[scylla(default_when_null)]
    deleting_count: i64,
    row_count: Option<i64>,
    quota_bytes: Option<i64>,
    #[scylla(default_when_null)]
    state: i8,
    #[scylla(default_when_null)]
    pending: BTreeMap<Uuid, ReservationCell>,
}

/// Type `reservation`.
#[derive(Clone, Debug, PartialEq, SerializeValue, DeserializeValue)]
struct ReservationCell {
    size_bytes: i64,
    release_at: CqlTimestamp,
}

impl AccountRow {
    /// The cells of an account after these transitions.
    pub(in crate::adapters::scylla) fn after(
        account: &Account,
        mut transitions: impl Iterator<Item = EntryKind>,
    ) -> Result<Self, CellError> {
        let totals = account.totals;
        let quota_bytes = account.quota_bytes.map(|bytes| bigint("quota_bytes", bytes)).transpose()?;
        let is_quota_changed = transitions.any(|kind| kind == EntryKind::QuotaChanged);
        Ok(Self {
            version: Some(bigint("version", account.version)?),
            published: bigint("published", account.published)?,
            epoch: bigint("epoch", account.epoch)?,
            op_id: account.op.map(OpId::uuid),
            history_floor: bigint("history_floor", account.history_floor)?,
            row_count: Some(i64::from(account.row_count)),
            used_bytes: bigint("used_bytes", totals.used_bytes)?,
            reserved_bytes: bigint("reserved_bytes", totals.reserved_bytes)?,
            trashed_bytes: bigint("trashed_bytes", totals.trashed_bytes)?,
            file_count: i64::from(totals.file_count),
            deleting_count: i64::from(account.deleting_count),
            quota_bytes: Cell::replaced(quota_bytes, is_quota_changed),
            subject: Cell::kept(account.subject.clone()),
            state: account.state.code(),
            pending: account.pending.iter().map(reservation_cell).collect::<Result<_, _>>()?,
        })
    }

    /// The account; none if nothing was ever written.
    pub(in crate::adapters::scylla) fn into_account(
        self,
        user: UserId,
    ) -> Result<Option<Account>, CellError> {
        let Some(version) = self.version else { return Ok(None) };
        let quota_bytes = self.quota_bytes.into_option();
        let counted = self.file_count.saturating_add(self.deleting_count);
        Ok(Some(Account {
            user,
            version: unsigned("version", version)?,
            published: unsigned("published", self.published)?,
            epoch: unsigned("epoch", self.epoch)?,
            op: self.op_id.map(OpId::from_uuid),
            history_floor: unsigned("history_floor", self.history_floor)?,
            // The rows that count for nothing of an earlier release are missing; its sweep forgets them all the same.
            row_count: unsigned("row_count", self.row_count.unwrap_or(counted))?,
            totals: Totals {
                used_bytes: unsigned("used_bytes", self.used_bytes)?,
                reserved_bytes: unsigned("reserved_bytes", self.reserved_bytes)?,
                trashed_bytes: unsigned("trashed_bytes", self.trashed_bytes)?,
                file_count: unsigned("file_count", self.file_count)?,
            },
            deleting_count: unsigned("deleting_count", self.deleting_count)?,
            quota_bytes: quota_bytes.map(|bytes| unsigned("quota_bytes", bytes)).transpose()?,
            subject: self.subject.into_option(),
            state: known("state", self.state, |code| AccountState::from_code(*code))?,
            pending: self.pending.into_iter().map(reservation).collect::<Result<_, _>>()?,
        }))
    }
}

impl SummaryRow {
    /// Whose it is.
    pub(in crate::adapters::scylla) const fn user(&self) -> UserId {
        UserId::from_uuid(self.user_id)
    }

    /// The account as a scan reads it; none if nothing was ever written.
    pub(in crate::adapters::scylla) fn into_summary(self) -> Result<Option<Summary>, CellError> {
        let user = self.user();
        let row = AccountRow {
            version: self.version,
            published: self.published,
            epoch: 0,
            op_id: None,
            history_floor: 0,
            row_count: self.row_count,
            used_bytes: self.used_bytes,
            reserved_bytes: self.reserved_bytes,
            trashed_bytes: self.trashed_bytes,
            file_count: self.file_count,
            deleting_count: self.deleting_count,
            quota_bytes: Cell::kept(self.quota_bytes),
            subject: Cell::kept(None),
            state: self.state,
            pending: self.pending,
        };
        Ok(row.into_account(user)?.map(|account| Summary::from(&account)))
    }
}

fn reservation_cell(
    (file, reservation): (&FileId, &Reservation),
) -> Result<(Uuid, ReservationCell), CellError> {
    let size_bytes = bigint("pending.size_bytes", reservation.size_bytes)?;
    Ok((file.uuid(), ReservationCell { size_bytes, release_at: timestamp(reservation.release_at) }))
}

fn reservation((file, cell): (Uuid, ReservationCell)) -> Result<(FileId, Reservation), CellError> {
    let size_bytes = unsigned("pending.size_bytes", cell.size_bytes)?;
    let release_at = time("pending.release_at", cell.release_at)?;
    Ok((FileId::from_uuid(file), Reservation { size_bytes, release_at }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn file(n: u128) -> FileId {
        FileId::from_uuid(Uuid::from_u128(n))
    }

    fn account() -> Account {
        let mut account = Account::new(UserId::from_uuid(Uuid::from_u128(7)));
        account.version = 9;
        account.published = 8;
        account.epoch = 3;
        account.totals = Totals { used_bytes: 5, reserved_bytes: 4, trashed_bytes: 1, file_count: 2 };
        account.deleting_count = 6;
        account.quota_bytes = Some(1 << 40);
        account.subject = Some("alice".to_owned());
        account.state = AccountState::Suspended;
        let release_at = Timestamp::from_millis(77);
        account.pending.insert(file(1), Reservation { size_bytes: 4, release_at });
        account.op = Some(OpId::from_uuid(Uuid::from_u128(5)));
        account.history_floor = 4;
        account.row_count = 11;
        account
    }

    fn written(account: &Account) -> Result<AccountRow, CellError> {
        AccountRow::after(account, [].into_iter())
    }

    fn reads_back(account: &Account) {
        let row = written(account).unwrap();
        assert_eq!(row.into_account(account.user), Ok(Some(account.clone())));
    }

    #[test]
    fn an_account_reads_back() {
        reads_back(&account());
        reads_back(&Account { version: 1, ..Account::new(account().user) });
    }

    #[test]
    fn an_account_that_was_never_written_is_none() {
        let row = AccountRow { version: None, ..written(&account()).unwrap() };
        assert_eq!(row.into_account(account().user), Ok(None));
    }

    #[test]
    fn what_cannot_be_stored_is_refused() {
        let huge = Account { quota_bytes: Some(u64::MAX), ..account() };
        assert_eq!(written(&huge), Err(CellError::new("quota_bytes", u64::MAX)));
    }

    #[test]
    fn what_a_newer_version_wrote_is_not_guessed_at() {
        let row = AccountRow { state: 9, ..written(&account()).unwrap() };
        assert_eq!(row.into_account(account().user), Err(CellError::new("state", 9)));
        let row = AccountRow { used_bytes: -1, ..written(&account()).unwrap() };
        assert_eq!(row.into_account(account().user), Err(CellError::new("used_bytes", -1)));
    }

    #[test]
    fn a_summary_says_what_the_account_says() {
        let account = account();
        let row = written(&account).unwrap();
        let summary = SummaryRow {
            user_id: account.user.uuid(),
            version: row.version,
            published: row.published,
            used_bytes: row.used_bytes,
            reserved_bytes: row.reserved_bytes,
            trashed_bytes: row.trashed_bytes,
            file_count: row.file_count,
            deleting_count: row.deleting_count,
            row_count: row.row_count,
            quota_bytes: row.quota_bytes.into_option(),
            state: row.state,
            pending: row.pending,
        };
        assert_eq!(summary.into_summary(), Ok(Some(Summary::from(&account))));
    }
}
