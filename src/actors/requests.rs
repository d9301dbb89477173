//! Every kind of request to an account, as a [`Command`].

use std::convert::Infallible;

use super::handle::OpenUpload;
use super::ticket::{Command, Context, Decision};
use crate::domain::account::{Account, AccountState, Transition};
use crate::domain::decide::{Observed, Settlement};
use crate::domain::draft::Draft;
use crate::domain::file::{File, PublicStatus, Status};
use crate::domain::ids::FileId;
use crate::domain::transitions::{FilePatch, FileRefusal, Removal};

/// The outcome of an object's arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// The file moved now, or had moved before: processed, trashed, or failed.
    File(Box<File>),
    /// The file is deleted: its object must go.
    Remove(Box<File>),
    /// The user has no such file.
    Unknown,
}

impl Settled {
    /// The file's row, if there is one.
    pub(super) fn row(&self) -> Option<&File> {
        match self {
            Self::File(row) | Self::Remove(row) => Some(row),
            Self::Unknown => None,
        }
    }
}

/// Settle a file whose object is there.
pub(super) struct Settle {
    /// Which.
    pub(super) file: FileId,
    /// What the bucket says.
    pub(super) seen: Observed,
}

impl Command for Settle {
    type Answer = Settled;
    type Refusal = Infallible;

    fn files(&self) -> Vec<FileId> {
        vec![self.file]
    }

    fn decide(&self, draft: &mut Draft, context: &Context<'_>) -> Decision<Settled, Infallible> {
        let Some(row) = draft.row(self.file).cloned() else {
            return if context.is_fresh {
                Decision::Done(Ok(Settled::Unknown))
            } else {
                Decision::NeedsFresh
            };
        };
        let settled = match draft.account().settle(&row, &self.seen, &context.rules, context.now) {
            Settlement::Done => Settled::File(Box::new(row)),
            Settlement::Remove => Settled::Remove(Box::new(row)),
            Settlement::Transition(transition) => {
                draft.push(&transition);
                let after = Box::new(draft.row(self.file).cloned().unwrap_or(row));
                if after.status == Status::Deleting { Settled::Remove(after) } else { Settled::File(after) }
            }
        };
        Decision::Done(Ok(settled))
    }
}

/// End a reservation for which the bucket has no object.
pub(super) struct Expire {
    /// Which.
    pub(super) file: FileId,
}

impl Command for Expire {
    type Answer = ();
    type Refusal = Infallible;

    fn files(&self) -> Vec<FileId> {
        vec![self.file]
    }

    fn decide(&self, draft: &mut Draft, context: &Context<'_>) -> Decision<(), Infallible> {
        let transition = draft.row(self.file).and_then(|row| draft.account().expire(row, context.now));
        push_if_some(draft, transition);
        Decision::Done(Ok(()))
    }
}

/// The bytes of a file that is being deleted are gone.
pub(super) struct MarkPurged {
    /// Which.
    pub(super) file: FileId,
}

impl Command for MarkPurged {
    type Answer = ();
    type Refusal = Infallible;

    fn files(&self) -> Vec<FileId> {
        vec![self.file]
    }

    fn decide(&self, draft: &mut Draft, context: &Context<'_>) -> Decision<(), Infallible> {
        let transition = draft.row(self.file).and_then(|row| row.purged(context.now));
        push_if_some(draft, transition);
        Decision::Done(Ok(()))
    }
}

fn push_if_some(draft: &mut Draft, transition: Option<Transition>) {
    if let Some(transition) = transition {
        draft.push(&transition);
    }
}

/// Entries up to this version are in the event log.
pub(super) struct MarkPublished {
    /// The version.
    pub(super) version: u64,
}

impl Command for MarkPublished {
    type Answer = ();
    type Refusal = Infallible;

    fn weight(&self) -> usize {
        0
    }

    fn decide(&self, draft: &mut Draft, _context: &Context<'_>) -> Decision<(), Infallible> {
        draft.mark_published(self.version);
        Decision::Done(Ok(()))
    }
}

/// Look at a file's row, and change nothing.
pub(super) struct ReadFile {
    /// Which.
    pub(super) file: FileId,
}

impl Command for ReadFile {
    type Answer = File;
    type Refusal = FileRefusal;

    fn files(&self) -> Vec<FileId> {
        vec![self.file]
    }

    fn weight(&self) -> usize {
        0
    }

    fn decide(&self, draft: &mut Draft, context: &Context<'_>) -> Decision<File, FileRefusal> {
        of_file(draft, context, self.file, |_| Ok(None))
    }
}

/// Look at a file and at its owner's state, before its upload goes on.
pub(super) struct LookOpen {
    /// Which.
    pub(super) file: FileId,
    /// Whether it must come in chunks.
    pub(super) needs_chunks: bool,
}

impl Command for LookOpen {
    type Answer = OpenUpload;
    type Refusal = FileRefusal;

    fn files(&self) -> Vec<FileId> {
        vec![self.file]
    }

    fn weight(&self) -> usize {
        0
    }

    fn decide(&self, draft: &mut Draft, context: &Context<'_>) -> Decision<OpenUpload, FileRefusal> {
        // No write will tell whether the account is as it was: a suspended one must not go on signing.
        if !context.is_fresh {
            return Decision::NeedsFresh;
        }
        let row = draft.row(self.file).filter(|row| row.public_status() != PublicStatus::Hidden);
        Decision::Done(match row {
            None => Err(FileRefusal::NotFound),
            Some(row) if self.needs_chunks && row.multipart.is_none() => Err(FileRefusal::NotChunked),
            Some(row) => Ok(OpenUpload {
                file: row.clone(),
                release_at: draft.account().pending.get(&self.file).map(|open| open.release_at),
                state: draft.account().state,
            }),
        })
    }
}

/// Delete a file, as its owner means it.
pub(super) struct Remove {
    /// Which.
    pub(super) file: FileId,
    /// How it is meant.
    pub(super) how: Removal,
    /// Only if the file still has this revision.
    pub(super) if_revision: Option<u32>,
}

impl Command for Remove {
    type Answer = File;
    type Refusal = FileRefusal;

    fn files(&self) -> Vec<FileId> {
        vec![self.file]
    }

    fn decide(&self, draft: &mut Draft, context: &Context<'_>) -> Decision<File, FileRefusal> {
        of_file(draft, context, self.file, |row| {
            row.check_revision(self.if_revision)?;
            Ok(row.remove(self.how, context.now))
        })
    }
}

/// Take a file out of the trash.
pub(super) struct Restore {
    /// Which.
    pub(super) file: FileId,
    /// Only if the file still has this revision.
    pub(super) if_revision: Option<u32>,
}

impl Command for Restore {
    type Answer = File;
    type Refusal = FileRefusal;

    fn files(&self) -> Vec<FileId> {
        vec![self.file]
    }

    fn decide(&self, draft: &mut Draft, context: &Context<'_>) -> Decision<File, FileRefusal> {
        while_active(draft, context, self.file, |row| {
            row.check_revision(self.if_revision)?;
            row.restore(context.now)
        })
    }
}

/// Change a file's name or visibility.
pub(super) struct Update {
    /// Which.
    pub(super) file: FileId,
    /// What to change.
    pub(super) patch: FilePatch,
}

impl Command for Update {
    type Answer = File;
    type Refusal = FileRefusal;

    fn files(&self) -> Vec<FileId> {
        vec![self.file]
    }

    fn decide(&self, draft: &mut Draft, context: &Context<'_>) -> Decision<File, FileRefusal> {
        while_active(draft, context, self.file, |row| row.update(&self.patch, context.now))
    }
}

/// As [`of_file`], but nothing of a suspended account.
fn while_active(
    draft: &mut Draft,
    context: &Context<'_>,
    file: FileId,
    decide: impl FnOnce(&File) -> Result<Option<Transition>, FileRefusal>,
) -> Decision<File, FileRefusal> {
    match draft.account().state {
        AccountState::Active => of_file(draft, context, file, decide),
        AccountState::Suspended if context.is_fresh => Decision::Done(Err(FileRefusal::Suspended)),
        AccountState::Suspended => Decision::NeedsFresh,
    }
}

/// Decides about one file, answering with its row after. A missing row counts only on a fresh account.
fn of_file(
    draft: &mut Draft,
    context: &Context<'_>,
    file: FileId,
    decide: impl FnOnce(&File) -> Result<Option<Transition>, FileRefusal>,
) -> Decision<File, FileRefusal> {
    let Some(row) = draft.row(file).cloned() else {
        return if context.is_fresh {
            Decision::Done(Err(FileRefusal::NotFound))
        } else {
            Decision::NeedsFresh
        };
    };
    Decision::Done(decide(&row).map(|transition| match transition {
        Some(transition) => {
            draft.push(&transition);
            draft.row(file).cloned().unwrap_or(row)
        }
        None => row,
    }))
}

/// Change an account's own limit.
pub(super) struct SetQuota(pub(super) Option<u64>);

impl Command for SetQuota {
    type Answer = Account;
    type Refusal = Infallible;

    fn decide(&self, draft: &mut Draft, context: &Context<'_>) -> Decision<Account, Infallible> {
        let transition = draft.account().set_quota(self.0, context.now);
        push_if_some(draft, transition);
        Decision::Done(Ok(draft.account().clone()))
    }
}

/// Suspend or reactivate an account.
pub(super) struct SetState(pub(super) AccountState);

impl Command for SetState {
    type Answer = Account;
    type Refusal = Infallible;

    fn decide(&self, draft: &mut Draft, context: &Context<'_>) -> Decision<Account, Infallible> {
        let transition = draft.account().set_state(self.0, context.now);
        push_if_some(draft, transition);
        Decision::Done(Ok(draft.account().clone()))
    }
}
