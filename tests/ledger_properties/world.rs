//! The world: the real ledger and the naive one, side by side, and everything that ever happened to them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;
use wharfinger::domain::account::{Account, AccountState, Change, Transition};
use wharfinger::domain::decide::Rules;
use wharfinger::domain::draft::{Draft, Write};
use wharfinger::domain::entry::{Entry, EntryKind, Totals};
use wharfinger::domain::file::{File, PublicStatus, Status};
use wharfinger::domain::ids::{FileId, OpId, UserId};
use wharfinger::domain::invariant::{check_rows, check_write};
use wharfinger::domain::time::Timestamp;

use crate::decide::{decide, file_id, file_ids, reserve_of, rules};
use crate::naive::Naive;
use crate::script::{Batch, Command, Script};

/// Files that a user may have.
pub(crate) const FILES_MAX: u32 = 5;
pub(crate) const QUOTA_BYTES: u64 = 100;
/// How long files stay in the trash.
pub(crate) const RETENTION: Duration = Duration::from_secs(1000);
const START: Timestamp = Timestamp::from_millis(1_795_169_642_000);

/// What the ledger holds, and everything that ever happened to it.
pub(crate) struct World {
    account: Account,
    naive: Naive,
    /// One write ago.
    before: (Account, Naive),
    pub(crate) entries: Vec<Entry>,
    pub(crate) edges: BTreeMap<(FileId, Status, Status), u32>,
    /// The outcomes of commands, in words.
    pub(crate) words: BTreeSet<&'static str>,
    past: Vec<Command>,
    now: Timestamp,
    pub(crate) writes: u64,
}

/// A batch in flight, and the naive ledger after it.
struct Attempt {
    draft: Draft,
    naive: Naive,
    /// The naive sums after each step.
    totals: Vec<Totals>,
    moves: Vec<(FileId, Status, Status)>,
    words: BTreeSet<&'static str>,
    now: Timestamp,
}

impl Attempt {
    /// Whether file ids are used as ours are: for one request, retried only while it may be under way.
    fn makes_sense(&self, command: &Command) -> bool {
        let Command::Reserve { first, sizes, .. } = command else { return true };
        let ids = file_ids(*first, sizes);
        let owners = &self.naive.owners;
        let is_pending = |id| self.naive.rows.get(id).is_some_and(|row| row.status == Status::Pending);
        let is_retry = |id| owners.get(id) == Some(command) && is_pending(id);
        ids.iter().all(|id| !owners.contains_key(id)) || ids.iter().all(is_retry)
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
        if self.draft.row(file).is_some_and(|row| row.is_forgettable(self.now)) {
            let totals = self.naive.totals();
            self.draft.forget(file);
            self.naive.rows.remove(&file);
            assert_eq!(self.naive.totals(), totals, "I1, I2: what is forgotten counted for nothing");
            self.words.insert("forgotten");
        }
    }

    /// Decides a command, checks its outcome step by step, and that a repeat changes nothing.
    fn decide(&mut self, command: &Command) {
        let decision = decide(&self.draft, command, self.now);
        if let Command::Reserve { first, sizes, key } = command {
            let asked = reserve_of(*first, sizes, *key);
            assert_eq!(decision.word, self.naive.verdict(&asked, self.now), "I3, I9: {command:?}");
            let all = if decision.word == "reserved" { sizes.len() } else { 0 };
            assert_eq!(decision.transitions.len(), all, "all or none: {command:?}");
        }
        assert!(decision.transitions.len() <= self.draft.room());
        self.words.insert(decision.word);
        for transition in &decision.transitions {
            self.push(transition);
            if let (Change::File { after, .. }, EntryKind::Reserved) = (&transition.change, transition.kind) {
                self.naive.owners.insert(after.file_id, command.clone());
            }
        }
        if let Some(request) = decision.remember {
            let known = (request.body, request.at, request.files.clone());
            self.naive.requests.insert(request.key, known);
            self.draft.remember(request);
        }
        let again = decide(&self.draft, command, self.now);
        // The first permanent delete of a pending file cancels it, the second hides it.
        let kinds = |moves: &[Transition]| moves.iter().map(|moves| moves.kind).collect::<Vec<_>>();
        let hides = kinds(&decision.transitions) == [EntryKind::Cancelled]
            && kinds(&again.transitions) == [EntryKind::Deleted];
        assert!(
            again.changes_nothing() || hides,
            "I9, I22: a repeat changes something: {command:?} comes to {again:?}"
        );
    }

    fn push(&mut self, transition: &Transition) {
        match &transition.change {
            Change::File { after, .. } => {
                self.check_move(transition.kind, after);
                self.naive.rows.insert(after.file_id, after.clone());
            }
            Change::Quota(quota_bytes) => self.naive.quota_bytes = *quota_bytes,
            Change::State(state) => self.naive.state = *state,
        }
        self.draft.push(transition);
        let totals = self.naive.totals();
        assert_eq!(self.draft.account().totals, totals, "I1, I2, I4: sums are the sums of the rows");
        assert!(totals.file_count <= FILES_MAX, "I4: {totals:?}");
        if transition.kind == EntryKind::Reserved {
            assert!(self.naive.fits([]), "I3: {totals:?} of {}", self.naive.limit_bytes());
        }
        self.totals.push(totals);
    }

    /// Invariant 6, and what must be so before a reservation ends (invariants 5 and 8).
    fn check_move(&mut self, kind: EntryKind, after: &File) {
        let Some(before) = self.naive.rows.get(&after.file_id) else {
            assert_eq!((kind, after.status, after.revision), (EntryKind::Reserved, Status::Pending, 1));
            assert_eq!(self.naive.state, AccountState::Active, "nothing new for who is suspended");
            return;
        };
        assert_eq!(after.revision, before.revision + 1);
        assert_eq!(after.created_at, before.created_at);
        if before.status != after.status {
            assert!(before.status.may_become(after.status), "I6: {:?} to {:?}", before.status, after.status);
            self.moves.push((after.file_id, before.status, after.status));
        }
        if (before.status, after.status) == (Status::Expired, Status::Processed) {
            assert!(self.naive.fits([after.size_bytes]), "I6: late only where it still fits");
            assert_eq!(self.naive.state, AccountState::Active);
            self.words.insert("late");
        }
        if kind == EntryKind::Expired {
            let ends = before.created_at.after(rules().upload_url_ttl).after(Rules::GRACE);
            assert!(self.now > ends, "I8: a reservation outlives its URL");
        }
        assert!(!before.is_given_up() || after.is_given_up(), "what its owner gave up stays given up");
        assert!(
            before.public_status() != PublicStatus::Hidden || after.public_status() == PublicStatus::Hidden,
            "I10: it is never shown again"
        );
        let is_hidden = kind == EntryKind::Deleted && before.status == after.status;
        if kind == EntryKind::Cancelled || is_hidden {
            assert_eq!(before.weight(), after.weight(), "I8: a file that was given up stays reserved");
        }
        if is_hidden {
            self.words.insert("hidden");
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let account = Account::new(UserId::from_uuid(Uuid::from_u128(1)));
        Self {
            before: (account.clone(), Naive::new()),
            account,
            naive: Naive::new(),
            entries: Vec::new(),
            edges: BTreeMap::new(),
            words: BTreeSet::new(),
            past: Vec::new(),
            now: START,
            writes: 0,
        }
    }

    pub(crate) fn run(&mut self, script: Script) {
        script.0.into_iter().for_each(|batch| self.write(batch));
    }

    /// The command that is meant, if a command comes again.
    fn meant(&self, command: Command) -> Option<Command> {
        let Command::Again(which) = &command else { return Some(command) };
        self.past.get(which % self.past.len().max(1)).cloned()
    }

    fn draft(&self, account: Account, naive: &Naive) -> Draft {
        let op = OpId::from_uuid(Uuid::from_u128(1 + u128::from(self.writes)));
        Draft::new(account, naive.rows.clone(), op, QUOTA_BYTES).with_requests(naive.remembered())
    }

    fn write(&mut self, batch: Batch) {
        let (account, naive) =
            if batch.is_stale { self.before.clone() } else { (self.account.clone(), self.naive.clone()) };
        let mut attempt = Attempt {
            draft: self.draft(account, &naive),
            naive,
            totals: Vec::new(),
            moves: Vec::new(),
            words: BTreeSet::new(),
            now: self.now,
        };
        for command in batch.commands {
            let Some(command) = self.meant(command).filter(|command| attempt.makes_sense(command)) else {
                continue;
            };
            attempt.run(&command);
            self.past.push(command);
        }
        self.now = attempt.now;
        let (write, known) = attempt.draft.into_write();
        assert_eq!(known, attempt.naive.rows, "the draft's rows are the naive ones");
        check_write(&write).expect("I2, I3, I5, I28");
        let entered: Vec<Totals> = write.entries.iter().map(|entry| entry.totals).collect();
        assert_eq!(entered, attempt.totals, "I28: each entry carries the sums after it");
        self.words.extend(attempt.words);
        if (write.expected, write.expected_op) == (self.account.expected_version(), self.account.op) {
            self.before = (self.account.clone(), std::mem::replace(&mut self.naive, attempt.naive));
            self.commit(write, &attempt.moves);
        }
    }

    /// What the write says, applied to what was there, is what the naive ledger has.
    fn commit(&mut self, write: Write, moves: &[(FileId, Status, Status)]) {
        self.writes += 1;
        for edge in moves {
            *self.edges.entry(*edge).or_default() += 1;
        }
        let mut rows = self.before.1.rows.clone();
        rows.extend(write.files.into_iter().map(|row| (row.file_id, Box::new(row))));
        rows.retain(|file, _| !write.forgotten.iter().any(|range| range.contains(*file)));
        let mut requests = self.before.1.remembered();
        requests.extend(write.requests.into_iter().map(|request| (request.key, Some(request))));
        assert_eq!(
            requests,
            self.naive.remembered(),
            "I9: the write brings every request that was carried out"
        );
        assert_eq!(rows, self.naive.rows, "the write brings every row that changed, and no other");
        self.account = write.account;
        self.entries.extend(write.entries);
        check_rows(&self.account, rows.values().map(Box::as_ref)).expect("I1, I2, I4");
        let naive = (self.naive.quota_bytes, self.naive.state);
        assert_eq!((self.account.quota_bytes, self.account.state), naive);
    }

    /// What must be so of the whole history.
    pub(crate) fn check_history(&self) {
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

    /// Invariant 22: every arrival ever delivered, once more and twice, in either order, ends the same.
    pub(crate) fn check_arrivals_again(&self) {
        let arrivals: Vec<&Command> =
            self.past.iter().filter(|command| matches!(command, Command::Settle { .. })).collect();
        let settled = |row: &&File| !matches!(row.status, Status::Pending | Status::Expired);
        let run = |order: &mut dyn Iterator<Item = &&Command>| {
            let mut draft = self.draft(self.account.clone(), &self.naive);
            for command in order {
                let decision = decide(&draft, command, self.now);
                decision.transitions.iter().take(draft.room()).for_each(|transition| draft.push(transition));
            }
            draft.into_write().1
        };
        for after in [run(&mut arrivals.iter().chain(&arrivals)), run(&mut arrivals.iter().rev())] {
            for row in self.naive.rows.values().map(Box::as_ref).filter(settled) {
                let again = after.get(&row.file_id).map(Box::as_ref);
                assert_eq!(again, Some(row), "I22: a settled file stays as it is");
            }
        }
    }
}
