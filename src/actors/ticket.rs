//! A ticket: one request to a user's account, with its reply and its place in the tree.
//!
//! A new kind of request is a new [`Command`]; nothing else in the tree changes.

use std::collections::BTreeSet;
use std::convert::Infallible;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::actors::handle::DeskError;
use crate::actors::moment::DualClockInstant;
use crate::domain::decide::Rules;
use crate::domain::draft::Draft;
use crate::domain::ids::{FileId, OpId};
use crate::domain::time::Timestamp;
use crate::limits::TICKET_AGE_MAX;
use crate::telemetry::names;

/// What a decision may depend on beside the draft.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    /// The time.
    pub(super) now: Timestamp,
    /// What an operator chose.
    pub(super) rules: Rules,
    /// Whether the ledger confirmed the account within the last second, or since this was asked (invariant 13).
    pub(super) is_fresh: bool,
    /// Rows that were asked for and are not there.
    pub(super) absent: &'a BTreeSet<FileId>,
}

/// The outcome of a decision.
pub(super) enum Decision<A, R> {
    /// Decided; what it changes is in the draft.
    Done(Result<A, R>),
    /// It needs these rows first.
    NeedsRows(Vec<FileId>),
    /// It would refuse, but the account may be old: read it again first.
    NeedsFresh,
}

/// One kind of request. Decides on the draft, without I/O.
pub(super) trait Command: Send + 'static {
    /// What the caller gets.
    type Answer: Send + 'static;
    /// Why not.
    type Refusal: Send + 'static;

    /// The rows it surely needs.
    fn files(&self) -> Vec<FileId> {
        Vec::new()
    }

    /// The key of the remembered request that it needs.
    fn request(&self) -> Option<u64> {
        None
    }

    /// How many transitions it makes at most.
    fn weight(&self) -> usize {
        1
    }

    /// Decides; may be called again, on another draft, after a conflict.
    fn decide(&self, draft: &mut Draft, context: &Context<'_>) -> Decision<Self::Answer, Self::Refusal>;
}

/// What a ticket needs before it can be decided.
pub(super) enum Needs {
    /// Nothing: it is decided.
    Nothing,
    /// These rows.
    Rows(Vec<FileId>),
    /// The account, read again.
    Fresh,
}

/// Why a ticket ends without a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The user's queue is full.
    Overloaded,
    /// The ledger does not answer.
    Unavailable,
}

/// A request of any kind, on its way through a desk.
pub(super) trait QueuedCommand: Send {
    /// See [`Command::files`].
    fn files(&self) -> Vec<FileId>;
    /// See [`Command::request`].
    fn request(&self) -> Option<u64>;
    /// See [`Command::weight`].
    fn weight(&self) -> usize;
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self, now: Timestamp) -> bool;
    /// Notes that the ledger is asked for the account now: what it says is news to this ticket, however long it takes.
    fn account_is_asked_for(&mut self);
    /// Decides and keeps the answer for later.
    fn decide(&mut self, draft: &mut Draft, context: &Context<'_>) -> Needs;
    /// Gives the answer that was kept: what it says is durable now.
    fn answer(self: Box<Self>);
    /// Gives up.
    fn fail(self: Box<Self>, failure: Failure);
    /// Counts the rounds of "load and decide again"; returns how many there were. With `doubt` the attempt may land
    /// yet, at this version under this name; its answer is kept for that.
    fn another_round(&mut self, doubt: Option<(u64, OpId)>) -> u32;
    /// Versions at which an earlier attempt may have landed.
    fn indeterminate_attempts(&self) -> Vec<u64>;
    /// Given who made which version, says whether an earlier attempt has landed; its answer is the one to give then.
    fn judge(&mut self, makers: &[(u64, OpId)]) -> bool;
}

/// The reply's other end.
pub(super) type Answer<M> = Result<<M as Command>::Answer, DeskError<<M as Command>::Refusal>>;

/// The answer of a decision, for when it is durable.
type DecidedAnswer<M> = Result<<M as Command>::Answer, <M as Command>::Refusal>;

/// Who waits for the answer.
struct WaitingCaller<M: Command> {
    reply: oneshot::Sender<Answer<M>>,
    since: DualClockInstant,
}

impl<M: Command> WaitingCaller<M> {
    /// Whether it has gone, or has waited for longer than anybody does: after a sleep of the machine it may not know yet.
    fn has_left(&self, now: Timestamp) -> bool {
        self.reply.is_closed() || self.since.is_past(TICKET_AGE_MAX, now)
    }
}

/// A request, who waits for it and its admission.
pub(super) struct TypedCommand<M: Command> {
    request: M,
    /// None: nobody does.
    caller: Option<WaitingCaller<M>>,
    kept: Option<DecidedAnswer<M>>,
    /// Attempts that may have landed, with what each would answer.
    indeterminate_attempts: Vec<(u64, OpId, DecidedAnswer<M>)>,
    rounds: u32,
    is_older_than_account: bool,
    _slot: Option<OwnedSemaphorePermit>,
}

impl<M: Command> TypedCommand<M> {
    /// A request whose caller waits since `asked`; `slot` is its admission and travels with it.
    pub(super) fn new(
        request: M,
        asked: DualClockInstant,
        slot: Option<OwnedSemaphorePermit>,
    ) -> (Box<Self>, oneshot::Receiver<Answer<M>>) {
        let (reply, answer) = oneshot::channel();
        (Self::of(request, Some(WaitingCaller { reply, since: asked }), slot), answer)
    }

    fn of(request: M, caller: Option<WaitingCaller<M>>, slot: Option<OwnedSemaphorePermit>) -> Box<Self> {
        Box::new(Self {
            request,
            caller,
            kept: None,
            indeterminate_attempts: Vec::new(),
            rounds: 0,
            is_older_than_account: false,
            _slot: slot,
        })
    }

    fn reply(&mut self, answer: Answer<M>) {
        if let Some(caller) = self.caller.take()
            && caller.reply.send(answer).is_err()
        {
            metrics::counter!(names::REPLIES_ABANDONED_TOTAL).increment(1);
        }
    }
}

impl<M: Command<Refusal = Infallible>> TypedCommand<M> {
    /// A request of our own that nobody waits for.
    pub(super) fn unattended(request: M) -> Box<Self> {
        Self::of(request, None, None)
    }
}

impl<M: Command> QueuedCommand for TypedCommand<M> {
    fn files(&self) -> Vec<FileId> {
        self.request.files()
    }

    fn request(&self) -> Option<u64> {
        self.request.request()
    }

    fn weight(&self) -> usize {
        self.request.weight()
    }

    fn is_abandoned(&self, now: Timestamp) -> bool {
        self.caller.as_ref().is_some_and(|caller| caller.has_left(now))
    }

    fn account_is_asked_for(&mut self) {
        self.is_older_than_account = true;
    }

    fn decide(&mut self, draft: &mut Draft, context: &Context<'_>) -> Needs {
        let is_fresh = context.is_fresh || self.is_older_than_account;
        let context = &Context { is_fresh, ..*context };
        match self.request.decide(draft, context) {
            Decision::Done(decided) => {
                self.kept = Some(decided);
                Needs::Nothing
            }
            Decision::NeedsRows(files) => Needs::Rows(files),
            Decision::NeedsFresh => Needs::Fresh,
        }
    }

    fn answer(mut self: Box<Self>) {
        match self.kept.take() {
            Some(kept) => self.reply(kept.map_err(DeskError::Refused)),
            None => self.reply(Err(DeskError::Unavailable)),
        }
    }

    fn fail(mut self: Box<Self>, failure: Failure) {
        self.reply(Err(match failure {
            Failure::Overloaded => DeskError::Overloaded,
            Failure::Unavailable => DeskError::Unavailable,
        }));
    }

    fn another_round(&mut self, doubt: Option<(u64, OpId)>) -> u32 {
        let kept = self.kept.take();
        self.indeterminate_attempts.extend(doubt.zip(kept).map(|((version, op), kept)| (version, op, kept)));
        self.rounds += 1;
        self.rounds
    }

    fn indeterminate_attempts(&self) -> Vec<u64> {
        self.indeterminate_attempts.iter().map(|(version, ..)| *version).collect()
    }

    fn judge(&mut self, makers: &[(u64, OpId)]) -> bool {
        for (version, op, kept) in std::mem::take(&mut self.indeterminate_attempts) {
            match makers.iter().find(|(made, _)| *made == version) {
                Some((_, maker)) if *maker == op => {
                    self.kept = Some(kept);
                    return true;
                }
                // Another made that version: this attempt can never land.
                Some(_) => {}
                None => self.indeterminate_attempts.push((version, op, kept)),
            }
        }
        false
    }
}
