//! Two writers on one user: every acknowledged write applied, once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use wharfinger::domain::ids::{FileId, UserId};
use wharfinger::domain::invariant;
use wharfinger::ports::{CommitError, LedgerPort};

use crate::world::{Resolving, account, adding, all_files, ledger, new_user, nodes, report};

const WRITES: usize = 1000;

/// Adds files one by one until so many are acknowledged; returns them and the count of lost races.
async fn write_all(ledger: &Resolving, user: UserId) -> (BTreeSet<FileId>, usize) {
    let (mut acknowledged, mut conflicts) = (BTreeSet::new(), 0);
    let mut known = account(ledger, user).await;
    while acknowledged.len() < WRITES {
        let write = adding(&known, 1);
        let (file, after) = (write.files[0].file_id, write.account.clone());
        match ledger.commit(write).await {
            Ok(()) => {
                assert!(acknowledged.insert(file));
                known = after;
            }
            Err(CommitError::Conflict) => {
                conflicts += 1;
                known = account(ledger, user).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    (acknowledged, conflicts)
}

// proves: I23 F5 F33
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_of_one_user_lose_and_double_nothing() {
    let Some(nodes) = nodes() else { return };
    let user = new_user();
    let writers = [ledger(&nodes).await, ledger(&nodes).await];
    let started = Instant::now();
    let ((first, lost), (second, lost_too)) =
        tokio::join!(write_all(&writers[0], user), write_all(&writers[1], user));
    let took = started.elapsed();

    let ledger = &writers[0];
    let after = account(ledger, user).await;
    let rows = all_files(ledger, user, 500).await;
    let found: BTreeSet<FileId> = rows.iter().map(|file| file.file_id).collect();
    assert_eq!(found.len(), rows.len(), "none twice");
    assert!(first.is_disjoint(&second));
    let acknowledged: BTreeSet<FileId> = first.union(&second).copied().collect();
    assert_eq!(found, acknowledged, "what is there is what was acknowledged");
    assert_eq!(after.version, u64::try_from(2 * WRITES).expect("small"));
    invariant::check_rows(&after, &rows).expect("the sum is exact");
    let entries = ledger.entries_after(user, 0, 3 * WRITES).await.expect("read");
    let versions: Vec<u64> = entries.iter().map(|entry| entry.version).collect();
    assert!(versions.iter().copied().eq(1..=after.version), "no gap in the history");
    let ops: BTreeSet<_> = entries.iter().map(|entry| entry.op).collect();
    assert_eq!(ops.len(), entries.len(), "no attempt was applied twice");

    let sum = |count: fn(&Resolving) -> &AtomicU64| -> u64 {
        writers.iter().map(|writer| count(writer).load(Ordering::Relaxed)).sum()
    };
    report(&format!(
        "two writers, {WRITES} commits each: {took:?}, {} conflicts, {} unknown, {} of them applied",
        lost + lost_too,
        sum(|writer| &writer.unknown),
        sum(|writer| &writer.unknown_but_applied),
    ));
}
