//! How a call goes, and which ways a world may be crooked.

use std::collections::BTreeMap;

use crate::fault_injection::{Op, Port};
use wharfinger::ports::Stream;

use super::rng::Rng;

/// How a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Fine,
    /// Nothing is done, and that is said.
    Refused,
    /// Nothing is done, and nobody says so.
    Lost,
    /// All is done, and nobody says so.
    Unanswered,
    /// Nobody says anything, and it is done later, after this many ms: a zombie.
    Late(u64),
    /// All is done twice.
    Twice,
    /// It is said to be done, and is not. Of deliveries: they are taken, and do not arrive.
    Dropped,
    /// Nothing comes back for minutes.
    Stalled,
    /// A bug on our own side of the port: the caller panics.
    Panics,
}

impl Way {
    /// Its word in the report.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Refused => "refused",
            Self::Lost => "lost",
            Self::Unanswered => "unanswered",
            Self::Late(_) => "late",
            Self::Twice => "twice",
            Self::Dropped => "dropped",
            Self::Stalled => "stalled",
            Self::Panics => "panicked",
        }
    }
}

/// One call's fate: a pause before it reaches the other side, what happens there, and the way back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fate {
    pub(crate) before: u64,
    pub(crate) way: Way,
    pub(crate) after: u64,
    /// If the caller goes away before it is done: it is done anyway, so many ms later.
    pub(crate) outlives: Option<u64>,
}

/// How bad things are at the moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weather {
    /// Calls that go wrong, of a thousand.
    pub(crate) ill_per_mille: u64,
    /// Notifications that are lost, of a thousand; as many come twice, and as many come minutes late.
    pub(crate) news_per_mille: u64,
    /// Whether calls take time.
    pub(crate) is_slow: bool,
    /// Ports that are unreachable until then, and whether they at least say so.
    pub(crate) away: BTreeMap<Port, (u64, bool)>,
    /// The DLQ refuses every record until then, as one that is sealed or not permitted.
    pub(crate) dlq_refuses_until: u64,
}

impl Weather {
    pub(crate) fn fate(&self, op: Op, now: u64, rng: &mut Rng) -> Fate {
        let (before, after) = if self.is_slow { (rng.delay(), rng.delay()) } else { (0, 0) };
        let outlives =
            (op == Op::Commit && self.is_slow && rng.per_mille(500)).then(|| rng.between(0, 20_000));
        let way = match self.away.get(&op.port()) {
            Some((until, says_so)) if now < *until => {
                if *says_so {
                    Way::Refused
                } else {
                    Way::Lost
                }
            }
            Some(_) | None if op == Op::Publish(Stream::Dlq) && now < self.dlq_refuses_until => Way::Refused,
            Some(_) | None if rng.per_mille(self.ill_per_mille) => ill(op, rng),
            Some(_) | None => Way::Fine,
        };
        Fate { before, way, after, outlives }
    }
}

/// A way that this operation can go wrong.
fn ill(op: Op, rng: &mut Rng) -> Way {
    if rng.per_mille(50) {
        return Way::Panics;
    }
    let late = Way::Late(if rng.per_mille(800) { rng.between(1, 3000) } else { rng.between(1, 1_200_000) });
    match op {
        Op::Commit => *rng.pick(&[
            Way::Refused,
            Way::Lost,
            Way::Unanswered,
            Way::Unanswered,
            late,
            late,
            Way::Twice,
            Way::Stalled,
        ]),
        Op::Publish(_) => *rng.pick(&[
            Way::Refused,
            Way::Lost,
            Way::Unanswered,
            Way::Unanswered,
            late,
            Way::Twice,
            Way::Stalled,
        ]),
        Op::Pull | Op::QueueReceive => *rng.pick(&[Way::Refused, Way::Twice, Way::Dropped, Way::Stalled]),
        Op::Ack | Op::Nak | Op::QueueDelete | Op::QueueExtend => {
            *rng.pick(&[Way::Refused, Way::Lost, Way::Unanswered, Way::Dropped, Way::Stalled])
        }
        Op::ObjectDelete | Op::CompleteMultipart | Op::AbortMultipart => {
            *rng.pick(&[Way::Refused, Way::Lost, Way::Unanswered, Way::Twice, late, Way::Stalled])
        }
        Op::CreateMultipart => *rng.pick(&[Way::Refused, Way::Lost, Way::Unanswered, Way::Stalled]),
        Op::SignUpload | Op::SignPart | Op::SignDownload => Way::Refused,
        Op::Load
        | Op::File
        | Op::Request
        | Op::Files
        | Op::Entry
        | Op::EntriesAfter
        | Op::EntriesBefore
        | Op::Scan
        | Op::Consumer
        | Op::Replay
        | Op::ReplayNext
        | Op::Trim
        | Op::QueueSend
        | Op::Head
        | Op::List
        | Op::ListParts
        | Op::ListUploads
        | Op::FirstBytes => *rng.pick(&[Way::Refused, Way::Refused, Way::Lost, Way::Stalled]),
    }
}

/// A port's word in the report.
pub(crate) const fn word_of(op: Op) -> &'static str {
    match op {
        Op::Commit => "commit",
        Op::Publish(Stream::Ingest | Stream::Events | Stream::Dlq) => "publish",
        Op::Head => "head",
        Op::Pull | Op::QueueReceive => "receive",
        Op::Ack | Op::Nak | Op::QueueDelete | Op::QueueExtend => "acknowledge",
        Op::ObjectDelete => "delete",
        Op::SignUpload | Op::SignPart | Op::SignDownload => "sign",
        Op::CreateMultipart | Op::CompleteMultipart | Op::AbortMultipart => "chunks",
        Op::Load
        | Op::File
        | Op::Request
        | Op::Files
        | Op::Entry
        | Op::EntriesAfter
        | Op::EntriesBefore
        | Op::Scan
        | Op::Consumer
        | Op::Replay
        | Op::ReplayNext
        | Op::Trim
        | Op::QueueSend
        | Op::List
        | Op::ListParts
        | Op::ListUploads
        | Op::FirstBytes => "read",
    }
}

/// Ways in which a world breaks its own promises, so that the checks can be seen to find something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Crooked {
    /// It keeps them all.
    #[default]
    Straight,
    /// The ledger applies a write whatever the version.
    IgnoresVersions,
    /// The ledger looks at the version alone, so that a late write without transitions undoes what was written since.
    IgnoresAttempts,
    /// The ledger says "done" before it is, and sometimes it never is.
    SaysDoneTooEarly,
    /// The ledger takes part of a write: the rows and entries, and not the account.
    TearsWrites,
    /// The bucket lets a second PUT replace the first.
    Overwrites,
    /// A caller that asks for an overdue object gets "no" without a look: a release before the HEAD.
    ReleasesUnseen,
    /// HEAD never finds anything.
    SeesNothing,
    /// URLs live for an hour longer than their reservation knows: a release at the end of the URL, without grace.
    SignsForLonger,
    /// Nobody finds by searching: scans and lists come back empty.
    NeverSweeps,
    /// The log says "stored" of events, and now and then they are not.
    LosesEvents,
    /// As [`Crooked::LosesEvents`], of arrivals.
    LosesArrivals,
    /// Accounts are read with a limit that nobody gave them.
    LendsQuota,
    /// Entries are read back in a wrong order, newest first.
    ReadsBackwards,
    /// The bucket reports uploads in chunks as aborted, and keeps them.
    KeepsUploads,
    /// Sweepers end the trash after a minute, whatever was promised.
    EndsTrashEarly,
    /// Sweepers remove orphans although the setting is to report them.
    RemovesStrays,
    /// Sweepers report orphans although the setting is to remove them.
    KeepsStrays,
    /// Nobody publishes again what the log has lost.
    LeavesGaps,
}
