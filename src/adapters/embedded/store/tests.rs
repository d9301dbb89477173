//! Jobs applied by hand, and a committer whose disk breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::batch::{Batch, Heads};
use super::job::{Answer, Job, Reply};
use super::open::{EmbeddedStore, StoreOptions};
use super::room::Need;
use super::{OpenError, Tables};
use crate::adapters::embedded::ledger::EncodedWrite;
use crate::adapters::embedded::log::EncodedRecord;
use crate::adapters::embedded::{FreeSpace, QueuePolicy};
use crate::domain::account::Account;
use crate::domain::draft::{Draft, Write};
use crate::domain::entry::EntryKind;
use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;
use crate::ports::{
    Clock, CommitError, LedgerError, LedgerPort, LogPort, NewRecord, PublishError, QueuePort, ReplayFrom,
    ReplayPort, Stored, Stream,
};
use crate::telemetry::health::{Health, Part, PartState};

const START: Timestamp = Timestamp::from_millis(1_795_169_642_161);

fn open(options: StoreOptions) -> (TempDir, EmbeddedStore) {
    let dir = tempfile::tempdir().unwrap();
    let (clock, _) = Clock::manual(START);
    let store = EmbeddedStore::open_with(dir.path(), clock, options).unwrap();
    (dir, store)
}

/// Applies jobs as one batch, as the committer does, on the test's own thread.
fn apply(store: &EmbeddedStore, heads: &mut Heads, now: Timestamp, jobs: Vec<Job>) -> Vec<Answer> {
    let shared = store.shared();
    let mut batch = Batch::new(&shared.tables, now);
    let answers = jobs.into_iter().map(|job| job.apply(shared, heads, &mut batch)).collect();
    crate::adapters::embedded::log::put_heads(&shared.tables, heads, &mut batch);
    let appended = std::mem::take(&mut batch.appended);
    batch.into_rows().commit().unwrap();
    shared.log.show(heads, &appended);
    answers
}

fn heads(store: &EmbeddedStore) -> Heads {
    Heads::load(&store.shared().tables, START).unwrap()
}

fn nobody<T, E>() -> Reply<T, E> {
    oneshot::channel().0
}

fn write(account: &Account) -> Write {
    let quota = account.set_quota(Some(account.version + 1), START).unwrap();
    let mut draft = Draft::new(account.clone(), [].into(), Clock::System.op_id(), 0);
    draft.push(&quota);
    draft.into_write().0
}

fn user() -> UserId {
    UserId::from_uuid(uuid::Uuid::from_u128(1))
}

fn record(id: &str) -> NewRecord {
    let (subject, payload) = ("wharf.ingest.v1.1.u".to_owned(), Bytes::from_static(b"x"));
    NewRecord { subject, id: id.to_owned(), headers: Vec::new(), payload }
}

fn publish(id: &str) -> Job {
    Job::Publish(EncodedRecord::new(Stream::Ingest, record(id)), nobody())
}

fn committed(answer: &Answer) -> &Result<(), CommitError> {
    match answer {
        Answer::Commit(outcome, _) => outcome,
        Answer::Publish(..)
        | Answer::PublishChains(..)
        | Answer::Trim(..)
        | Answer::Queue(..)
        | Answer::Nobody => {
            panic!("not a commit")
        }
    }
}

fn published(answer: &Answer) -> &Result<Stored, PublishError> {
    match answer {
        Answer::Publish(outcome, _) => outcome,
        Answer::Commit(..)
        | Answer::PublishChains(..)
        | Answer::Trim(..)
        | Answer::Queue(..)
        | Answer::Nobody => {
            panic!("not a publish")
        }
    }
}

fn rows(table: &fjall::Keyspace) -> usize {
    table.iter().count()
}

#[test]
fn a_write_sees_the_versions_of_earlier_ones_in_its_batch() {
    let (_dir, store) = open(StoreOptions::default());
    let first = write(&Account::new(user()));
    let second = write(&first.account);
    let jobs =
        [&first, &first, &second, &second].map(|write| Job::Commit(EncodedWrite::new(write), Box::new(drop)));
    let answers = apply(&store, &mut heads(&store), START, jobs.into());
    let outcomes: Vec<_> = answers.iter().map(committed).collect();
    let conflict = Err(CommitError::Conflict);
    assert_eq!(outcomes, [&Ok(()), &conflict, &Ok(()), &conflict]);
}

#[test]
fn a_publish_sees_the_ids_of_earlier_ones_in_its_batch() {
    let (_dir, store) = open(StoreOptions::default());
    let jobs = ["a", "b", "a"].map(publish);
    let answers = apply(&store, &mut heads(&store), START, jobs.into());
    let outcomes: Vec<_> = answers.iter().map(published).cloned().collect();
    let stored = |sequence, duplicate| Ok(Stored { sequence, duplicate });
    assert_eq!(outcomes, [stored(1, false), stored(2, false), stored(1, true)]);
}

#[test]
fn a_notification_deleted_in_the_same_batch_stays_deleted() {
    let (_dir, store) = open(StoreOptions::default());
    let (tables, mut heads) = (&store.shared().tables, heads(&store));
    let send = |body: &str| Job::Send(body.to_owned(), nobody());
    apply(&store, &mut heads, START, vec![send("a"), send("b")]);
    let jobs = vec![
        Job::Delete(vec![1, 1], nobody()),
        Job::Recount { number: 1, deliveries: 2 },
        Job::Bury { number: 1, deliveries: 10 },
        Job::Recount { number: 2, deliveries: 2 },
        Job::Recount { number: 99, deliveries: 2 },
    ];
    apply(&store, &mut heads, START, jobs);
    assert_eq!((rows(&tables.messages), rows(&tables.dead)), (1, 0));
    apply(&store, &mut heads, START, vec![Job::Bury { number: 2, deliveries: 10 }]);
    assert_eq!((rows(&tables.messages), rows(&tables.dead)), (0, 1));
}

#[test]
fn an_old_record_leaves_nothing_behind() {
    let (_dir, store) = open(StoreOptions::default());
    let (tables, mut heads) = (&store.shared().tables, heads(&store));
    apply(&store, &mut heads, START, ["a", "b"].map(publish).into());
    let later = START.after(Duration::from_secs(4 * 24 * 3600));
    apply(&store, &mut heads, later, vec![publish("c")]);
    assert_eq!((rows(&tables.records), rows(&tables.index)), (1, 1));
    tables.ids.rotate_memtable_and_wait().unwrap();
    tables.ids.major_compact().unwrap();
    assert_eq!(rows(&tables.ids), 2, "by the store's own clock the ids of both batches are recent");
}

#[test]
fn old_ids_go_when_the_engine_tidies_up() {
    let dir = tempfile::tempdir().unwrap();
    let (clock, hands) = Clock::manual(START);
    let store = EmbeddedStore::open(dir.path(), clock).unwrap();
    let (tables, mut heads) = (&store.shared().tables, heads(&store));
    apply(&store, &mut heads, START, ["a", "b"].map(publish).into());
    let later = START.after(Duration::from_secs(601));
    hands.set(later);
    apply(&store, &mut heads, later, vec![publish("c")]);
    tables.ids.rotate_memtable_and_wait().unwrap();
    tables.ids.major_compact().unwrap();
    assert_eq!(rows(&tables.ids), 1);
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_written_and_reads_go_on() {
    let (_dir, store) = open(StoreOptions::default());
    let (ledger, log, queue) = (store.ledger(), store.log(), store.queue(QueuePolicy::default()));
    let first = write(&Account::new(user()));
    ledger.commit(first.clone()).await.unwrap();
    store.shared().is_sync_broken.store(true, Ordering::SeqCst);
    let second = write(&first.account);
    let unknown = ledger.commit(second.clone()).await;
    assert!(matches!(unknown, Err(CommitError::Unknown { .. })), "{unknown:?}");
    let told = tokio::time::timeout(Duration::from_secs(5), store.broken()).await;
    assert_eq!(told.as_deref(), Ok("the test broke the disk"));

    store.shared().is_sync_broken.store(false, Ordering::SeqCst);
    let refused = ledger.commit(second).await;
    assert!(matches!(refused, Err(CommitError::Unavailable { .. })), "{refused:?}");
    let refused = log.publish(Stream::Ingest, record("a")).await;
    assert!(matches!(refused, Err(PublishError::Unavailable { .. })), "{refused:?}");
    queue.send("x".to_owned()).await.unwrap_err();
    assert_eq!(ledger.load(user()).await, Ok(Some(first.account)), "what was on disk can be read");
    let mut replay = log.replay(Stream::Ingest, ">".to_owned(), ReplayFrom::Start).await.unwrap();
    assert_eq!(replay.next(Duration::ZERO).await, Ok(None));
}

// proves: F37
#[tokio::test]
async fn a_short_disk_stops_new_files_then_the_log_then_deletes_and_all_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let space = FreeSpace::fixed(Arc::clone(&free));
    let store = EmbeddedStore::open_on(dir.path(), Clock::System, StoreOptions::default(), space).unwrap();
    let ledger = store.ledger();
    let reserving = || {
        let mut write = write(&Account::new(user()));
        write.entries[0].kind = EntryKind::Reserved;
        write
    };
    let health = Health::default();
    let is_down = |part| matches!(health.state(part), PartState::Down { .. });
    let parts = [Part::Ledger, Part::Log, Part::Queue];
    let watch = tokio::spawn(store.clone().watch(health.clone(), Clock::System, parts.into()));
    free.store(100 << 20, Ordering::SeqCst);
    eventually(|| is_down(Part::Ledger)).await;
    let refused = ledger.commit(reserving()).await;
    assert!(matches!(refused, Err(CommitError::Unavailable { .. })), "{refused:?}");
    store.queue(QueuePolicy::default()).send("x".to_owned()).await.expect("what was begun is finished");
    assert!(!is_down(Part::Log) && !is_down(Part::Queue), "{:?}", health.states());

    free.store(32 << 20, Ordering::SeqCst);
    eventually(|| parts.into_iter().all(is_down)).await;
    store.queue(QueuePolicy::default()).send("x".to_owned()).await.unwrap_err();
    let first = write(&Account::new(user()));
    ledger.commit(first.clone()).await.expect("what makes no file is written");

    free.store(0, Ordering::SeqCst);
    eventually(|| store.shared().room.refusal(Need::Freeing).is_some()).await;
    let refused = ledger.commit(write(&first.account)).await;
    assert!(matches!(refused, Err(CommitError::Unavailable { .. })), "refused, and not tried: {refused:?}");
    free.store(u64::MAX, Ordering::SeqCst);
    eventually(|| health.is_ready() && !parts.into_iter().any(is_down)).await;
    let other = UserId::from_uuid(uuid::Uuid::from_u128(2));
    let mut later = write(&Account::new(other));
    later.entries[0].kind = EntryKind::Reserved;
    ledger.commit(later).await.expect("there is room again");
    watch.abort();
}

async fn eventually(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < deadline, "it never was so");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

// proves: F32
#[tokio::test]
async fn a_panic_of_the_thread_that_writes_is_the_end_of_the_store_and_is_reported() {
    let (_dir, store) = open(StoreOptions::default());
    let ledger = store.ledger();
    let first = write(&Account::new(user()));
    ledger.commit(first.clone()).await.unwrap();
    store.shared().is_panicking.store(true, Ordering::SeqCst);
    let unknown = ledger.commit(write(&first.account)).await;
    assert!(matches!(unknown, Err(CommitError::Unknown { .. })), "{unknown:?}");
    let reason = tokio::time::timeout(Duration::from_secs(5), store.broken()).await.expect("it is reported");
    assert!(reason.contains("panicked"), "{reason}");
    let refused = ledger.commit(write(&first.account)).await;
    assert!(matches!(refused, Err(CommitError::Unavailable { .. })), "{refused:?}");
    assert_eq!(ledger.load(user()).await, Ok(Some(first.account)), "what is on disk can be read");
}

#[tokio::test]
async fn a_writer_waits_for_its_turn_and_not_for_ever() {
    let turn_within = Duration::from_millis(20);
    let (_dir, store) = open(StoreOptions { turn_within, ..StoreOptions::default() });
    let queue = store.queue(QueuePolicy::default());
    queue.send("here".to_owned()).await.unwrap();
    let (release, released) = std::sync::mpsc::sync_channel::<()>(0);
    let (holding, is_held) = std::sync::mpsc::sync_channel(0);
    let holder = std::thread::spawn({
        let store = store.clone();
        move || {
            let _held = store.shared().queue.hold();
            holding.send(()).unwrap();
            released.recv().unwrap();
        }
    });
    is_held.recv().unwrap();
    assert!(store.submit_quietly(Job::Delete(vec![1], nobody())));
    let deadline = Instant::now() + Duration::from_secs(5);
    while rows(&store.shared().tables.messages) > 0 {
        assert!(Instant::now() < deadline, "the committer does not delete");
    }
    // It has written the batch and cannot show it: from now on it takes nothing.
    let taken = (0..10_000).take_while(|_| store.submit_quietly(Job::SaveConsumers)).count();
    let refused = queue.send("late".to_owned()).await;
    release.send(()).unwrap();
    holder.join().unwrap();
    assert!(taken < 10_000, "there is a limit");
    let reason = refused.unwrap_err().reason;
    assert!(reason.contains("too many"), "{reason}");
    queue.send("fine again".to_owned()).await.unwrap();
}

#[test]
fn a_record_is_known_for_its_window_and_no_longer() {
    let (_dir, store) = open(StoreOptions::default());
    let mut heads = heads(&store);
    let mut check = |secs: u64, ids: &[&str], expected: &[(u64, bool)]| {
        let jobs = ids.iter().map(|id| publish(id)).collect();
        let answers = apply(&store, &mut heads, START.after(Duration::from_secs(secs)), jobs);
        let stored =
            |(sequence, duplicate): &(u64, bool)| Ok(Stored { sequence: *sequence, duplicate: *duplicate });
        let outcomes: Vec<_> = answers.iter().map(published).cloned().collect();
        assert_eq!(outcomes, expected.iter().map(stored).collect::<Vec<_>>(), "after {secs} s");
    };
    check(0, &["a"], &[(1, false)]);
    check(599, &["a", "b"], &[(1, true), (2, false)]);
    check(600, &["a", "b"], &[(3, false), (2, true)]);
    check(1190, &["b", "a"], &[(2, true), (3, true)]);
    check(1200, &["b", "c", "a", "a"], &[(4, false), (5, false), (6, false), (6, true)]);
}

#[test]
fn a_start_learns_the_ids_that_still_count() {
    let (_dir, store) = open(StoreOptions::default());
    apply(&store, &mut heads(&store), START, vec![publish("a"), publish(""), publish("b")]);
    apply(&store, &mut heads(&store), START.after(Duration::from_secs(300)), vec![publish("c")]);
    let check = |secs: u64, id: &str, expected: u64| {
        let now = START.after(Duration::from_secs(secs));
        let mut heads = Heads::load(&store.shared().tables, now).unwrap();
        let answers = apply(&store, &mut heads, now, vec![publish(id)]);
        let sequence = published(&answers[0]).as_ref().unwrap().sequence;
        assert_eq!(sequence, expected, "{id} after {secs} s");
    };
    check(301, "b", 3);
    check(301, "a", 1);
    check(700, "c", 4);
    check(700, "b", 5);
}

#[test]
fn a_store_of_an_older_version_is_left_alone() {
    let (dir, store) = open(StoreOptions::default());
    store.shared().tables.meta.insert("format", [1]).unwrap();
    drop(store);
    let refused = EmbeddedStore::open(dir.path(), Clock::System).unwrap_err();
    assert!(matches!(refused, OpenError::Older { found: 1, known: 3, .. }), "{refused}");
}

#[test]
fn a_store_of_a_newer_version_is_left_alone() {
    let (dir, store) = open(StoreOptions::default());
    let tables: &Tables = &store.shared().tables;
    tables.meta.insert("format", [9]).unwrap();
    drop(store);
    let refused = EmbeddedStore::open(dir.path(), Clock::System).unwrap_err();
    assert!(matches!(refused, OpenError::Newer { found: 9, known: 3, .. }), "{refused}");
}

#[tokio::test]
async fn an_account_that_cannot_be_decoded_is_named_by_a_scan_and_hides_no_other() {
    let (_dir, store) = open(StoreOptions::default());
    let ledger = store.ledger();
    let users = [1, 2, 3].map(|n| UserId::from_uuid(uuid::Uuid::from_u128(n)));
    for user in users {
        ledger.commit(write(&Account::new(user))).await.unwrap();
    }
    store.shared().tables.accounts.insert(users[1].uuid().as_bytes(), [1]).unwrap();
    assert!(matches!(ledger.load(users[1]).await, Err(LedgerError::Corrupt { .. })));
    let (mut readable, mut unreadable, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = ledger.scan(after, 2).await.unwrap();
        readable.extend(page.accounts.iter().map(|account| account.user));
        unreadable.extend(page.unreadable.iter().filter_map(|account| account.user));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((readable, unreadable), (vec![users[0], users[2]], vec![users[1]]));
}
