//! What only the sweeper asks of an account.

use std::convert::Infallible;
use std::time::Duration;

use crate::actors::ticket::{Command, Context, Decision};
use crate::domain::draft::{Draft, RowRange};
use crate::domain::ids::{FileId, OpId};
use crate::limits::COMMIT_TRANSITIONS_MAX;

/// Files in one request: half a write, so that it finds room beside others.
pub(super) const FILES_PER_REQUEST: usize = COMMIT_TRANSITIONS_MAX / 2;

/// Delete files whose time in the trash is over.
pub(super) struct EndRetention {
    /// Which; at most as many as fit in one write.
    pub(super) files: Vec<FileId>,
    /// How long files stay in the trash.
    pub(super) retention: Duration,
}

impl Command for EndRetention {
    type Answer = ();
    type Refusal = Infallible;

    fn files(&self) -> Vec<FileId> {
        self.files.clone()
    }

    fn weight(&self) -> usize {
        self.files.len()
    }

    fn decide(&self, draft: &mut Draft, context: &Context<'_>) -> Decision<(), Infallible> {
        for file in &self.files {
            let row = draft.row(*file);
            let transition = row.and_then(|row| row.end_retention(self.retention, context.now));
            if let Some(transition) = transition {
                draft.push(&transition);
            }
        }
        Decision::Done(Ok(()))
    }
}

/// Forgets a range of neighbouring rows as they were read at a write. The rows are not read again, so it happens only if
/// nothing was written since.
pub(super) struct ForgetRange {
    /// Which.
    pub(super) range: RowRange,
    /// How many rows are in it, each of which may be forgotten.
    pub(super) count: u32,
    /// The last write when they were read.
    pub(super) read_at: OpId,
}

impl Command for ForgetRange {
    /// The write that forgets them; none: something was written since, and nothing is forgotten.
    type Answer = Option<OpId>;
    type Refusal = Infallible;

    fn decide(&self, draft: &mut Draft, context: &Context<'_>) -> Decision<Option<OpId>, Infallible> {
        if draft.untouched_since() == Some(self.read_at) {
            draft.forget_range(self.range, self.count);
            return Decision::Done(Ok(Some(draft.op())));
        }
        // Memory may be older than what was read.
        if context.is_fresh { Decision::Done(Ok(None)) } else { Decision::NeedsFresh }
    }
}

/// Trim the history up to a version.
pub(super) struct TrimHistory {
    /// The last version to delete.
    pub(super) up_to: u64,
}

impl Command for TrimHistory {
    /// The floor after it.
    type Answer = u64;
    type Refusal = Infallible;

    fn weight(&self) -> usize {
        0
    }

    fn decide(&self, draft: &mut Draft, _context: &Context<'_>) -> Decision<u64, Infallible> {
        draft.trim(self.up_to);
        Decision::Done(Ok(draft.account().history_floor))
    }
}

/// Forget rows of which nothing can come any more.
pub(super) struct Forget {
    /// Which; at most as many as fit in one write.
    pub(super) files: Vec<FileId>,
}

impl Command for Forget {
    type Answer = ();
    type Refusal = Infallible;

    fn files(&self) -> Vec<FileId> {
        self.files.clone()
    }

    fn weight(&self) -> usize {
        self.files.len()
    }

    fn decide(&self, draft: &mut Draft, context: &Context<'_>) -> Decision<(), Infallible> {
        for file in &self.files {
            if draft.row(*file).is_some_and(|row| row.is_forgettable(context.now)) {
                draft.forget(*file);
            }
        }
        Decision::Done(Ok(()))
    }
}
