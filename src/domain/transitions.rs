//! What its owner may do to a file. Each function decides one transition and changes nothing.

use std::time::Duration;

use super::account::{Change, Transition};
use super::entry::EntryKind;
use super::file::{File, PublicStatus, Reason, Status, Visibility};
use super::time::Timestamp;
use crate::limits;

/// Why a file did not change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileRefusal {
    /// There is no such file, or its owner deleted it.
    #[error("no such file")]
    NotFound,
    /// It is still pending.
    #[error("the file is not processed yet")]
    NotReady,
    /// It failed.
    #[error("the file failed: {reason}")]
    Failed {
        /// The reason's word.
        reason: &'static str,
    },
    /// It is not in the trash.
    #[error("the file is not in the trash")]
    NotInTrash,
    /// An admin suspended the account.
    #[error("the account is suspended")]
    Suspended,
    /// It comes whole.
    #[error("the file does not come in chunks")]
    NotChunked,
    /// It has changed since the caller read it.
    #[error("the file has changed: its revision is {revision}")]
    Changed {
        /// Its revision now.
        revision: u32,
    },
}

/// What its owner may change of a file.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct FilePatch {
    /// A new name.
    pub filename: Option<String>,
    /// A new visibility.
    pub visibility: Option<Visibility>,
    /// Only if the file still has this revision.
    pub if_revision: Option<u32>,
}

/// How a delete is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// To the trash.
    Trash,
    /// For good.
    Permanent,
}

impl File {
    fn refused(&self) -> FileRefusal {
        match self.public_status() {
            PublicStatus::Pending => FileRefusal::NotReady,
            PublicStatus::Failed(reason) => FileRefusal::Failed { reason },
            PublicStatus::Hidden => FileRefusal::NotFound,
            PublicStatus::Processed | PublicStatus::Trashed => FileRefusal::NotInTrash,
        }
    }

    /// Deletes a file as its owner asked; nothing if that is done already.
    ///
    /// A pending file is cancelled: it stays reserved until its URL is dead (invariant 8). A failed one is hidden, and
    /// keeps its status, what it counts for and its time; bytes that still come do not bring it back (invariant 10).
    #[must_use]
    pub fn remove(&self, removal: Removal, now: Timestamp) -> Option<Transition> {
        match (self.public_status(), removal) {
            (PublicStatus::Pending, _) => Some(transition(EntryKind::Cancelled, self, now, |file| {
                file.reason = Some(Reason::Cancelled);
            })),
            (PublicStatus::Processed, Removal::Trash) => {
                Some(transition(EntryKind::Trashed, self, now, |file| {
                    file.status = Status::Trashed;
                    file.trashed_at = Some(now);
                }))
            }
            (PublicStatus::Processed | PublicStatus::Trashed, Removal::Permanent) => {
                Some(transition(EntryKind::Deleted, self, now, |file| {
                    file.status = Status::Deleting;
                    file.reason = Some(Reason::User);
                    file.trashed_at = None;
                }))
            }
            (PublicStatus::Failed(_), Removal::Permanent) => {
                Some(transition(EntryKind::Deleted, self, now, |file| file.reason = Some(Reason::User)))
            }
            (PublicStatus::Trashed | PublicStatus::Failed(_), Removal::Trash) | (PublicStatus::Hidden, _) => {
                None
            }
        }
    }

    /// Takes a file out of the trash; nothing if it is processed already.
    ///
    /// # Errors
    /// It is neither trashed nor processed.
    pub fn restore(&self, now: Timestamp) -> Result<Option<Transition>, FileRefusal> {
        match self.status {
            Status::Processed => Ok(None),
            Status::Trashed => Ok(Some(transition(EntryKind::Restored, self, now, |file| {
                file.status = Status::Processed;
                file.trashed_at = None;
            }))),
            Status::Pending => Err(FileRefusal::NotInTrash),
            Status::Expired | Status::Deleting | Status::Gone => Err(self.refused()),
        }
    }

    /// Whether it still has the revision that a caller binds their change to.
    ///
    /// # Errors
    /// [`FileRefusal::Changed`].
    pub fn check_revision(&self, wanted: Option<u32>) -> Result<(), FileRefusal> {
        match wanted {
            Some(wanted) if wanted != self.revision => Err(FileRefusal::Changed { revision: self.revision }),
            Some(_) | None => Ok(()),
        }
    }

    /// Changes name or visibility; nothing if they are so already.
    ///
    /// # Errors
    /// The file is not there any more, or has changed since the caller read it.
    pub fn update(&self, patch: &FilePatch, now: Timestamp) -> Result<Option<Transition>, FileRefusal> {
        if matches!(self.public_status(), PublicStatus::Hidden | PublicStatus::Failed(_)) {
            return Err(self.refused());
        }
        self.check_revision(patch.if_revision)?;
        let filename = patch.filename.as_ref().unwrap_or(&self.filename);
        let visibility = patch.visibility.unwrap_or(self.visibility);
        if *filename == self.filename && visibility == self.visibility {
            return Ok(None);
        }
        Ok(Some(transition(EntryKind::Updated, self, now, |file| {
            file.filename.clone_from(filename);
            file.visibility = visibility;
        })))
    }

    /// Deletes a file whose time in the trash is over; nothing if it is not there, or not that long.
    #[must_use]
    pub fn end_retention(&self, retention: Duration, now: Timestamp) -> Option<Transition> {
        self.is_past_retention(retention, now).then(|| self.remove(Removal::Permanent, now)).flatten()
    }

    /// Whether its time in the trash is over.
    #[must_use]
    pub fn is_past_retention(&self, retention: Duration, now: Timestamp) -> bool {
        self.status == Status::Trashed && self.trashed_at.is_some_and(|at| now.since(at) > retention)
    }

    /// From when its row may be forgotten, none while it counts for something: no upload of it can be running any more, and
    /// its owner has had the time to see why it failed.
    ///
    /// The row must outlive every URL that can still be used: an object that comes back by one is removed because of the
    /// row. Without it, it would be an orphan.
    #[must_use]
    pub fn forgettable_from(&self) -> Option<Timestamp> {
        if !matches!(self.status, Status::Gone | Status::Expired) {
            return None;
        }
        let uploads_ended = match self.uploads_end_at {
            Some(end) => end.after(limits::FORGET_MARGIN),
            None => self.changed_at.after(limits::GONE_RETENTION),
        };
        let is_unseen = self.public_status() == PublicStatus::Hidden;
        let was_shown =
            if is_unseen { self.changed_at } else { self.changed_at.after(limits::FAILED_RETENTION) };
        Some(uploads_ended.max(was_shown))
    }

    /// Whether its row may be forgotten now.
    #[must_use]
    pub fn is_forgettable(&self, now: Timestamp) -> bool {
        self.forgettable_from().is_some_and(|from| now > from)
    }

    /// Marks that the bytes are gone; nothing if the file is not being deleted.
    #[must_use]
    pub fn purged(&self, now: Timestamp) -> Option<Transition> {
        (self.status == Status::Deleting)
            .then(|| transition(EntryKind::Purged, self, now, |file| file.status = Status::Gone))
    }

    /// Whether a download may be signed.
    ///
    /// # Errors
    /// It is not processed.
    pub fn downloadable(&self) -> Result<(), FileRefusal> {
        match self.status {
            Status::Processed => Ok(()),
            Status::Trashed => Err(FileRefusal::NotFound),
            Status::Pending | Status::Expired | Status::Deleting | Status::Gone => Err(self.refused()),
        }
    }
}

/// The transition from `row` to its edited successor, with what the row counted for before.
pub(super) fn transition(
    kind: EntryKind,
    row: &File,
    now: Timestamp,
    edit: impl FnOnce(&mut File),
) -> Transition {
    let before = row.weight();
    let mut after = row.clone();
    after.revision += 1;
    after.changed_at = now;
    edit(&mut after);
    Transition { kind, at: now, change: Change::File { before, after: Box::new(after), release_at: None } }
}

#[cfg(test)]
mod tests;
