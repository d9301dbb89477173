//! The ledger's invariants under any script of commands: random, repeated, stale, in any order.
//!
//! Beside the real thing runs a naive one that keeps only rows, and counts them anew after every step.
//! `PROPTEST_CASES=10000 cargo test --test ledger_properties` looks longer.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use uuid::Uuid;
use wharfinger::domain::account::{Account, AccountState, Change, Remembered, Transition};
use wharfinger::domain::decide::{
    IdempotencyKey, NewUpload, Observed, Reservable, Reserve, Rules, Settlement,
};
use wharfinger::domain::draft::{Draft, Write};
use wharfinger::domain::entry::{Entry, EntryKind, Totals};
use wharfinger::domain::file::{File, Reason, Sha256, Status, Visibility};
use wharfinger::domain::ids::{FileId, OpId, UserId};
use wharfinger::domain::invariant::{check_rows, check_write};
use wharfinger::domain::moves::{FilePatch, Removal};
use wharfinger::domain::time::Timestamp;

/// Files that a script can name.
const FILES: u8 = 16;
/// Files that a user may have.
const FILES_MAX: u32 = 5;
const QUOTA_BYTES: u64 = 100;
const START: Timestamp = Timestamp::from_millis(1_795_169_642_000);

/// One thing that may happen to a user's ledger.
#[derive(Clone, Debug)]
enum Command {
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
    Purged {
        file: u8,
    },
    Forget {
        file: u8,
    },
    Quota(Option<u64>),
    State(AccountState),
    Publish(u64),
    /// Time goes by.
    Wait(Duration),
    /// A command from earlier on comes again: redelivered, retried, late.
    Again(prop::sample::Index),
}

/// What the bucket says, as far as it matters.
#[derive(Clone, Copy, Debug)]
struct Seen {
    size_bytes: u64,
    checksum: Option<u8>,
    is_html: bool,
    is_malware: bool,
}

/// Commands that are decided together and written as one.
#[derive(Clone, Debug)]
struct Batch {
    commands: Vec<Command>,
    /// Decided on what the ledger held one write ago.
    is_stale: bool,
}

fn size() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0_u64..=60, 1 => 90_u64..=110, 1 => Just(u64::MAX)]
}

fn seen() -> impl Strategy<Value = Seen> {
    (size(), prop::option::weighted(0.2, 0_u8..2), prop::bool::weighted(0.1), prop::bool::weighted(0.1))
        .prop_map(|(size_bytes, checksum, is_html, is_malware)| Seen {
            size_bytes: size_bytes.min(1_000),
            checksum,
            is_html,
            is_malware,
        })
}

fn command() -> impl Strategy<Value = Command> {
    let file = || 0..FILES;
    let how = prop_oneof![Just(Removal::Trash), Just(Removal::Permanent)];
    let wait = prop_oneof![Just(1_u64), Just(900), Just(3_000), Just(100_000)].prop_map(Duration::from_secs);
    let state = prop_oneof![Just(AccountState::Active), Just(AccountState::Suspended)];
    prop_oneof![
        8 => (file(), prop::collection::vec(size(), 1..3), prop::option::weighted(0.3, 0_u8..3))
            .prop_map(|(first, sizes, key)| Command::Reserve { first, sizes, key }),
        8 => (file(), seen()).prop_map(|(file, seen)| Command::Settle { file, seen }),
        3 => file().prop_map(|file| Command::Expire { file }),
        4 => (file(), how).prop_map(|(file, how)| Command::Remove { file, how }),
        2 => file().prop_map(|file| Command::Restore { file }),
        1 => (file(), any::<bool>()).prop_map(|(file, team)| Command::Update { file, team }),
        2 => file().prop_map(|file| Command::Purged { file }),
        1 => file().prop_map(|file| Command::Forget { file }),
        1 => prop::option::of(0_u64..=200).prop_map(Command::Quota),
        1 => state.prop_map(Command::State),
        1 => (0_u64..100).prop_map(Command::Publish),
        3 => wait.prop_map(Command::Wait),
        5 => any::<prop::sample::Index>().prop_map(Command::Again),
    ]
}

fn script() -> impl Strategy<Value = Vec<Batch>> {
    let batch = (prop::collection::vec(command(), 1..5), prop::bool::weighted(0.1))
        .prop_map(|(commands, is_stale)| Batch { commands, is_stale });
    prop::collection::vec(batch, 1..50)
}

fn rules() -> Rules {
    Rules { quota_bytes_default: QUOTA_BYTES, files_max: FILES_MAX, ..Rules::default() }
}

fn user() -> UserId {
    UserId::from_uuid(Uuid::from_u128(1))
}

fn file_id(n: u8) -> FileId {
    FileId::from_uuid(Uuid::from_u128(0x100 + u128::from(n % FILES)))
}

/// What the ledger holds, and everything that ever happened to it.
struct World {
    account: Account,
    rows: BTreeMap<FileId, Box<File>>,
    before: (Account, BTreeMap<FileId, Box<File>>),
    entries: Vec<Entry>,
    edges: BTreeMap<(FileId, Status, Status), u32>,
    past: Vec<Command>,
    owners: BTreeMap<FileId, Command>,
    now: Timestamp,
    writes: u64,
}

/// A batch on its way, and the naive ledger of what it comes to.
struct Attempt {
    draft: Draft,
    rows: BTreeMap<FileId, Box<File>>,
    moves: Vec<(FileId, Status, Status)>,
    /// Which command reserved which file: our ids are never made twice.
    owners: BTreeMap<FileId, Command>,
    now: Timestamp,
}

/// The sums, counted the slow way.
fn counted(rows: &BTreeMap<FileId, Box<File>>) -> Totals {
    let sum = |statuses: &[Status]| {
        rows.values().filter(|row| statuses.contains(&row.status)).map(|row| row.size_bytes).sum()
    };
    let live = [Status::Pending, Status::Processed, Status::Trashed];
    let count = rows.values().filter(|row| live.contains(&row.status)).count();
    Totals {
        used_bytes: sum(&[Status::Processed, Status::Trashed]),
        reserved_bytes: sum(&[Status::Pending]),
        trashed_bytes: sum(&[Status::Trashed]),
        file_count: u32::try_from(count).expect("a handful"),
    }
}

fn reserve_of(first: u8, sizes: &[u64], key: Option<u8>) -> Reserve {
    let upload = |(n, size_bytes): (u8, &u64)| NewUpload {
        file_id: file_id(first + n),
        filename: "f".to_owned(),
        content_type: "text/plain".to_owned(),
        size_bytes: *size_bytes,
        checksum_sha256: (n % 2 == 0).then_some(Sha256([0; 32])),
        visibility: Visibility::Private,
        multipart: None,
        traceparent: None,
    };
    let body = sizes.iter().fold(u64::from(first), |hash, size| hash.wrapping_mul(31).wrapping_add(*size));
    Reserve {
        uploads: (0..).zip(sizes).map(upload).collect(),
        idempotency: key.map(|key| IdempotencyKey { key: u64::from(key), body }),
        subject: None,
    }
}

fn observed(seen: Seen, now: Timestamp) -> Observed {
    Observed {
        size_bytes: seen.size_bytes,
        etag: "e".to_owned(),
        checksum_sha256: seen.checksum.map(|byte| Sha256([byte; 32])),
        content_type: Some(if seen.is_html { "text/html" } else { "Text/Plain" }.to_owned()),
        landed_at: now,
        seen_at: now,
        inspected_at: now,
        rejected: seen.is_malware.then_some(Reason::Malware),
    }
}

/// What a command comes to on a draft.
#[derive(Debug, PartialEq)]
struct Decision {
    transitions: Vec<Transition>,
    remember: Option<Remembered>,
}

impl Decision {
    fn of(transition: Option<Transition>) -> Self {
        Self { transitions: transition.into_iter().collect(), remember: None }
    }
}

fn decide(draft: &Draft, command: &Command, now: Timestamp) -> Decision {
    let account = draft.account();
    let row = |file: &u8| draft.row(file_id(*file));
    match command {
        Command::Reserve { first, sizes, key } => {
            match account.reserve(&reserve_of(*first, sizes, *key), &rules(), now) {
                Ok(Reservable::New { transitions, remember }) => Decision { transitions, remember },
                Ok(Reservable::Repeat(_)) | Err(_) => Decision::of(None),
            }
        }
        Command::Settle { file, seen } => Decision::of(row(file).and_then(|row| {
            match account.settle(row, &observed(*seen, now), &rules(), now) {
                Settlement::Moves(transition) => Some(*transition),
                Settlement::Done | Settlement::Remove => None,
            }
        })),
        Command::Expire { file } => Decision::of(row(file).and_then(|row| account.expire(row, now))),
        Command::Remove { file, how } => Decision::of(row(file).and_then(|row| row.remove(*how, now))),
        Command::Restore { file } => Decision::of(row(file).and_then(|row| row.restore(now).ok().flatten())),
        Command::Update { file, team } => {
            let visibility = Some(if *team { Visibility::Team } else { Visibility::Private });
            let patch = FilePatch { visibility, ..FilePatch::default() };
            Decision::of(row(file).and_then(|row| row.update(&patch, now).ok().flatten()))
        }
        Command::Purged { file } => Decision::of(row(file).and_then(|row| row.purged(now))),
        Command::Quota(quota) => Decision::of(account.set_quota(*quota, now)),
        Command::State(state) => Decision::of(account.set_state(*state, now)),
        Command::Forget { .. } | Command::Publish(_) | Command::Wait(_) | Command::Again(_) => {
            Decision::of(None)
        }
    }
}

impl Attempt {
    /// Whether file ids are used as ours are: for one request, retried only while it may be under way.
    fn makes_sense(&self, command: &Command) -> bool {
        let Command::Reserve { first, sizes, .. } = command else { return true };
        let ids: Vec<FileId> = (0..).zip(sizes).map(|(n, _)| file_id(first + n)).collect();
        let is_retry = |id| {
            self.owners.get(id).is_some_and(|owner| is_same(owner, command))
                && self.draft.account().pending.contains_key(id)
        };
        ids.iter().all(|id| !self.owners.contains_key(id)) || ids.iter().all(is_retry)
    }

    /// Carries out a command: those that move only time or marks at once, the others by deciding them.
    fn run(&mut self, command: &Command) {
        if let Command::Wait(span) = command {
            self.now = self.now.after(*span);
        } else if let Command::Publish(version) = command {
            self.draft.mark_published(*version);
        } else if let Command::Forget { file } = command {
            self.forget(file_id(*file));
        } else {
            self.decide(command);
        }
    }

    fn forget(&mut self, file: FileId) {
        if self.draft.row(file).is_some_and(|row| row.status == Status::Gone) {
            self.draft.forget(file);
            self.rows.remove(&file);
        }
    }

    /// Decides a command, checks what it comes to step by step, and that a repeat comes to nothing.
    fn decide(&mut self, command: &Command) {
        let decision = decide(&self.draft, command, self.now);
        assert!(decision.transitions.len() <= self.draft.room());
        for transition in &decision.transitions {
            self.push(transition);
            if let (Change::File { after, .. }, EntryKind::Reserved) = (&transition.change, transition.kind) {
                self.owners.insert(after.file_id, command.clone());
            }
        }
        decision.remember.into_iter().for_each(|request| self.draft.remember(request));
        let again = decide(&self.draft, command, self.now);
        assert_eq!(again, Decision::of(None), "a repeat changes something: {command:?}");
    }

    fn push(&mut self, transition: &Transition) {
        let limit = self.draft.account().limit_bytes(QUOTA_BYTES);
        if let Change::File { after, .. } = &transition.change {
            self.note_move(transition.kind, after);
            self.rows.insert(after.file_id, after.clone());
        }
        self.draft.push(transition);
        let totals = self.draft.account().totals;
        assert_eq!(totals, counted(&self.rows), "I1, I2, I4: sums are the sums of the rows");
        assert!(totals.file_count <= FILES_MAX, "I4: {totals:?}");
        let is_new_weight = matches!(transition.kind, EntryKind::Reserved);
        let taken = totals.used_bytes + totals.reserved_bytes;
        assert!(!is_new_weight || taken <= limit, "I3: {taken} of {limit} after {:?}", transition.kind);
    }

    /// Invariant 6, and what must be so before a reservation ends (invariants 5 and 8).
    fn note_move(&mut self, kind: EntryKind, after: &File) {
        let Some(before) = self.rows.get(&after.file_id) else {
            assert_eq!((kind, after.status, after.revision), (EntryKind::Reserved, Status::Pending, 1));
            return;
        };
        assert_eq!(after.revision, before.revision + 1);
        assert_eq!(after.created_at, before.created_at);
        if before.status != after.status {
            assert!(before.status.may_become(after.status), "I6: {:?} to {:?}", before.status, after.status);
            self.moves.push((after.file_id, before.status, after.status));
        }
        if (before.status, after.status) == (Status::Expired, Status::Processed) {
            let account = self.draft.account();
            let taken = account.totals.used_bytes + account.totals.reserved_bytes + after.size_bytes;
            assert!(taken <= account.limit_bytes(QUOTA_BYTES), "I6: late only where it still fits");
            assert_eq!(account.state, AccountState::Active);
        }
        if kind == EntryKind::Expired {
            let ends = before.created_at.after(rules().upload_url_ttl).after(Rules::GRACE);
            assert!(self.now > ends, "I8: a reservation outlives its URL");
        }
        assert!(!before.is_cancelled() || after.is_cancelled(), "what its owner gave up stays given up");
        if kind == EntryKind::Cancelled {
            assert_eq!(before.weight(), after.weight(), "I8: a cancelled file stays reserved");
        }
    }
}

impl World {
    fn new() -> Self {
        let account = Account::new(user());
        Self {
            before: (account.clone(), BTreeMap::new()),
            account,
            rows: BTreeMap::new(),
            entries: Vec::new(),
            edges: BTreeMap::new(),
            past: Vec::new(),
            owners: BTreeMap::new(),
            now: START,
            writes: 0,
        }
    }

    /// The command that is meant, if a command comes again.
    fn meant(&self, command: Command) -> Option<Command> {
        let Command::Again(which) = &command else { return Some(command) };
        (!self.past.is_empty()).then(|| which.get(&self.past).clone())
    }

    fn run(&mut self, batch: Batch) {
        let (account, rows) =
            if batch.is_stale { self.before.clone() } else { (self.account.clone(), self.rows.clone()) };
        let op = OpId::from_uuid(Uuid::from_u128(u128::from(self.writes)));
        let draft = Draft::new(account, rows.clone(), op, QUOTA_BYTES);
        let owners = self.owners.clone();
        let mut attempt = Attempt { draft, rows, moves: Vec::new(), owners, now: self.now };
        for command in batch.commands {
            let Some(command) = self.meant(command).filter(|command| attempt.makes_sense(command)) else {
                continue;
            };
            attempt.run(&command);
            self.past.push(command);
        }
        self.now = attempt.now;
        let (write, known) = attempt.draft.into_write();
        assert_eq!(known, attempt.rows, "the draft's rows are the naive ones");
        check_write(&write).expect("I2, I3, I5, I28");
        if write.expected == self.account.expected_version() {
            self.owners = attempt.owners;
            self.commit(write, &attempt.moves);
        }
    }

    fn commit(&mut self, write: Write, moves: &[(FileId, Status, Status)]) {
        self.before = (self.account.clone(), self.rows.clone());
        self.writes += 1;
        for edge in moves {
            *self.edges.entry(*edge).or_default() += 1;
        }
        for row in write.files {
            self.rows.insert(row.file_id, Box::new(row));
        }
        for forgotten in write.forgotten {
            self.rows.remove(&forgotten);
        }
        self.account = write.account;
        self.entries.extend(write.entries);
        check_rows(&self.account, self.rows.values().map(Box::as_ref)).expect("I1, I2, I4");
    }

    /// What must be so of the whole history.
    fn check_history(&self) {
        let versions: Vec<u64> = self.entries.iter().map(|entry| entry.version).collect();
        assert_eq!(versions, (1..=self.account.version).collect::<Vec<_>>(), "I5, I28: no gap");
        let last = self.entries.last().map_or(Totals::default(), |entry| entry.totals);
        assert_eq!(last, self.account.totals, "I28: the last entry's totals are the account's");
        for ((file, from, to), times) in &self.edges {
            let is_trash_pair = matches!(
                (from, to),
                (Status::Processed, Status::Trashed) | (Status::Trashed, Status::Processed)
            );
            assert!(is_trash_pair || *times == 1, "I6: {file} went {times} times from {from:?} to {to:?}");
        }
        assert!(self.account.pending.len() <= wharfinger::limits::PENDING_MAX, "I25");
    }

    /// Invariant 22: every arrival ever heard of, once more and twice, in either order, ends the same.
    fn check_arrivals_again(&self) {
        let arrivals: Vec<&Command> =
            self.past.iter().filter(|command| matches!(command, Command::Settle { .. })).collect();
        let settled = |row: &&File| !matches!(row.status, Status::Pending | Status::Expired);
        let run = |order: &mut dyn Iterator<Item = &&Command>| {
            let op = OpId::from_uuid(Uuid::from_u128(0));
            let mut draft = Draft::new(self.account.clone(), self.rows.clone(), op, QUOTA_BYTES);
            for command in order {
                let decision = decide(&draft, command, self.now);
                decision.transitions.iter().take(draft.room()).for_each(|transition| draft.push(transition));
            }
            draft.into_write().1
        };
        for after in [run(&mut arrivals.iter().chain(&arrivals)), run(&mut arrivals.iter().rev())] {
            for row in self.rows.values().map(Box::as_ref).filter(settled) {
                assert_eq!(
                    after.get(&row.file_id).map(Box::as_ref),
                    Some(row),
                    "I22: a settled file stays as it is"
                );
            }
        }
    }
}

/// Whether two commands reserve the same files by the same request.
fn is_same(one: &Command, other: &Command) -> bool {
    match (one, other) {
        (
            Command::Reserve { first, sizes, key },
            Command::Reserve { first: other_first, sizes: other_sizes, key: other_key },
        ) => first == other_first && sizes == other_sizes && key == other_key,
        _ => false,
    }
}

proptest! {
    #[test]
    fn no_script_breaks_an_invariant(script in script()) {
        let mut world = World::new();
        for batch in script {
            world.run(batch);
        }
        world.check_history();
        world.check_arrivals_again();
    }
}

/// Which kinds of entry, which edges and which refusals random scripts reach: a property that never gets there proves nothing.
#[test]
fn random_scripts_reach_every_kind_and_every_edge() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut kinds, mut edges, mut conflicts) = (BTreeMap::new(), BTreeMap::new(), 0_u64);
    for _ in 0..300 {
        let script = script().new_tree(&mut runner).expect("a script").current();
        let batches = u64::try_from(script.len()).expect("a few");
        let mut world = World::new();
        script.into_iter().for_each(|batch| world.run(batch));
        conflicts += batches - world.writes;
        world.entries.iter().for_each(|entry| *kinds.entry(entry.kind.code()).or_insert(0) += 1);
        world.edges.keys().for_each(|(_, from, to)| *edges.entry((*from, *to)).or_insert(0) += 1);
    }
    for kind in EntryKind::ALL {
        assert!(kinds.contains_key(&kind.code()), "no script came to {kind:?}: {kinds:?}");
    }
    for from in Status::ALL {
        for to in Status::ALL.into_iter().filter(|to| from.may_become(*to)) {
            assert!(edges.contains_key(&(from, to)), "no script went from {from:?} to {to:?}: {edges:?}");
        }
    }
    assert!(conflicts > 100, "stale writes are refused: {conflicts}");
}
