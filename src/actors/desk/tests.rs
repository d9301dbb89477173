//! The desk, driven step by step: reads and writes end when the test says so, and how it says.

use tokio::sync::oneshot::Receiver;
use tokio::sync::oneshot::error::TryRecvError;
use uuid::Uuid;

use super::*;
use crate::actors::handle::{DeskError, Reserved};
use crate::actors::meters::ActorMeters;
use crate::actors::requests::{Remove, Update};
use crate::actors::ticket::{Answer, TypedCommand};
use crate::domain::account::Remembered;
use crate::domain::decide::{IdempotencyKey, NewUpload, Reserve, ReserveRefusal, Rules};
use crate::domain::draft::Write;
use crate::domain::file::{File, PublicStatus, Visibility};
use crate::domain::transitions::{FilePatch, FileRefusal, Removal};
use crate::limits::TICKET_AGE_MAX;

const QUOTA: u64 = 100;

struct Bench {
    desk: Desk,
    now: Timestamp,
    ops: u128,
}

type Waiting = Receiver<Result<Reserved, DeskError<ReserveRefusal>>>;

fn user() -> UserId {
    UserId::from_uuid(Uuid::from_u128(7))
}

fn file(n: u128) -> FileId {
    FileId::from_uuid(Uuid::from_u128(n))
}

fn upload(n: u128, size_bytes: u64) -> NewUpload {
    NewUpload {
        file_id: file(n),
        filename: "a".into(),
        content_type: "text/plain".into(),
        size_bytes,
        checksum_sha256: None,
        visibility: Visibility::Private,
        multipart: None,
        traceparent: None,
    }
}

impl Bench {
    fn new() -> Self {
        let now = Timestamp::from_millis(1_000_000);
        Self { desk: Desk::new(user(), now), now, ops: 0 }
    }

    fn next(&mut self) -> Step {
        self.ops += 1;
        let rules = Rules { quota_bytes_default: QUOTA, ..Rules::default() };
        let new_op = || OpId::from_uuid(Uuid::from_u128(self.ops));
        self.desk.next(&Tools { now: self.now, rules, new_op: &new_op, meters: &ActorMeters::new() })
    }

    fn reserve(&mut self, ids: std::ops::Range<u128>, size_bytes: u64) -> Waiting {
        let uploads = ids.map(|n| upload(n, size_bytes)).collect();
        self.ask_reserve(Reserve { uploads, idempotency: None, subject: None })
    }

    /// The same under an idempotency key.
    fn reserve_as(&mut self, key: u64, ids: std::ops::Range<u128>) -> Waiting {
        let idempotency = Some(IdempotencyKey { key, body: 1 });
        let uploads = ids.map(|n| upload(n, 10)).collect();
        self.ask_reserve(Reserve { uploads, idempotency, subject: None })
    }

    fn ask_reserve(&mut self, request: Reserve) -> Waiting {
        let (ticket, answer) = TypedCommand::new(request, DualClockInstant::at(self.now), None);
        self.desk.enqueue(ticket);
        answer
    }

    fn remove(&mut self, n: u128) -> Receiver<Answer<Remove>> {
        let (ticket, answer) = TypedCommand::new(
            Remove { file: file(n), how: Removal::Trash, if_revision: None },
            DualClockInstant::at(self.now),
            None,
        );
        self.desk.enqueue(ticket);
        answer
    }

    /// The ledger answers a read with this account and no rows.
    fn loaded(&mut self, account: Account) {
        self.desk.loaded(Some(Loaded {
            account: Some(account),
            rows: Vec::new(),
            requests: Vec::new(),
            makers: Vec::new(),
        }));
    }

    /// The ledger answers what is remembered under a key, and the account if it was asked for.
    fn found(&mut self, account: Option<Account>, key: u64, known: Option<Remembered>) {
        let (rows, makers) = (Vec::new(), Vec::new());
        self.desk.loaded(Some(Loaded { account, rows, requests: vec![(key, known)], makers }));
    }

    fn expect_load(&mut self) {
        assert!(matches!(self.next(), Step::Load { account: true, .. }), "a read of the account");
    }

    fn expect_write(&mut self) -> Write {
        match self.next() {
            Step::Write(write) => *write,
            Step::Rest | Step::Load { .. } => panic!("not a write"),
        }
    }

    fn expect_rest(&mut self) {
        assert!(matches!(self.next(), Step::Rest));
    }

    /// A desk that knows the account as the ledger has it.
    fn with(account: Account) -> Self {
        let mut bench = Self::new();
        let answer = bench.reserve(900..901, QUOTA * 2);
        bench.expect_load();
        bench.loaded(account);
        bench.expect_rest();
        assert!(matches!(outcome(answer), Some(Err(DeskError::Refused(_)))));
        bench
    }
}

fn outcome<T>(mut answer: Receiver<T>) -> Option<T> {
    match answer.try_recv() {
        Ok(answer) => Some(answer),
        Err(TryRecvError::Empty) => None,
        Err(TryRecvError::Closed) => panic!("the reply was dropped"),
    }
}

fn new_account() -> Account {
    Account::new(user())
}

// proves: I7
#[test]
fn a_request_is_answered_only_when_its_write_is_durable() {
    let mut bench = Bench::new();
    let mut answer = bench.reserve(1..2, 10);
    bench.expect_load();
    bench.loaded(new_account());
    let write = bench.expect_write();
    assert_eq!((write.expected, write.account.version), (None, 1));
    assert!(answer.try_recv().is_err(), "not yet");
    let durable = bench.desk.written(WriteEnd::Applied).expect("something became durable");
    assert_eq!(durable.entries.len(), 1);
    assert_eq!(outcome(answer).unwrap().unwrap().files[0].file_id, file(1));
}

#[test]
fn what_arrives_during_a_write_leaves_together_in_the_next() {
    let mut bench = Bench::with(new_account());
    let first = bench.reserve(1..2, 10);
    bench.expect_write();
    let others: Vec<Waiting> = (2..6).map(|n| bench.reserve(n..n + 1, 10)).collect();
    bench.expect_rest();
    bench.desk.written(WriteEnd::Applied);
    let write = bench.expect_write();
    assert_eq!((write.expected, write.account.version, write.files.len()), (Some(1), 5, 4));
    bench.desk.written(WriteEnd::Applied);
    assert!(others.into_iter().chain([first]).all(|answer| matches!(outcome(answer), Some(Ok(_)))));
}

// proves: I25
#[test]
fn one_write_takes_at_most_thirty_two_transitions_and_never_half_a_batch() {
    let mut bench = Bench::with(new_account());
    let small = bench.reserve(1..11, 1);
    let large = bench.reserve(11..43, 1);
    assert_eq!(bench.expect_write().entries.len(), 10);
    bench.desk.written(WriteEnd::Applied);
    assert_eq!(bench.expect_write().entries.len(), 32);
    bench.desk.written(WriteEnd::Applied);
    assert!(matches!((outcome(small), outcome(large)), (Some(Ok(_)), Some(Ok(_)))));
}

// proves: I23 I24
#[test]
fn after_a_conflict_the_desk_reads_again_and_decides_again() {
    let mut bench = Bench::with(new_account());
    let answer = bench.reserve(1..2, 60);
    bench.expect_write();
    assert!(bench.desk.written(WriteEnd::NotApplied).is_none());
    bench.expect_load();
    let mut rival = new_account();
    rival.version = 3;
    rival.totals.used_bytes = 50;
    bench.loaded(rival);
    bench.expect_rest();
    let refused = outcome(answer).unwrap().unwrap_err();
    assert!(matches!(refused, DeskError::Refused(ReserveRefusal::QuotaExceeded { used_bytes: 50, .. })));
}

// proves: I9
#[test]
fn a_key_is_looked_up_before_anything_is_reserved_under_it() {
    let mut bench = Bench::with(new_account());
    let answer = bench.reserve_as(7, 1..2);
    assert!(matches!(bench.next(), Step::Load { account: false, requests, .. } if requests == [7]));
    bench.found(None, 7, None);
    let write = bench.expect_write();
    assert_eq!(write.requests.iter().map(|request| request.key).collect::<Vec<_>>(), [7]);
    assert_eq!(write.requests[0].files, [file(1)]);
    bench.desk.written(WriteEnd::Applied);
    assert!(matches!(outcome(answer), Some(Ok(reserved)) if !reserved.repeated));
    // What is in memory may be a day old: the next one asks again.
    let _again = bench.reserve_as(7, 2..3);
    assert!(matches!(bench.next(), Step::Load { account: false, requests, .. } if requests == [7]));
}

// proves: I9
#[test]
fn two_requests_with_one_key_in_one_write_make_one_file() {
    let mut bench = Bench::with(new_account());
    let first = bench.reserve_as(7, 1..2);
    let second = bench.reserve_as(7, 2..3);
    assert!(matches!(bench.next(), Step::Load { requests, .. } if requests == [7]));
    bench.found(None, 7, None);
    let write = bench.expect_write();
    assert_eq!((write.files.len(), write.requests.len()), (1, 1));
    bench.desk.written(WriteEnd::Applied);
    let ids = [first, second].map(|answer| outcome(answer).unwrap().unwrap().files[0].file_id);
    assert_eq!(ids, [file(1), file(1)]);
}

// proves: I9 I23
#[test]
fn a_key_that_another_node_used_meanwhile_is_found_after_the_conflict() {
    let mut bench = Bench::with(new_account());
    let answer = bench.reserve_as(7, 1..2);
    assert!(matches!(bench.next(), Step::Load { .. }));
    bench.found(None, 7, None);
    bench.expect_write();
    bench.desk.written(WriteEnd::NotApplied);
    assert!(matches!(bench.next(), Step::Load { account: true, requests, .. } if requests == [7]));
    let known = Remembered { key: 7, body: 1, at: bench.now, files: vec![file(50)] };
    bench.found(Some(new_account()), 7, Some(known));
    assert!(matches!(bench.next(), Step::Load { account: false, files, .. } if files == [file(50)]));
    let rows = vec![(file(50), None)];
    bench.desk.loaded(Some(Loaded { account: None, rows, requests: Vec::new(), makers: Vec::new() }));
    bench.expect_rest();
    let reserved = outcome(answer).unwrap().unwrap();
    assert!(reserved.repeated);
    let row = &reserved.files[0];
    assert_eq!(
        (row.file_id, row.public_status()),
        (file(50), PublicStatus::Hidden),
        "its row was forgotten: it was deleted"
    );
}

// proves: I25
#[test]
fn a_request_that_loses_three_times_is_told_to_come_back() {
    let mut bench = Bench::with(new_account());
    let answer = bench.reserve(1..2, 10);
    for round in 1..=COMMIT_ROUNDS_MAX {
        assert!(bench.expect_write().expected.is_none(), "round {round}");
        bench.desk.written(WriteEnd::NotApplied);
        if round < COMMIT_ROUNDS_MAX {
            bench.expect_load();
            bench.loaded(new_account());
        }
    }
    bench.expect_rest();
    assert_eq!(outcome(answer), Some(Err(DeskError::Unavailable)));
}

// proves: I24 F3
#[test]
fn a_write_found_to_be_durable_is_answered_and_the_memory_dropped() {
    let mut bench = Bench::with(new_account());
    let answer = bench.reserve(1..2, 10);
    bench.expect_write();
    assert!(bench.desk.written(WriteEnd::AppliedEarlier).is_some());
    assert!(matches!(outcome(answer), Some(Ok(_))));
    let _next = bench.reserve(2..3, 10);
    bench.expect_load();
}

#[tokio::test(start_paused = true)]
async fn a_write_of_which_nothing_is_heard_is_overdue() {
    let within = std::time::Duration::from_secs(41);
    let mut bench = Bench::with(new_account());
    let _answer = bench.reserve(1..2, 10);
    let op = bench.expect_write().op;
    tokio::time::advance(within).await;
    assert_eq!(bench.desk.overdue(within), None);
    assert_eq!(bench.desk.writing(op).unwrap().first, Some(1));
    tokio::time::advance(within).await;
    assert_eq!(bench.desk.overdue(within), Some(op));
    bench.desk.written(WriteEnd::Unavailable);
    assert!(bench.desk.writing(op).is_none() && bench.desk.overdue(within).is_none());
}

// proves: I12 F35
#[test]
fn when_the_ledger_is_away_nothing_is_answered_from_memory() {
    let mut bench = Bench::with(new_account());
    let written = bench.reserve(1..2, 10);
    bench.expect_write();
    let queued = bench.reserve(2..3, 10);
    bench.desk.written(WriteEnd::Unavailable);
    assert_eq!(outcome(written), Some(Err(DeskError::Unavailable)));
    bench.expect_load();
    bench.desk.loaded(None);
    assert_eq!(outcome(queued), Some(Err(DeskError::Unavailable)));
}

// proves: I13 F6
#[test]
fn a_refusal_for_quota_needs_an_account_confirmed_within_a_second() {
    let mut bench = Bench::with(full_account());
    bench.now = bench.now.after(Duration::from_secs(2));
    let answer = bench.reserve(1..2, 10);
    bench.expect_load();
    let mut freed = new_account();
    freed.version = 2;
    bench.loaded(freed);
    assert_eq!(bench.expect_write().expected, Some(2));
    bench.desk.written(WriteEnd::Applied);
    assert!(matches!(outcome(answer), Some(Ok(_))), "memory said full, the ledger did not");
}

fn full_account() -> Account {
    let mut full = new_account();
    full.version = 1;
    full.totals.used_bytes = QUOTA;
    full
}

// proves: I13
#[test]
fn a_read_that_takes_long_is_news_to_those_who_waited_for_it_and_to_nobody_else() {
    let mut bench = Bench::new();
    let waited = bench.reserve(1..2, 10);
    bench.expect_load();
    bench.now = bench.now.after(Duration::from_secs(5));
    let _came_meanwhile = bench.reserve(2..3, 10);
    bench.loaded(full_account());
    bench.expect_load();
    assert!(matches!(outcome(waited), Some(Err(DeskError::Refused(_)))), "one read is enough");
}

// proves: I13 F45
#[test]
fn a_clock_that_goes_back_makes_no_account_fresh() {
    let mut bench = Bench::with(full_account());
    bench.now = bench.now.before(Duration::from_secs(100));
    let _asked = bench.reserve(1..2, 10);
    bench.expect_load();
}

// proves: I13 F45
#[tokio::test(start_paused = true)]
async fn a_clock_that_goes_back_almost_to_when_the_account_was_read_makes_it_no_fresher() {
    let mut bench = Bench::with(full_account());
    tokio::time::advance(Duration::from_secs(10)).await;
    // Ten seconds on, nine and a half back.
    bench.now = bench.now.after(Duration::from_millis(500));
    let _asked = bench.reserve(1..2, 10);
    bench.expect_load();
}

#[test]
fn a_file_nobody_knows_is_not_found_after_one_read() {
    let mut bench = Bench::new();
    let answer = bench.remove(5);
    assert!(matches!(bench.next(), Step::Load { account: true, files, .. } if files == [file(5)]));
    let rows = vec![(file(5), None)];
    bench.desk.loaded(Some(Loaded {
        account: Some(new_account()),
        rows,
        requests: Vec::new(),
        makers: Vec::new(),
    }));
    bench.expect_rest();
    assert_eq!(outcome(answer).unwrap().unwrap_err(), DeskError::Refused(FileRefusal::NotFound));
}

// proves: I25 F49
#[test]
fn a_full_queue_says_so_at_once() {
    let mut bench = Bench::with(new_account());
    let _first = bench.reserve(1..2, 1);
    bench.expect_write();
    let _waiting: Vec<Waiting> = (0..512).map(|_| bench.reserve(2..3, 1)).collect();
    let refused = bench.reserve(3..4, 1);
    assert_eq!(outcome(refused), Some(Err(DeskError::Overloaded)));
}

#[test]
fn nothing_is_reserved_for_a_caller_who_left_before_it_was_decided() {
    let mut bench = Bench::with(new_account());
    drop(bench.reserve(1..2, 10));
    bench.expect_rest();
}

#[test]
fn published_rides_on_the_next_write_and_rests_otherwise() {
    let mut bench = Bench::with(new_account());
    let _first = bench.reserve(1..2, 10);
    bench.expect_write();
    bench.desk.written(WriteEnd::Applied);
    assert_eq!(bench.desk.unsaved_published(), None);
    bench.desk.note_published(1);
    assert_eq!(bench.desk.unsaved_published(), Some(1));
    bench.expect_rest();
    let _second = bench.reserve(2..3, 10);
    assert_eq!(bench.expect_write().account.published, 1);
}

/// An account as a bug or a disk might leave it: bytes reserved for nobody.
fn damaged() -> Account {
    let mut account = new_account();
    account.version = 1;
    account.totals.reserved_bytes = 5;
    account
}

// proves: I2 I24
#[test]
fn after_a_write_that_would_break_an_invariant_those_behind_it_go_on() {
    let mut bench = Bench::new();
    let all = bench.reserve(1..33, 1);
    let behind = bench.reserve(33..34, 1);
    for _ in 0..COMMIT_ROUNDS_MAX {
        bench.expect_load();
        bench.loaded(damaged());
    }
    bench.expect_load();
    assert_eq!(outcome(all), Some(Err(DeskError::Unavailable)), "refused, not written");
    bench.loaded(new_account());
    assert_eq!(bench.expect_write().files.len(), 1);
    bench.desk.written(WriteEnd::Applied);
    assert!(matches!(outcome(behind), Some(Ok(_))));
}

#[test]
fn on_a_damaged_account_every_ticket_is_answered_and_none_waits() {
    let mut bench = Bench::new();
    let waiting: Vec<Waiting> = (0_u128..3).map(|n| bench.reserve(n * 32..n * 32 + 32, 1)).collect();
    for _ in 0..3 * COMMIT_ROUNDS_MAX {
        bench.expect_load();
        bench.loaded(damaged());
    }
    bench.expect_rest();
    for answer in waiting {
        assert_eq!(outcome(answer), Some(Err(DeskError::Unavailable)));
    }
}

/// A desk that has tried to rename a file at revision 1 and does not know what became of it; the row and the attempt.
fn renaming() -> (Bench, Receiver<Answer<Update>>, File, Write) {
    let mut bench = Bench::with(new_account());
    let reserved = bench.reserve(1..2, 10);
    let row = bench.expect_write().files[0].clone();
    bench.desk.written(WriteEnd::AppliedEarlier);
    drop(reserved);
    let patch = FilePatch { filename: Some("b".into()), visibility: None, if_revision: Some(1) };
    let (ticket, answer) =
        TypedCommand::new(Update { file: file(1), patch }, DualClockInstant::at(bench.now), None);
    bench.desk.enqueue(ticket);
    bench.expect_load();
    bench.answer_read(1, &row, &[]);
    let write = bench.expect_write();
    assert!(bench.desk.written(WriteEnd::InDoubt).is_none());
    assert!(matches!(bench.next(), Step::Load { entries, .. } if entries == [2]), "who made version 2?");
    (bench, answer, row, write)
}

impl Bench {
    /// The ledger has this version of the account, with one pending file, and these makers of versions.
    fn answer_read(&mut self, version: u64, row: &File, makers: &[(u64, OpId)]) {
        let mut account = new_account();
        account.version = version;
        account.totals.reserved_bytes = row.size_bytes;
        (account.totals.file_count, account.row_count) = (1, 1);
        let open = crate::domain::account::Reservation { size_bytes: row.size_bytes, release_at: self.now };
        account.pending.insert(row.file_id, open);
        let rows = vec![(row.file_id, Some(row.clone()))];
        self.desk.loaded(Some(Loaded {
            account: Some(account),
            rows,
            requests: Vec::new(),
            makers: makers.to_vec(),
        }));
    }
}

// proves: F2 F33
#[test]
fn a_change_bound_to_a_revision_that_landed_late_is_judged_by_its_entry() {
    let (mut bench, answer, _, write) = renaming();
    bench.answer_read(2, &write.files[0], &[(2, write.op)]);
    bench.expect_rest();
    let file = outcome(answer).unwrap().expect("it was carried out");
    assert_eq!((file.filename.as_str(), file.revision), ("b", 2));
}

#[test]
fn a_change_that_another_made_meanwhile_is_still_refused() {
    let (mut bench, answer, mut row, _) = renaming();
    row.revision = 2;
    bench.answer_read(2, &row, &[(2, OpId::from_uuid(Uuid::from_u128(999)))]);
    bench.expect_rest();
    assert!(matches!(outcome(answer), Some(Err(DeskError::Refused(FileRefusal::Changed { revision: 2 })))));
}

#[test]
fn a_change_that_lands_while_it_is_tried_again_is_found_by_the_conflict() {
    let (mut bench, answer, row, first) = renaming();
    bench.answer_read(1, &row, &[]);
    assert_eq!(bench.expect_write().expected, Some(1), "not there yet: tried again");
    bench.desk.written(WriteEnd::NotApplied);
    assert!(
        matches!(bench.next(), Step::Load { entries, .. } if entries == [2]),
        "the first is still in doubt"
    );
    bench.answer_read(2, &first.files[0], &[(2, first.op)]);
    bench.expect_rest();
    assert_eq!(outcome(answer).unwrap().expect("it was carried out").revision, 2);
}

#[test]
fn an_attempt_that_lost_its_version_to_another_is_no_longer_asked_for() {
    let (mut bench, _answer, row, _) = renaming();
    bench.answer_read(3, &row, &[(2, OpId::from_uuid(Uuid::from_u128(999)))]);
    bench.expect_write();
    bench.desk.written(WriteEnd::NotApplied);
    assert!(matches!(bench.next(), Step::Load { entries, .. } if entries.is_empty()));
}

// proves: I7
#[test]
fn nothing_is_decided_for_a_caller_who_has_waited_longer_than_anybody_does() {
    let mut bench = Bench::with(new_account());
    let in_time = bench.reserve(1..2, 10);
    bench.now = bench.now.after(TICKET_AGE_MAX - Duration::from_millis(1));
    assert_eq!(bench.expect_write().entries.len(), 1);
    bench.desk.written(WriteEnd::Applied);
    assert!(matches!(outcome(in_time), Some(Ok(_))));
    let mut late = bench.reserve(2..3, 10);
    bench.now = bench.now.after(TICKET_AGE_MAX);
    bench.expect_rest();
    assert_eq!(late.try_recv(), Err(TryRecvError::Closed), "as if it had never been asked");
}
