//! What only the sweeper asks of an account.

use std::convert::Infallible;
use std::time::Duration;

use crate::actors::ticket::{Context, Decision, Move};
use crate::domain::draft::Draft;
use crate::domain::ids::FileId;
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

impl Move for EndRetention {
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

/// Forget rows of which nothing can come any more.
pub(super) struct Forget {
    /// Which; at most as many as fit in one write.
    pub(super) files: Vec<FileId>,
}

impl Move for Forget {
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
