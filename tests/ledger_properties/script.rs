//! Scripts: what may happen to a user's ledger, in any order.

use std::fmt;
use std::time::Duration;

use proptest::prelude::*;
use wharfinger::domain::account::AccountState;
use wharfinger::domain::transitions::Removal;

/// Files that a script can name.
pub(crate) const FILES: u8 = 16;

/// One thing that may happen.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Reserve {
        first: u8,
        sizes: Vec<u64>,
        key: Option<u8>,
    },
    Settle {
        file: u8,
        seen: Seen,
    },
    Expire {
        file: u8,
    },
    Remove {
        file: u8,
        how: Removal,
    },
    Restore {
        file: u8,
    },
    Update {
        file: u8,
        team: bool,
    },
    /// The sweeper finds it in the trash.
    EndRetention {
        file: u8,
    },
    Purged {
        file: u8,
    },
    /// The sweeper finds its row.
    Forget {
        file: u8,
    },
    Quota(Option<u64>),
    State(AccountState),
    Publish(u64),
    /// Time goes by.
    Wait(Duration),
    /// A command from earlier on comes again: redelivered, retried, late.
    Again(usize),
}

/// What the bucket says, as far as it matters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) size_bytes: u64,
    pub(crate) checksum: Option<u8>,
    pub(crate) is_html: bool,
    pub(crate) is_malware: bool,
}

/// Commands that are decided together and written as one.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) commands: Vec<Command>,
    /// Decided on what the ledger held one write ago.
    pub(crate) is_stale: bool,
}

/// What happens, a write at a time.
#[derive(Clone)]
pub(crate) struct Script(pub(crate) Vec<Batch>);

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, batch) in (1..).zip(&self.0) {
            write!(f, "\n  write {n}{}:", if batch.is_stale { ", on old memory" } else { "" })?;
            batch.commands.iter().try_for_each(|command| write!(f, "\n    {command:?}"))?;
        }
        writeln!(f)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reserve { first, sizes, key } => {
                write!(f, "reserve {sizes:?} bytes as files {first} and on")?;
                key.map_or(Ok(()), |key| write!(f, ", under key {key}"))
            }
            Self::Settle { file, seen } => write!(f, "settle file {file}: {seen:?}"),
            Self::Expire { file } => write!(f, "expire file {file}"),
            Self::Remove { file, how: Removal::Trash } => write!(f, "trash file {file}"),
            Self::Remove { file, how: Removal::Permanent } => write!(f, "delete file {file}"),
            Self::Restore { file } => write!(f, "restore file {file}"),
            Self::Update { file, team: true } => write!(f, "show file {file} to the team"),
            Self::Update { file, team: false } => write!(f, "show file {file} to nobody"),
            Self::EndRetention { file } => write!(f, "end the time of file {file} in the trash"),
            Self::Purged { file } => write!(f, "the object of file {file} is gone"),
            Self::Forget { file } => write!(f, "forget the row of file {file}"),
            Self::Quota(Some(bytes)) => write!(f, "set the quota to {bytes}"),
            Self::Quota(None) => f.write_str("set the quota to the default"),
            Self::State(state) => write!(f, "make the account {state:?}"),
            Self::Publish(version) => write!(f, "entries up to {version} are published"),
            Self::Wait(span) => write!(f, "{} s go by", span.as_secs()),
            Self::Again(which) => write!(f, "command {which} of those so far comes again"),
        }
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.size_bytes)?;
        self.checksum.map_or(Ok(()), |checksum| write!(f, ", checksum {checksum}"))?;
        f.write_str(if self.is_html { ", HTML" } else { "" })?;
        f.write_str(if self.is_malware { ", malware" } else { "" })
    }
}

fn size() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0_u64..=60, 1 => 90_u64..=110, 1 => Just(u64::MAX)]
}

fn seen() -> impl Strategy<Value = Seen> {
    let size = prop_oneof![3 => 0_u64..=5, 1 => 0_u64..=60];
    (size, prop::option::weighted(0.2, 0_u8..2), prop::bool::weighted(0.1), prop::bool::weighted(0.1))
        .prop_map(|(size_bytes, checksum, is_html, is_malware)| Seen {
            size_bytes,
            checksum,
            is_html,
            is_malware,
        })
}

fn command() -> impl Strategy<Value = Command> {
    // Mostly a few, so that much happens to one file.
    let file = || prop_oneof![3 => 0..5_u8, 1 => 0..FILES];
    let how = prop_oneof![2 => Just(Removal::Trash), 1 => Just(Removal::Permanent)];
    let wait = prop_oneof![Just(1_u64), Just(900), Just(3_000), Just(100_000), Just(700_000)];
    let state = prop_oneof![2 => Just(AccountState::Active), 1 => Just(AccountState::Suspended)];
    prop_oneof![
        8 => (file(), prop::collection::vec(size(), 1..4), prop::option::weighted(0.3, 0_u8..3))
            .prop_map(|(first, sizes, key)| Command::Reserve { first, sizes, key }),
        10 => (file(), seen()).prop_map(|(file, seen)| Command::Settle { file, seen }),
        3 => file().prop_map(|file| Command::Expire { file }),
        5 => (file(), how).prop_map(|(file, how)| Command::Remove { file, how }),
        5 => file().prop_map(|file| Command::Restore { file }),
        1 => (file(), any::<bool>()).prop_map(|(file, team)| Command::Update { file, team }),
        1 => file().prop_map(|file| Command::EndRetention { file }),
        2 => file().prop_map(|file| Command::Purged { file }),
        2 => file().prop_map(|file| Command::Forget { file }),
        1 => prop::option::of(0_u64..=200).prop_map(Command::Quota),
        1 => state.prop_map(Command::State),
        1 => (0_u64..100).prop_map(Command::Publish),
        3 => wait.prop_map(|secs| Command::Wait(Duration::from_secs(secs))),
        5 => (0_usize..100).prop_map(Command::Again),
    ]
}

/// About a hundred commands in some forty writes, at most.
pub(crate) fn script() -> impl Strategy<Value = Script> {
    let batch = (prop::collection::vec(command(), 1..5), prop::bool::weighted(0.1))
        .prop_map(|(commands, is_stale)| Batch { commands, is_stale });
    prop::collection::vec(batch, 1..80).prop_map(Script)
}
