//! Durable commits of the embedded ledger: one caller, 64, 512, each with a user of its own.
//!
//! Every commit is on disk before its caller gets the answer. `F`, the time of one bare data sync on the same
//! disk, is measured beside it: rates mean nothing without it.

use std::io::{Seek, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use wharfinger::adapters::Ledger;
use wharfinger::adapters::embedded::EmbeddedStore;
use wharfinger::domain::account::Account;
use wharfinger::domain::decide::{NewUpload, Reservable, Reserve, Rules};
use wharfinger::domain::draft::{Draft, Write};
use wharfinger::domain::file::Visibility;
use wharfinger::domain::ids::UserId;
use wharfinger::domain::time::Timestamp;
use wharfinger::ports::{Clock, LedgerPort};

/// Commits of one user before it is another user's turn, so that accounts stay as small as real ones.
const COMMITS_PER_USER: u64 = 8;

fn reserving(clock: &Clock, account: Account) -> Write {
    let upload = NewUpload {
        file_id: clock.file_id(),
        filename: "holiday.jpg".to_owned(),
        content_type: "image/jpeg".to_owned(),
        size_bytes: 1,
        checksum_sha256: None,
        visibility: Visibility::Private,
        multipart: None,
        traceparent: None,
    };
    let now = Timestamp::from_millis(1_795_169_642_161);
    let asked = Reserve { uploads: vec![upload], idempotency: None, subject: None };
    let decided = account.reserve(&asked, None, &Rules::default(), now).expect("it fits");
    let Reservable::New { transitions, .. } = decided else { unreachable!("it has no idempotency key") };
    let mut draft = Draft::new(account, [].into(), clock.op_id(), 1 << 30);
    for transition in &transitions {
        draft.push(transition);
    }
    draft.into_write().0
}

/// One caller: commits in a row, for users of its own.
async fn commit(ledger: Ledger, commits: u64) {
    let clock = Clock::System;
    let mut account = None;
    for n in 0..commits {
        if n % COMMITS_PER_USER == 0 {
            account = Some(Account::new(UserId::from_uuid(clock.file_id().uuid())));
        }
        let write = reserving(&clock, account.take().expect("set with the first"));
        account = Some(write.account.clone());
        ledger.commit(write).await.expect("commit");
    }
}

fn durable_commits(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a folder");
    let store = EmbeddedStore::open(dir.path(), Clock::System).expect("the folder is free");
    let mut group = criterion.benchmark_group("ledger/durable_commits");
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(4));
    for callers in [1_u64, 64, 512] {
        group.bench_function(BenchmarkId::from_parameter(callers), |bencher| {
            bencher.iter_custom(|commits| {
                let share = commits.div_ceil(callers);
                let ledger = Arc::new(Ledger::Embedded(store.ledger()));
                let started = Instant::now();
                runtime.block_on(async {
                    let callers: Vec<_> =
                        (0..callers).map(|_| tokio::spawn(commit((*ledger).clone(), share))).collect();
                    for caller in callers {
                        caller.await.expect("every commit went through");
                    }
                });
                let done = u32::try_from(share * callers).expect("few enough");
                let asked = u32::try_from(commits).expect("few enough");
                started.elapsed() * asked / done
            });
        });
    }
    group.finish();
}

fn bare_sync(criterion: &mut Criterion) {
    let mut file = tempfile::tempfile().expect("a file");
    file.set_len(1 << 20).expect("room");
    criterion.bench_function("ledger/bare_sync", |bencher| {
        bencher.iter(|| {
            file.rewind().expect("seek");
            file.write_all(&[7; 512]).expect("write");
            file.sync_data().expect("sync");
        });
    });
}

criterion_group!(benches, bare_sync, durable_commits);
criterion_main!(benches);
