//! Reserving, as a [`Command`]; and asking first what it would come to.

use super::handle::Reserved;
use super::ticket::{Command, Context, Decision};
use crate::domain::account::{Remembered, Transition};
use crate::domain::decide::{NewUpload, Reservable, Reserve, ReserveRefusal};
use crate::domain::draft::Draft;
use crate::domain::file::File;
use crate::domain::ids::FileId;

impl Command for Reserve {
    type Answer = Reserved;
    type Refusal = ReserveRefusal;

    fn request(&self) -> Option<u64> {
        self.idempotency.map(|id| id.key)
    }

    fn weight(&self) -> usize {
        self.uploads.len()
    }

    fn decide(&self, draft: &mut Draft, context: &Context<'_>) -> Decision<Reserved, ReserveRefusal> {
        match look(self, draft, context) {
            ProbeLook::New(transitions, remember) => {
                transitions.iter().for_each(|transition| draft.push(transition));
                if let Some(request) = remember {
                    draft.remember(request);
                }
                draft.keep_subject(self.subject.as_ref());
                let files: Vec<File> =
                    self.uploads.iter().filter_map(|upload| draft.row(upload.file_id)).cloned().collect();
                Decision::Done(Ok(reserved(draft, files, false)))
            }
            ProbeLook::Repeat(reserved) => Decision::Done(Ok(reserved)),
            ProbeLook::Not(decision) => decision.into(),
        }
    }
}

/// The outcome that a reservation would have, without making it: what it repeats, nothing if it would be new, or why not.
pub(super) struct Probe(pub(super) Reserve);

impl Command for Probe {
    type Answer = Option<Reserved>;
    type Refusal = ReserveRefusal;

    fn request(&self) -> Option<u64> {
        self.0.request()
    }

    fn weight(&self) -> usize {
        0
    }

    fn decide(&self, draft: &mut Draft, context: &Context<'_>) -> Decision<Self::Answer, ReserveRefusal> {
        match look(&self.0, draft, context) {
            ProbeLook::New(..) => Decision::Done(Ok(None)),
            ProbeLook::Repeat(reserved) => Decision::Done(Ok(Some(reserved))),
            ProbeLook::Not(decision) => decision.into(),
        }
    }
}

enum ProbeLook {
    New(Vec<Transition>, Option<Remembered>),
    Repeat(Reserved),
    Not(Not),
}

/// Why it cannot be answered, or not yet.
enum Not {
    Refused(ReserveRefusal),
    NeedsFresh,
    NeedsRows(Vec<FileId>),
}

impl<A> From<Not> for Decision<A, ReserveRefusal> {
    fn from(not: Not) -> Self {
        match not {
            Not::Refused(refusal) => Self::Done(Err(refusal)),
            Not::NeedsFresh => Self::NeedsFresh,
            Not::NeedsRows(files) => Self::NeedsRows(files),
        }
    }
}

fn look(asked: &Reserve, draft: &Draft, context: &Context<'_>) -> ProbeLook {
    let known = asked.idempotency.and_then(|id| draft.request(id.key));
    match draft.account().reserve(asked, known, &context.rules, context.now) {
        Ok(Reservable::New { transitions, remember }) => ProbeLook::New(transitions, remember),
        // Nothing is signed on old memory: the file may have been deleted since, by another node.
        Ok(Reservable::Repeat(_)) if !context.is_fresh => ProbeLook::Not(Not::NeedsFresh),
        Ok(Reservable::Repeat(files)) => {
            let is_unknown = |file: &FileId| draft.row(*file).is_none() && !context.absent.contains(file);
            let unknown: Vec<FileId> = files.iter().copied().filter(is_unknown).collect();
            if unknown.is_empty() {
                // A repeat has the same body, so it says all that a forgotten row said.
                let row = |(file, upload): (&FileId, &NewUpload)| {
                    draft.row(*file).cloned().unwrap_or_else(|| upload.forgotten(*file, context.now))
                };
                let rows = files.iter().zip(&asked.uploads).map(row).collect();
                ProbeLook::Repeat(reserved(draft, rows, true))
            } else {
                ProbeLook::Not(Not::NeedsRows(unknown))
            }
        }
        Err(
            ReserveRefusal::QuotaExceeded { .. }
            | ReserveRefusal::TooManyFiles { .. }
            | ReserveRefusal::TooManyPending { .. }
            | ReserveRefusal::Suspended,
        ) if !context.is_fresh => ProbeLook::Not(Not::NeedsFresh),
        Err(refusal) => ProbeLook::Not(Not::Refused(refusal)),
    }
}

fn reserved(draft: &Draft, files: Vec<File>, repeated: bool) -> Reserved {
    let pending = &draft.account().pending;
    let release_at =
        files.iter().map(|file| pending.get(&file.file_id).map(|open| open.release_at)).collect();
    Reserved { files, release_at, repeated }
}
