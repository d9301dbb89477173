//! A stand-in for the actor tree: decides on the ledger itself, one request after the other.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::handle::{Completed, DeskError, Reserved};
use crate::adapters::Ledger;
use crate::domain::account::{Account, Transition};
use crate::domain::decide::{Observed, Reservable, Reserve, ReserveRefusal, Rules, Settlement};
use crate::domain::draft::Draft;
use crate::domain::file::{File, Shown};
use crate::domain::ids::{FileId, UserId};
use crate::domain::moves::{FilePatch, FileRefusal, Removal};
use crate::ports::{Clock, LedgerPort};

/// How the desk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeskFault {
    /// [`DeskError::Overloaded`].
    Overloaded,
    /// [`DeskError::Unavailable`].
    Unavailable,
    /// [`DeskError::ObjectsUnavailable`].
    ObjectsUnavailable,
    /// [`DeskError::Draining`].
    Draining,
}

/// The stand-in.
#[derive(Debug)]
pub(super) struct FakeDesk {
    pub(super) ledger: Ledger,
    pub(super) clock: Clock,
    pub(super) rules: Rules,
    pub(super) landed: Mutex<HashSet<FileId>>,
    pub(super) fault: Mutex<Option<DeskFault>>,
    pub(super) turn: tokio::sync::Mutex<()>,
}

impl FakeDesk {
    fn fault<R>(&self) -> Result<(), DeskError<R>> {
        match *self.fault.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(DeskFault::Overloaded) => Err(DeskError::Overloaded),
            Some(DeskFault::Unavailable) => Err(DeskError::Unavailable),
            Some(DeskFault::ObjectsUnavailable) => Err(DeskError::ObjectsUnavailable),
            Some(DeskFault::Draining) => Err(DeskError::Draining),
        }
    }

    async fn account<R>(&self, user: UserId) -> Result<Account, DeskError<R>> {
        self.fault()?;
        let found = self.ledger.load(user).await.map_err(|_| DeskError::Unavailable)?;
        Ok(found.unwrap_or_else(|| Account::new(user)))
    }

    async fn row(&self, user: UserId, file: FileId) -> Result<File, DeskError<FileRefusal>> {
        let found = self.ledger.file(user, file).await.map_err(|_| DeskError::Unavailable)?;
        found.ok_or(DeskError::Refused(FileRefusal::NotFound))
    }

    async fn write<R>(&self, account: Account, moves: &[Transition]) -> Result<Vec<File>, DeskError<R>> {
        let mut draft =
            Draft::new(account, BTreeMap::new(), self.clock.op_id(), self.rules.quota_bytes_default);
        moves.iter().for_each(|transition| draft.push(transition));
        let (write, _) = draft.into_write();
        let files = write.files.clone();
        self.ledger.commit(write).await.map_err(|_| DeskError::Unavailable)?;
        Ok(files)
    }

    pub(super) async fn reserve(
        &self,
        user: UserId,
        asked: Reserve,
    ) -> Result<Reserved, DeskError<ReserveRefusal>> {
        let _turn = self.turn.lock().await;
        let now = self.clock.now();
        let mut account = self.account(user).await?;
        let ends = |account: &Account, id: FileId| account.pending.get(&id).map(|open| open.release_at);
        match account.reserve(&asked, &self.rules, now).map_err(DeskError::Refused)? {
            Reservable::New { transitions, remember } => {
                if let Some(remember) = remember {
                    account.remember(remember);
                }
                let files = self.write(account, &transitions).await?;
                let release_at = files.iter().map(|_| Some(self.rules.release_at(now))).collect();
                Ok(Reserved { files, release_at, repeated: false })
            }
            Reservable::Repeat(ids) => {
                let mut files = Vec::new();
                for id in &ids {
                    files.push(self.row(user, *id).await.map_err(|_| DeskError::Unavailable)?);
                }
                let release_at = ids.iter().map(|id| ends(&account, *id)).collect();
                Ok(Reserved { files, release_at, repeated: true })
            }
        }
    }

    pub(super) async fn complete(
        &self,
        user: UserId,
        file: FileId,
    ) -> Result<Completed, DeskError<FileRefusal>> {
        let _turn = self.turn.lock().await;
        let now = self.clock.now();
        let account = self.account(user).await?;
        let row = self.row(user, file).await?;
        match row.shown() {
            Shown::Hidden => return Err(DeskError::Refused(FileRefusal::NotFound)),
            Shown::Pending => {}
            Shown::Processed | Shown::Trashed | Shown::Failed(_) => {
                return Ok(Completed::Settled(Box::new(row)));
            }
        }
        if !self.landed.lock().unwrap_or_else(PoisonError::into_inner).contains(&file) {
            return Ok(Completed::NotThere(Box::new(row)));
        }
        let seen = Observed {
            size_bytes: row.size_bytes,
            etag: "etag".to_owned(),
            checksum_sha256: None,
            content_type: None,
            landed_at: now,
            seen_at: now,
            inspected_at: now,
            rejected: None,
        };
        let after = match account.settle(&row, &seen, &self.rules, now) {
            Settlement::Moves(transition) => self.write(account, &[*transition]).await?.remove(0),
            Settlement::Done | Settlement::Remove => row,
        };
        Ok(Completed::Settled(Box::new(after)))
    }

    pub(super) async fn change(
        &self,
        user: UserId,
        file: FileId,
        how: Move,
    ) -> Result<File, DeskError<FileRefusal>> {
        let _turn = self.turn.lock().await;
        let now = self.clock.now();
        let account = self.account(user).await?;
        let row = self.row(user, file).await?;
        let decided = match how {
            Move::Remove(removal) => row.remove(removal, now),
            Move::Restore => row.restore(now).map_err(DeskError::Refused)?,
            Move::Update(patch) => row.update(&patch, now).map_err(DeskError::Refused)?,
        };
        match decided {
            Some(transition) => Ok(self.write(account, &[transition]).await?.remove(0)),
            None => Ok(row),
        }
    }
}

/// What an owner does to a file.
pub(super) enum Move {
    Remove(Removal),
    Restore,
    Update(FilePatch),
}
