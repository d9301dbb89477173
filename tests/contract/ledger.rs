//! The suite of the ledger. A user of its own in every case, so that backends may be shared.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;
use wharfinger::domain::account::{Account, AccountState, Remembered};
use wharfinger::domain::decide::{
    IdempotencyKey, NewUpload, Observed, Reservable, Reserve, Rules, Settlement,
};
use wharfinger::domain::draft::{Draft, RowRange, Write};
use wharfinger::domain::entry::EntryKind;
use wharfinger::domain::file::{File, Multipart, Sha256, Status, Visibility};
use wharfinger::domain::ids::{FileId, OpId, UserId};
use wharfinger::domain::invariant;
use wharfinger::domain::time::Timestamp;
use wharfinger::domain::transitions::Removal;
use wharfinger::limits::{COMMIT_TRANSITIONS_MAX, QUOTA_BYTES_DEFAULT};
use wharfinger::ports::{Clock, CommitError, FilePage, LedgerPort, ScanCursor};

/// A ledger to be held to its contract.
pub(crate) trait LedgerWorld {
    /// The backend.
    type Ledger: LedgerPort;
    /// The ledger.
    fn ledger(&self) -> &Self::Ledger;
}

macro_rules! ledger_cases {
    ($world:expr) => {
        cases! { ledger, $world,
            a_first_write_needs_an_account_that_was_never_written
            a_stale_write_conflicts_and_leaves_nothing
            a_write_without_transitions_keeps_its_version
            every_field_reads_back
            a_value_that_is_taken_back_is_gone
            files_are_paged_newest_first
            a_full_commit_is_one_write
            a_forgotten_row_is_gone
            a_range_of_rows_leaves_and_nothing_beside_it
            a_request_is_remembered_whatever_comes_after_it
            a_late_write_without_transitions_changes_nothing
            trimmed_entries_are_gone_and_the_others_stay
            entries_are_read_in_both_directions
            two_writers_lose_and_double_nothing
            a_scan_sees_every_account_once
            users_do_not_see_each_other
        }
    };
}
pub(crate) use ledger_cases;

const NOW: Timestamp = Timestamp::from_millis(1_795_169_642_161);
const ALL: FilePage = FilePage { before: None, limit: 1000 };

fn new_user() -> UserId {
    UserId::from_uuid(Uuid::now_v7())
}

fn new_op() -> OpId {
    Clock::System.op_id()
}

fn new_upload(size_bytes: u64) -> NewUpload {
    NewUpload {
        file_id: Clock::System.file_id(),
        filename: "a.txt".to_owned(),
        content_type: "text/plain".to_owned(),
        size_bytes,
        checksum_sha256: None,
        visibility: Visibility::Private,
        multipart: None,
        traceparent: None,
    }
}

/// A draft on the account, as a desk would make it.
fn draft(account: Account, rows: impl IntoIterator<Item = File>) -> Draft {
    let rows: BTreeMap<FileId, Box<File>> =
        rows.into_iter().map(|row| (row.file_id, Box::new(row))).collect();
    Draft::new(account, rows, new_op(), QUOTA_BYTES_DEFAULT)
}

/// The write that reserves these uploads.
fn reserving(account: Account, uploads: Vec<NewUpload>) -> Write {
    let asked = Reserve { uploads, idempotency: None, subject: None };
    let decided = account.reserve(&asked, None, &Rules::default(), NOW).expect("it fits");
    let Reservable::New { transitions, .. } = decided else { panic!("it is new") };
    let mut draft = draft(account, []);
    for transition in &transitions {
        draft.push(transition);
    }
    draft.into_write().0
}

async fn account(ledger: &impl LedgerPort, user: UserId) -> Account {
    ledger.load(user).await.expect("load").unwrap_or_else(|| Account::new(user))
}

/// Reserves some files of one byte each, in one commit; returns their ids, oldest first.
async fn reserve(ledger: &impl LedgerPort, user: UserId, count: usize) -> Vec<FileId> {
    let write = reserving(account(ledger, user).await, (0..count).map(|_| new_upload(1)).collect());
    let files = write.files.iter().map(|file| file.file_id).collect();
    ledger.commit(write).await.expect("commit");
    files
}

// proves: I23
pub(crate) async fn a_first_write_needs_an_account_that_was_never_written(world: &impl LedgerWorld) {
    let (ledger, user) = (world.ledger(), new_user());
    assert_eq!(ledger.load(user).await, Ok(None));
    let first = reserving(Account::new(user), vec![new_upload(1)]);
    let second = reserving(Account::new(user), vec![new_upload(2)]);
    ledger.commit(first.clone()).await.expect("nobody wrote before");
    assert_eq!(ledger.commit(second).await, Err(CommitError::Conflict));
    assert_eq!(ledger.load(user).await, Ok(Some(first.account)));

    let stranger = Account { version: 5, ..Account::new(new_user()) };
    let unexpected = reserving(stranger.clone(), vec![new_upload(1)]);
    assert_eq!(ledger.commit(unexpected).await, Err(CommitError::Conflict), "there is no version 5");
    assert_eq!(ledger.load(stranger.user).await, Ok(None));
}

// proves: I23
pub(crate) async fn a_stale_write_conflicts_and_leaves_nothing(world: &impl LedgerWorld) {
    let (ledger, user) = (world.ledger(), new_user());
    reserve(ledger, user, 1).await;
    let old = account(ledger, user).await;
    reserve(ledger, user, 2).await;
    let (before, files) = (account(ledger, user).await, ledger.files(user, ALL).await);

    let stale = reserving(old, vec![new_upload(7), new_upload(7)]);
    for _ in 0..2 {
        assert_eq!(ledger.commit(stale.clone()).await, Err(CommitError::Conflict), "repeating it too");
    }
    assert_eq!(account(ledger, user).await, before);
    assert_eq!(ledger.files(user, ALL).await, files);
    assert_eq!(ledger.file(user, stale.files[0].file_id).await, Ok(None));
    let entry = ledger.entry(user, 2).await.expect("read").expect("there");
    assert_ne!(entry.op, stale.op, "the entry says who won");
    assert_eq!(ledger.entry(user, before.version + 1).await, Ok(None));
}

pub(crate) async fn a_write_without_transitions_keeps_its_version(world: &impl LedgerWorld) {
    let (ledger, user) = (world.ledger(), new_user());
    reserve(ledger, user, 3).await;
    for published in [2, 3] {
        let mut draft = draft(account(ledger, user).await, []);
        draft.mark_published(published);
        ledger.commit(draft.into_write().0).await.expect("the version is still 3");
        let account = account(ledger, user).await;
        assert_eq!((account.version, account.published), (3, published));
    }
    assert_eq!(ledger.entries_after(user, 0, 10).await.expect("read").len(), 3);
}

pub(crate) async fn every_field_reads_back(world: &impl LedgerWorld) {
    let (ledger, user) = (world.ledger(), new_user());
    let upload = NewUpload {
        filename: "Grüße 🦀 \"q\".txt".to_owned(),
        checksum_sha256: Some(Sha256([7; 32])),
        visibility: Visibility::Team,
        multipart: Some(Multipart { upload_id: "upload-1".to_owned(), chunk_bytes: 5 << 20 }),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        ..new_upload(9 << 20)
    };
    let mut write = reserving(Account::new(user), vec![upload, new_upload(1)]);
    write.account.epoch = 3;
    write.account.published = 1;
    write.account.quota_bytes = Some(u64::from(u32::MAX) * 16);
    write.account.subject = Some("auth0|alice".to_owned());
    write.account.state = AccountState::Suspended;
    let key = IdempotencyKey { key: u64::MAX, body: 1 };
    let files = write.files.iter().map(|file| file.file_id).collect();
    write.account.history_floor = 1;
    write.account.row_count = 99;
    write.requests = vec![Remembered { key: key.key, body: key.body, at: NOW, files }];
    ledger.commit(write.clone()).await.expect("commit");
    assert_eq!(ledger.load(user).await, Ok(Some(write.account.clone())));
    assert_eq!(ledger.entries_after(user, 0, 10).await, Ok(write.entries.clone()));
    assert_eq!(ledger.request(user, key.key).await, Ok(Some(write.requests[0].clone())));
    assert_eq!(ledger.request(user, key.key - 1).await, Ok(None));

    let settled = moved(&write.account, &write.files[0], &Step::Settle);
    ledger.commit(settled.clone()).await.expect("commit");
    let trashed = moved(&settled.account, &settled.files[0], &Step::Remove(Removal::Trash));
    ledger.commit(trashed.clone()).await.expect("commit");
    for (row, other) in [(&trashed.files[0], &write.files[1])] {
        assert_eq!(ledger.file(user, row.file_id).await, Ok(Some(row.clone())));
        assert_eq!(ledger.files(user, ALL).await, Ok(vec![other.clone(), row.clone()]));
    }
    assert_eq!(ledger.entry(user, 3).await, Ok(Some(settled.entries[0].clone())));
    assert_eq!(ledger.entry(user, 4).await, Ok(Some(trashed.entries[0].clone())));
    assert_eq!(ledger.load(user).await, Ok(Some(trashed.account)));
}

/// A backend that leaves cells without a value alone would bring the earlier value back.
pub(crate) async fn a_value_that_is_taken_back_is_gone(world: &impl LedgerWorld) {
    let (ledger, user) = (world.ledger(), new_user());
    let mut row = reserving(Account::new(user), vec![new_upload(1)]).files[0].clone();
    ledger
        .commit(reserving(Account::new(user), vec![NewUpload { file_id: row.file_id, ..new_upload(1) }]))
        .await
        .expect("commit");
    for step in [
        Step::Settle,
        Step::Remove(Removal::Trash),
        Step::Restore,
        Step::Remove(Removal::Trash),
        Step::Remove(Removal::Permanent),
    ] {
        let write = moved(&account(ledger, user).await, &row, &step);
        row = write.files[0].clone();
        ledger.commit(write).await.expect("commit");
        assert_eq!(ledger.file(user, row.file_id).await, Ok(Some(row.clone())));
    }
    assert_eq!(row.trashed_at, None);
    for quota_bytes in [Some(7), None, Some(8), None] {
        let before = account(ledger, user).await;
        let mut draft = draft(before.clone(), []);
        draft.push(&before.set_quota(quota_bytes, NOW).expect("it is another"));
        ledger.commit(draft.into_write().0).await.expect("commit");
        assert_eq!(account(ledger, user).await.quota_bytes, quota_bytes);
    }
}

/// One thing that happens to one file.
enum Step {
    Settle,
    Restore,
    Remove(Removal),
    Purge,
}

/// The write that moves one file a step on.
fn moved(account: &Account, row: &File, step: &Step) -> Write {
    let transition = match step {
        Step::Remove(how) => row.remove(*how, NOW).expect("it can be removed"),
        Step::Restore => row.restore(NOW).expect("it is in the trash").expect("it moves"),
        Step::Purge => row.purged(NOW).expect("it is being deleted"),
        Step::Settle => {
            let Settlement::Transition(transition) = account.settle(row, &seen(row), &Rules::default(), NOW)
            else {
                panic!("it is pending")
            };
            *transition
        }
    };
    let mut draft = draft(account.clone(), [row.clone()]);
    draft.push(&transition);
    draft.into_write().0
}

/// The HEAD of an object that is as declared.
fn seen(row: &File) -> Observed {
    Observed {
        size_bytes: row.size_bytes,
        etag: "etag-1".to_owned(),
        checksum_sha256: row.checksum_sha256,
        content_type: None,
        landed_at: NOW,
        seen_at: NOW,
        inspected_at: NOW,
        rejected: None,
    }
}

pub(crate) async fn files_are_paged_newest_first(world: &impl LedgerWorld) {
    let (ledger, user) = (world.ledger(), new_user());
    let mut newest_first = reserve(ledger, user, 20).await;
    newest_first.extend(reserve(ledger, user, 5).await);
    newest_first.sort();
    newest_first.reverse();
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = ledger.files(user, FilePage { before, limit: 10 }).await.expect("read");
        assert!(page.len() <= 10 && found.len() <= newest_first.len(), "it comes to an end");
        let Some(last) = page.last() else { break };
        before = Some(last.file_id);
        found.extend(page.iter().map(|file| file.file_id));
    }
    assert_eq!(found, newest_first, "every file once, the newest first");
    let nil = FileId::from_uuid(Uuid::nil());
    assert_eq!(ledger.files(user, FilePage { before: Some(nil), limit: 10 }).await, Ok(Vec::new()));
}

pub(crate) async fn a_full_commit_is_one_write(world: &impl LedgerWorld) {
    let (ledger, user) = (world.ledger(), new_user());
    let files = reserve(ledger, user, COMMIT_TRANSITIONS_MAX).await;
    let account = account(ledger, user).await;
    let rows = ledger.files(user, ALL).await.expect("read");
    let entries = ledger.entries_after(user, 0, 100).await.expect("read");
    assert_eq!((rows.len(), entries.len()), (files.len(), files.len()));
    invariant::check_rows(&account, &rows).expect("the sums are those of the rows");
    assert_eq!(entries.last().map(|entry| entry.totals), Some(account.totals));
}

pub(crate) async fn a_forgotten_row_is_gone(world: &impl LedgerWorld) {
    let (ledger, user) = (world.ledger(), new_user());
    reserve(ledger, user, 2).await;
    let rows = ledger.files(user, ALL).await.expect("read");
    let mut row = rows[0].clone();
    for step in [Step::Settle, Step::Remove(Removal::Permanent), Step::Purge] {
        let write = moved(&account(ledger, user).await, &row, &step);
        row = write.files[0].clone();
        ledger.commit(write).await.expect("commit");
    }
    assert_eq!(row.status, Status::Gone);
    let mut draft = draft(account(ledger, user).await, [row.clone()]);
    draft.forget(row.file_id);
    ledger.commit(draft.into_write().0).await.expect("commit");
    assert_eq!(ledger.file(user, row.file_id).await, Ok(None));
    assert_eq!(ledger.files(user, ALL).await, Ok(vec![rows[1].clone()]));
    assert_eq!(ledger.entries_after(user, 0, 100).await.expect("read").len(), 5, "its history stays");
}

// proves: I4
pub(crate) async fn a_range_of_rows_leaves_and_nothing_beside_it(world: &impl LedgerWorld) {
    let (ledger, user) = (world.ledger(), new_user());
    let mut files = reserve(ledger, user, 10).await;
    files.sort_unstable();
    let base = user.uuid().as_u128();
    let neighbours = [base - 1, base + 1].map(|n| UserId::from_uuid(Uuid::from_u128(n)));
    for neighbour in neighbours {
        reserve(ledger, neighbour, 3).await;
    }
    let mut write = Write::on(account(ledger, user).await, new_op());
    write.forgotten = vec![RowRange { first: files[1], last: files[3] }, RowRange::of(files[8])];
    ledger.commit(write).await.expect("commit");
    let left: Vec<FileId> =
        ledger.files(user, ALL).await.expect("read").iter().rev().map(|row| row.file_id).collect();
    assert_eq!(left, [files[0], files[4], files[5], files[6], files[7], files[9]]);
    for neighbour in neighbours {
        assert_eq!(ledger.files(neighbour, ALL).await.expect("read").len(), 3);
    }
    // A later write may put a row where the range was.
    let row = reserving(Account::new(user), vec![NewUpload { file_id: files[2], ..new_upload(1) }]).files;
    let write = Write { files: row, ..Write::on(account(ledger, user).await, new_op()) };
    ledger.commit(write).await.expect("commit");
    assert!(ledger.file(user, files[2]).await.expect("read").is_some());
}

// proves: I9
pub(crate) async fn a_request_is_remembered_whatever_comes_after_it(world: &impl LedgerWorld) {
    let (ledger, user) = (world.ledger(), new_user());
    let request = |key| Remembered { key, body: key + 1, at: NOW, files: vec![Clock::System.file_id()] };
    let first = request(7);
    let mut write = reserving(Account::new(user), vec![new_upload(1)]);
    write.requests = vec![first.clone()];
    ledger.commit(write).await.expect("commit");
    // More than an account could ever keep beside its sums.
    for round in 0..20 {
        let mut write = Write::on(account(ledger, user).await, new_op());
        write.requests = (0..32).map(|n| request(1000 + round * 32 + n)).collect();
        ledger.commit(write).await.expect("commit");
    }
    assert_eq!(ledger.request(user, 7).await, Ok(Some(first)));
    assert_eq!(ledger.request(user, 8).await, Ok(None));
    assert_eq!(ledger.request(new_user(), 7).await, Ok(None), "keys are each user's own");
    let mut stale = Write::on(Account::new(user), new_op());
    stale.requests = vec![request(8)];
    assert_eq!(ledger.commit(stale).await, Err(CommitError::Conflict));
    assert_eq!(ledger.request(user, 8).await, Ok(None), "a refused write remembers nothing");
    // Under a key whose day is over there is a new request.
    let second = Remembered { files: vec![Clock::System.file_id()], ..request(7) };
    let mut write = Write::on(account(ledger, user).await, new_op());
    write.requests = vec![second.clone()];
    ledger.commit(write).await.expect("commit");
    assert_eq!(ledger.request(user, 7).await, Ok(Some(second)));
}

// proves: I23 F2 F42
pub(crate) async fn a_late_write_without_transitions_changes_nothing(world: &impl LedgerWorld) {
    let (ledger, user) = (world.ledger(), new_user());
    let files = reserve(ledger, user, 3).await;
    let before = account(ledger, user).await;
    // Both are decided on the same account, and neither makes a version.
    let forget = |file| {
        let mut write = Write::on(before.clone(), new_op());
        write.forgotten = vec![RowRange::of(file)];
        write.account.row_count -= 1;
        write
    };
    ledger.commit(forget(files[0])).await.expect("commit");
    assert_eq!(ledger.commit(forget(files[1])).await, Err(CommitError::Conflict));
    let after = account(ledger, user).await;
    assert_eq!((after.version, after.row_count), (before.version, before.row_count - 1));
    assert_eq!(ledger.files(user, ALL).await.expect("read").len(), 2);
}

// proves: I28
pub(crate) async fn trimmed_entries_are_gone_and_the_others_stay(world: &impl LedgerWorld) {
    let (ledger, user) = (world.ledger(), new_user());
    reserve(ledger, user, 10).await;
    let mut draft = draft(account(ledger, user).await, []);
    draft.mark_published(8);
    draft.trim(6);
    ledger.commit(draft.into_write().0).await.expect("commit");
    let account = account(ledger, user).await;
    assert_eq!((account.history_floor, account.published), (6, 8));
    for version in 1..=10 {
        let is_there = ledger.entry(user, version).await.expect("read").is_some();
        assert_eq!(is_there, version > 6, "version {version}");
    }
    assert_eq!(ledger.entries_after(user, 6, 100).await.expect("read").len(), 4);
    assert_eq!(ledger.entries_before(user, (6, u64::MAX), 100).await.expect("read").len(), 4);
    assert_eq!(ledger.files(user, ALL).await.expect("read").len(), 10, "rows stay");
}

pub(crate) async fn entries_are_read_in_both_directions(world: &impl LedgerWorld) {
    let (ledger, user) = (world.ledger(), new_user());
    for count in [3, 1, 6] {
        reserve(ledger, user, count).await;
    }
    let versions = |entries: Vec<wharfinger::domain::entry::Entry>| -> Vec<u64> {
        entries.iter().map(|entry| entry.version).collect()
    };
    let after =
        |after, limit| async move { versions(ledger.entries_after(user, after, limit).await.expect("read")) };
    let before = |before, limit| async move {
        versions(ledger.entries_before(user, (0, before), limit).await.expect("read"))
    };
    assert_eq!(after(0, 4).await, [1, 2, 3, 4]);
    assert_eq!(after(4, 100).await, [5, 6, 7, 8, 9, 10]);
    assert_eq!(after(10, 100).await, [0_u64; 0]);
    assert_eq!(before(11, 3).await, [10, 9, 8]);
    assert_eq!(before(3, 100).await, [2, 1]);
    assert_eq!(before(1, 100).await, [0_u64; 0]);
    assert_eq!(before(0, 100).await, [0_u64; 0]);
    let above = |floor, before| async move {
        versions(ledger.entries_before(user, (floor, before), 100).await.expect("read"))
    };
    assert_eq!(above(3, 7).await, [6, 5, 4]);
    assert_eq!(above(6, 7).await, [0_u64; 0]);
    assert_eq!(above(7, 7).await, [0_u64; 0]);
    assert_eq!(above(u64::MAX, u64::MAX).await, [0_u64; 0]);
    let entry = ledger.entry(user, 4).await.expect("read").expect("there");
    assert_eq!((entry.version, entry.kind), (4, EntryKind::Reserved));
    assert_eq!(ledger.entry(user, 0).await, Ok(None));
    assert_eq!(ledger.entry(user, 11).await, Ok(None));
}

// proves: I1 I2 I23 F5
pub(crate) async fn two_writers_lose_and_double_nothing(world: &impl LedgerWorld) {
    const WRITES: u64 = 200;
    let (ledger, user) = (world.ledger(), new_user());
    let writer = || async {
        for _ in 0..WRITES {
            loop {
                let write = reserving(account(ledger, user).await, vec![new_upload(1)]);
                match ledger.commit(settled_at_once(write)).await {
                    Ok(()) => break,
                    Err(CommitError::Conflict) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
    };
    tokio::join!(writer(), writer());
    let account = account(ledger, user).await;
    assert_eq!((account.version, account.totals.used_bytes), (4 * WRITES, 2 * WRITES));
    let rows = ledger.files(user, ALL).await.expect("read");
    invariant::check_rows(&account, &rows).expect("the sums are those of the rows");
}

/// Reserves and settles in one write, so that nothing stays pending.
fn settled_at_once(write: Write) -> Write {
    let settled = moved(&write.account, &write.files[0], &Step::Settle);
    let entries = [write.entries, settled.entries].concat();
    Write { expected: write.expected, expected_op: write.expected_op, entries, ..settled }
}

pub(crate) async fn a_scan_sees_every_account_once(world: &impl LedgerWorld) {
    let ledger = world.ledger();
    let mut wanted = BTreeSet::new();
    for count in 1..=7 {
        let user = new_user();
        reserve(ledger, user, count).await;
        wanted.insert((user, count));
    }
    let (mut found, mut seen, mut cursor) = (BTreeSet::new(), 0, None::<ScanCursor>);
    loop {
        let page = ledger.scan(cursor, 3).await.expect("scan");
        assert!(page.accounts.len() <= 3);
        assert_eq!(page.unreadable, []);
        seen += page.accounts.len();
        for summary in page.accounts {
            let account = account(ledger, summary.user).await;
            if wanted.contains(&(summary.user, summary.pending_count)) {
                assert_eq!(summary, (&account).into());
            }
            found.insert((summary.user, summary.pending_count));
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert!(wanted.is_subset(&found), "{wanted:?} in {found:?}");
    assert_eq!(seen, found.len(), "none twice");
}

// proves: I27
pub(crate) async fn users_do_not_see_each_other(world: &impl LedgerWorld) {
    let ledger = world.ledger();
    // Neighbours in the order of ids: a range that reaches too far would show it.
    let base = new_user().uuid().as_u128();
    let users = [base - 1, base, base + 1].map(|n| UserId::from_uuid(Uuid::from_u128(n)));
    for user in users {
        reserve(ledger, user, 2).await;
    }
    let before = account(ledger, users[1]).await;
    assert_eq!(ledger.files(users[1], ALL).await.expect("read").len(), 2);
    assert_eq!(ledger.entries_after(users[1], 0, 100).await.expect("read").len(), 2);
    assert_eq!(ledger.entries_before(users[1], (0, u64::MAX), 100).await.expect("read").len(), 2);
    let others = ledger.files(users[0], ALL).await.expect("read");
    assert_eq!(ledger.file(users[1], others[0].file_id).await, Ok(None));
    reserve(ledger, users[2], 1).await;
    assert_eq!(account(ledger, users[1]).await, before);
}
