//! The audit after a crash: rows, sums, bucket and events of a data folder must agree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use wharfinger::adapters::embedded::bucket::{BucketOptions, EmbeddedBucket};
use wharfinger::adapters::embedded::{EmbeddedLedger, EmbeddedLog, EmbeddedStore};
use wharfinger::domain::file::{File, Status};
use wharfinger::domain::ids::{FileId, ObjectKey, UserId};
use wharfinger::domain::invariant::check_rows;
use wharfinger::ports::{Clock, FilePage, LedgerPort, LogPort, ObjectsPort, ReplayFrom, ReplayPort, Stream};

/// What a data folder holds, read without the process that wrote it.
pub(crate) struct Audit {
    pub(crate) rows: BTreeMap<(UserId, FileId), File>,
    pub(crate) objects: BTreeSet<ObjectKey>,
    /// By user: the versions that have an event.
    pub(crate) told: BTreeMap<UserId, BTreeSet<u64>>,
    /// By user: the account's version.
    pub(crate) versions: BTreeMap<UserId, u64>,
}

impl Audit {
    /// Reads everything, and checks the sums against the rows on the way.
    pub(crate) async fn read(data: &Path) -> Self {
        let store = EmbeddedStore::open(&data.join("store"), Clock::System).expect("the store opens");
        let bucket = EmbeddedBucket::open(&data.join("bucket"), BucketOptions::default(), Clock::System)
            .expect("the bucket opens");
        let ledger = store.ledger();
        let mut audit = Self {
            rows: BTreeMap::new(),
            objects: objects(&bucket).await,
            told: told(&store.log()).await,
            versions: BTreeMap::new(),
        };
        let mut next = None;
        loop {
            let page = ledger.scan(next, 1000).await.expect("a page");
            for summary in page.accounts {
                audit.read_user(&ledger, summary.user).await;
            }
            next = page.next;
            if next.is_none() {
                return audit;
            }
        }
    }

    async fn read_user(&mut self, ledger: &EmbeddedLedger, user: UserId) {
        let account = ledger.load(user).await.expect("a read").expect("the account was scanned");
        let all = FilePage { before: None, limit: usize::MAX };
        let rows = ledger.files(user, all).await.expect("rows");
        check_rows(&account, &rows).unwrap_or_else(|broken| panic!("{user}: {broken}"));
        let entries = ledger.entries_after(user, 0, usize::MAX).await.expect("entries");
        let versions: Vec<u64> = entries.iter().map(|entry| entry.version).collect();
        assert_eq!(versions, (1..=account.version).collect::<Vec<_>>(), "{user}: entries without a gap");
        assert_eq!(entries.last().map(|entry| entry.totals), Some(account.totals), "{user}: the last totals");
        self.versions.insert(user, account.version);
        self.rows.extend(rows.into_iter().map(|row| ((user, row.file_id), row)));
    }

    /// Every processed or trashed row has its object, and every object its row (17).
    pub(crate) fn check_objects(&self) {
        for ((user, file), row) in &self.rows {
            let key = ObjectKey { user: *user, file: *file };
            let is_stored = matches!(row.status, Status::Processed | Status::Trashed);
            assert_eq!(self.objects.contains(&key), is_stored, "{key} is {:?}", row.status);
        }
        for key in &self.objects {
            assert!(self.rows.contains_key(&(key.user, key.file)), "{key} belongs to no row");
        }
    }

    /// Every version of every user has been told (21).
    pub(crate) fn untold(&self) -> Vec<(UserId, u64)> {
        let is_told =
            |user: &UserId, version: &u64| self.told.get(user).is_some_and(|told| told.contains(version));
        let versions =
            self.versions.iter().flat_map(|(user, last)| (1..=*last).map(move |version| (*user, version)));
        versions.filter(|(user, version)| !is_told(user, version)).collect()
    }
}

async fn objects(bucket: &EmbeddedBucket) -> BTreeSet<ObjectKey> {
    let (mut found, mut after) = (BTreeSet::new(), None);
    loop {
        let page = bucket.list(ObjectKey::PREFIX.to_owned(), after).await.expect("a page of objects");
        after = page.objects.last().map(|object| object.key.clone());
        found.extend(
            page.objects.iter().map(|object| ObjectKey::parse(&object.key).expect("one of our keys")),
        );
        if !page.is_truncated {
            return found;
        }
    }
}

async fn told(log: &EmbeddedLog) -> BTreeMap<UserId, BTreeSet<u64>> {
    let mut told: BTreeMap<UserId, BTreeSet<u64>> = BTreeMap::new();
    let mut replay = log.replay(Stream::Events, "wharf.>".into(), ReplayFrom::Start).await.expect("a replay");
    while let Some(record) = replay.next(Duration::ZERO).await.expect("a record") {
        let event: serde_json::Value = serde_json::from_slice(&record.payload).expect("an envelope");
        let user = UserId::parse(event["partitionkey"].as_str().expect("a user")).expect("an id");
        let version = event["sequence"].as_str().expect("a version").parse().expect("a number");
        told.entry(user).or_default().insert(version);
    }
    told
}
