//! What is written beside the condition: many rows, deletions, entries that expire, large cells, long lists.

use std::time::{Duration, Instant};

use uuid::Uuid;
use wharfinger::domain::account::{Account, Remembered, Reservation};
use wharfinger::domain::draft::RowRange;
use wharfinger::domain::ids::FileId;
use wharfinger::domain::invariant;
use wharfinger::limits::{BATCH_UPLOADS_MAX, COMMIT_TRANSITIONS_MAX, PENDING_MAX};
use wharfinger::ports::{CommitError, FilePage, LedgerPort};

use crate::world::{NOW, account, add, adding, all_files, ledger, new_user, nodes, report};

#[tokio::test]
async fn a_full_commit_moves_32_files_and_32_entries_or_none() {
    let Some(nodes) = nodes() else { return };
    let (ledger, user) = (ledger(&nodes).await, new_user());
    let first = adding(&Account::new(user), COMMIT_TRANSITIONS_MAX);
    let second = adding(&Account::new(user), COMMIT_TRANSITIONS_MAX);
    ledger.commit(first.clone()).await.expect("commit");
    assert_eq!(ledger.commit(second).await, Err(CommitError::Conflict));
    assert_eq!(account(&ledger, user).await, first.account);
    let rows = all_files(&ledger, user, 100).await;
    invariant::check_rows(&first.account, &rows).expect("the rows of the first, and no others");
    assert_eq!(ledger.entries_after(user, 0, 100).await, Ok(first.entries));
}

#[tokio::test]
async fn rows_are_deleted_in_the_batch_or_not_at_all() {
    let Some(nodes) = nodes() else { return };
    let (ledger, user) = (ledger(&nodes).await, new_user());
    let before = add(&ledger, user, 3).await;
    let ids: Vec<FileId> = all_files(&ledger, user, 10).await.iter().map(|file| file.file_id).collect();
    let mut stale = adding(&Account { version: 2, ..before.clone() }, 1);
    stale.forgotten = ids[..2].iter().copied().map(RowRange::of).collect();
    assert_eq!(ledger.commit(stale).await, Err(CommitError::Conflict));
    assert_eq!(all_files(&ledger, user, 10).await.len(), 3, "a refused batch deletes nothing");

    let mut write = adding(&before, 1);
    write.forgotten = ids[..2].iter().copied().map(RowRange::of).collect();
    let added = write.files[0].file_id;
    ledger.commit(write).await.expect("commit");
    let left: Vec<FileId> = all_files(&ledger, user, 10).await.iter().map(|file| file.file_id).collect();
    assert_eq!(left, [added, ids[2]]);
    assert_eq!(ledger.entries_after(user, 0, 10).await.expect("read").len(), 4, "entries stay");
}

// proves: I5
#[tokio::test]
async fn entries_expire_and_nothing_else_does() {
    let Some(nodes) = nodes() else { return };
    let (kept, user) = (ledger(&nodes).await.with_history(Duration::ZERO), new_user());
    let short = kept.clone().with_history(Duration::from_secs(1));
    add(&kept, user, 1).await;
    let last = add(&short, user, 2).await;
    let give_up_at = Instant::now() + Duration::from_secs(20);
    while ledger_len(&short, user).await > 1 {
        assert!(Instant::now() < give_up_at, "the entries are still there");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(kept.load(user).await, Ok(Some(last.clone())), "the account stays");
    assert_eq!(all_files(&kept, user, 10).await.len(), 3, "files stay");
    assert_eq!(kept.entry(user, 1).await.expect("read").map(|entry| entry.version), Some(1));
    assert_eq!(kept.entry(user, 2).await, Ok(None));
    assert_eq!(add(&short, user, 1).await.version, last.version + 1, "the condition still holds");
    let stale = adding(&Account { version: 1, ..last }, 1);
    assert_eq!(kept.commit(stale).await, Err(CommitError::Conflict), "and still refuses");
}

async fn ledger_len(ledger: &impl LedgerPort, user: wharfinger::domain::ids::UserId) -> usize {
    ledger.entries_after(user, 0, 10).await.expect("read").len()
}

#[tokio::test]
async fn ten_thousand_files_are_paged_without_a_gap() {
    const FILES: usize = 10_000;
    let Some(nodes) = nodes() else { return };
    let (ledger, user) = (ledger(&nodes).await, new_user());
    let mut last = Account::new(user);
    let mut wanted = Vec::new();
    while wanted.len() < FILES {
        let write = adding(&last, COMMIT_TRANSITIONS_MAX.min(FILES - wanted.len()));
        wanted.extend(write.files.iter().map(|file| file.file_id));
        last = write.account.clone();
        ledger.commit(write).await.expect("commit");
    }
    wanted.sort();
    wanted.reverse();
    let started = Instant::now();
    let found = all_files(&ledger, user, 200).await;
    report(&format!("paged {FILES} files by 200 in {:?}", started.elapsed()));
    assert!(found.iter().map(|file| file.file_id).eq(wanted), "newest first, each once");
    invariant::check_rows(&last, &found).expect("the sums are those of the rows");
    let newest = ledger.files(user, FilePage { before: None, limit: 0 }).await;
    assert_eq!(newest, Ok(Vec::new()), "no rows are no rows");
}

#[tokio::test]
async fn the_largest_account_fits_in_its_cells() {
    let Some(nodes) = nodes() else { return };
    let (ledger, user) = (ledger(&nodes).await, new_user());
    let mut account = add(&ledger, user, 1).await;
    for n in 0..PENDING_MAX {
        let file = FileId::from_uuid(Uuid::from_u128(u128::try_from(n).expect("small")));
        account.pending.insert(file, Reservation { size_bytes: 1, release_at: NOW });
    }
    let started = Instant::now();
    let mut write = adding(&account, COMMIT_TRANSITIONS_MAX);
    let files: Vec<FileId> = write.files.iter().map(|file| file.file_id).take(BATCH_UPLOADS_MAX).collect();
    let request = |key| Remembered { key, body: u64::MAX, at: NOW, files: files.clone() };
    write.requests = (0..32).map(request).collect();
    ledger.commit(write.clone()).await.expect("commit");
    report(&format!("256 reservations and 32 keys of 32 files: committed in {:?}", started.elapsed()));
    assert_eq!(ledger.load(user).await.as_ref(), Ok(&Some(write.account.clone())));
    assert_eq!(ledger.request(user, 31).await, Ok(Some(write.requests[31].clone())));
}

#[tokio::test]
async fn what_does_not_fit_a_column_is_refused_before_it_is_sent() {
    let Some(nodes) = nodes() else { return };
    let (ledger, user) = (ledger(&nodes).await, new_user());
    let huge = Account { quota_bytes: Some(u64::MAX), ..Account::new(user) };
    let refused = ledger.commit(adding(&huge, 1)).await;
    assert!(matches!(refused, Err(CommitError::Refused { .. })), "{refused:?}");
    assert_eq!(ledger.load(user).await, Ok(None));
}
