//! What goes wrong and when: a pure function of the seed.

use std::fmt;
use std::time::Duration;

use crate::dice::Dice;
use crate::links::Link;

/// Whom a fault befalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// One of our processes; the last holds the bucket.
    Node(usize),
    /// A server, by its name in `scripts/servers`.
    Server(&'static str),
    /// A way to a server.
    Link(Link),
    /// The disk under the bucket.
    Disk,
    /// A stream of the log, by its name. EVENTS is not among them: what it loses is published again only by an operator.
    Stream(&'static str),
    /// The account of one user of the load.
    Account(usize),
}

/// What befalls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// `kill -9`, and started again after a while.
    Kill,
    /// SIGSTOP, and SIGCONT after a while.
    Freeze,
    /// Every packet is late.
    Latency,
    /// Connections are broken and refused.
    Cut,
    /// Connections stay, and nothing comes through.
    BlackHole,
    /// A few kilobytes a second.
    Slow,
    /// It is filled into the reserve of the bucket, and freed after a while.
    Fill,
    /// It is deleted while a plain subscriber listens to its subjects, so that publishers get no reply at all.
    Delete,
    /// More deleted rows than a server walks over for one read. They stay to the end.
    Tombstones,
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Steps of a lane come one after the other; lanes run side by side.
    pub(crate) lane: usize,
    /// From the start.
    pub(crate) at: Duration,
    pub(crate) target: Target,
    pub(crate) fault: Fault,
    pub(crate) lasts: Duration,
}

/// Targets that never suffer at the same time.
struct Lane {
    targets: &'static [Target],
    faults: &'static [Fault],
    /// Seconds between two faults.
    pause: (u64, u64),
    /// Milliseconds that one lasts.
    lasts: (u64, u64),
}

/// Lanes of one plan.
pub(crate) const LANES: usize = 10;

const PROCESS: &[Fault] = &[Fault::Kill, Fault::Freeze];
const WIRE: &[Fault] = &[Fault::Latency, Fault::Cut, Fault::BlackHole, Fault::Slow];

const ALL: [Lane; LANES] = [
    Lane {
        targets: &[Target::Node(0), Target::Node(1), Target::Node(2)],
        faults: PROCESS,
        pause: (5, 20),
        lasts: (1_000, 12_000),
    },
    Lane {
        targets: &[Target::Server("nats-1"), Target::Server("nats-2"), Target::Server("nats-3")],
        faults: PROCESS,
        pause: (15, 40),
        lasts: (1_000, 15_000),
    },
    Lane {
        targets: &[Target::Server("cql-1"), Target::Server("cql-2"), Target::Server("cql-3")],
        faults: PROCESS,
        pause: (40, 80),
        lasts: (1_000, 10_000),
    },
    Lane { targets: &[Target::Server("sqs")], faults: PROCESS, pause: (30, 60), lasts: (1_000, 10_000) },
    Lane {
        targets: &[Target::Link(Link::Nats(1)), Target::Link(Link::Nats(2)), Target::Link(Link::Nats(3))],
        faults: WIRE,
        pause: (10, 40),
        lasts: (2_000, 12_000),
    },
    Lane {
        targets: &[Target::Link(Link::Cql(1)), Target::Link(Link::Cql(2)), Target::Link(Link::Cql(3))],
        faults: WIRE,
        pause: (10, 40),
        lasts: (2_000, 12_000),
    },
    Lane {
        targets: &[Target::Link(Link::Sqs), Target::Link(Link::S3)],
        faults: WIRE,
        pause: (10, 40),
        lasts: (2_000, 12_000),
    },
    Lane { targets: &[Target::Disk], faults: &[Fault::Fill], pause: (40, 90), lasts: (2_000, 12_000) },
    Lane {
        targets: &[Target::Stream("WHARF_INGEST"), Target::Stream("WHARF_DLQ")],
        faults: &[Fault::Delete],
        pause: (60, 120),
        lasts: (5_000, 15_000),
    },
    Lane {
        targets: &[Target::Account(0), Target::Account(1), Target::Account(2)],
        faults: &[Fault::Tombstones],
        pause: (60, 180),
        lasts: (1_000, 2_000),
    },
];

/// All that goes wrong within `span`, in order of time.
pub(crate) fn plan(seed: u64, span: Duration) -> Vec<Step> {
    let mut steps: Vec<Step> =
        ALL.iter().enumerate().flat_map(|(lane, of)| lane_of(seed, lane, of, span)).collect();
    steps.sort_by_key(|step| (step.at, step.lane));
    steps
}

fn lane_of(seed: u64, lane: usize, of: &Lane, span: Duration) -> Vec<Step> {
    let mut dice = Dice::new(seed, u64::try_from(lane).expect("few"));
    // The first comes early, so that a short run has some of each.
    let mut at = Duration::from_secs(dice.between(2, of.pause.1 / 2));
    let mut steps = Vec::new();
    loop {
        let lasts = Duration::from_millis(dice.between(of.lasts.0, of.lasts.1));
        let (target, fault) = (*dice.pick(of.targets), *dice.pick(of.faults));
        if at + lasts >= span {
            return steps;
        }
        steps.push(Step { lane, at, target, fault, lasts });
        at += lasts + Duration::from_secs(dice.between(of.pause.0, of.pause.1));
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, target, fault, lasts, .. } = self;
        write!(f, "{:6.1}s {target} {fault:?} for {:.1}s", at.as_secs_f64(), lasts.as_secs_f64())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(index) => write!(f, "node-{}", index + 1),
            Self::Server(name) => f.write_str(name),
            Self::Link(link) => write!(f, "link {}", link.name()),
            Self::Disk => f.write_str("the disk of the bucket"),
            Self::Stream(name) => write!(f, "stream {name}"),
            Self::Account(user) => write!(f, "account of chaos-{user}"),
        }
    }
}
