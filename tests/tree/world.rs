//! One user of a tree with one shard, and what there is to know about them.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::fault_injection::Op;
use bytes::Bytes;
use wharfinger::actors::DeskError;
use wharfinger::domain::account::Account;
use wharfinger::domain::arrival::{Arrival, ArrivalKind};
use wharfinger::domain::decide::{IdempotencyKey, Reserve, ReserveRefusal, Rules};
use wharfinger::domain::draft::Write;
use wharfinger::domain::event::filter_of;
use wharfinger::domain::file::Status;
use wharfinger::domain::ids::{ObjectKey, UserId};
use wharfinger::domain::invariant::check_rows;
use wharfinger::domain::shard::ShardId;
use wharfinger::ports::{
    LedgerPort as _, LogPort as _, NewRecord, Record, ReplayFrom, ReplayPort as _, Stream,
};

use crate::inside::{BUCKET, Chosen, Inside, eventually};

/// How long a desk rests before it notes what was published.
const REST: Duration = Duration::from_secs(5);
/// Longer than it takes a desk, by the real clock, to see that it has rested: it looks every second.
const LOOKS_EVERY: Duration = Duration::from_secs(4);

/// The outcome of a reservation: the file, or why not.
pub(crate) type Reservation = Result<ObjectKey, DeskError<ReserveRefusal>>;

/// A tree with one shard, and a user.
pub(crate) struct World {
    inside: Inside,
    pub(crate) user: UserId,
    told: AtomicU64,
}

impl Deref for World {
    type Target = Inside;

    fn deref(&self) -> &Inside {
        &self.inside
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Inside {
        &mut self.inside
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(Chosen::default()).await
    }

    /// A world in which everybody may have this many bytes.
    pub(crate) async fn with_quota(quota_bytes_default: u64) -> Self {
        Self::with(Chosen { rules: Rules { quota_bytes_default, ..Rules::default() }, ..Chosen::default() })
            .await
    }

    pub(crate) async fn with(chosen: Chosen) -> Self {
        let inside = Inside::start(Chosen { shards: 1, ..chosen }).await;
        let user = UserId::from_subject("https://issuer.example", "alice").unwrap();
        Self { inside, user, told: AtomicU64::new(0) }
    }

    pub(crate) async fn reserve(&self, size_bytes: u64) -> Reservation {
        self.reserve_as(None, size_bytes).await
    }

    /// With an idempotency key.
    pub(crate) async fn reserve_as(&self, key: Option<u64>, size_bytes: u64) -> Reservation {
        let upload = self.upload_of("a.txt", size_bytes);
        let idempotency = key.map(|key| IdempotencyKey { key, body: size_bytes });
        let asked = Reserve { uploads: vec![upload], idempotency, subject: None };
        let reserved = self.handle.reserve(self.user, asked).await?;
        Ok(ObjectKey { user: self.user, file: reserved.files[0].file_id })
    }

    /// A file whose bytes are there and settled.
    pub(crate) async fn upload(&self, size_bytes: u64) -> ObjectKey {
        let key = self.reserve(size_bytes).await.unwrap();
        self.land(key).await;
        self.handle.complete(key.user, key.file).await.unwrap();
        self.check_status(key, Status::Processed).await;
        key
    }

    /// Sends a notification of an object, as the bridge would; every call sends a new one.
    pub(crate) async fn tell(&self, kind: ArrivalKind, key: ObjectKey) {
        let sequencer = self.told.fetch_add(1, Ordering::SeqCst).to_string();
        let arrival = Arrival {
            kind,
            bucket: BUCKET.to_owned(),
            key: key.to_string(),
            size_bytes: None,
            etag: None,
            sequencer,
            happened_at: self.now(),
            seen_at: self.now(),
        };
        self.tell_raw(&arrival.identity(), serde_json::to_vec(&arrival).unwrap()).await;
    }

    /// Anything at all, where arrivals stand.
    pub(crate) async fn tell_raw(&self, id: &str, payload: Vec<u8>) {
        let key = ObjectKey { user: self.user, file: self.time.file_id() };
        let record = NewRecord {
            subject: Arrival::subject(ShardId::new(0), key),
            id: id.to_owned(),
            headers: Vec::new(),
            payload: Bytes::from(payload),
        };
        self.well.log.publish(Stream::Ingest, record).await.unwrap();
    }

    /// Lets time pass for the feed, which looks at the clock when something comes: something comes.
    pub(crate) async fn pass_and_ring(&self, span: Duration) {
        self.pass(span);
        let nothing = ObjectKey { user: self.user, file: self.time.file_id() };
        self.tell(ArrivalKind::Removed, nothing).await;
    }

    /// Waits until `op` has been called this many times.
    pub(crate) async fn calls(&self, op: Op, count: u64) {
        let is_done = async || (self.plan.calls(op) >= count).then_some(());
        eventually(&format!("{count} calls of {op:?}"), is_done).await;
    }

    pub(crate) async fn account(&self) -> Account {
        self.well.ledger.load(self.user).await.unwrap().unwrap_or_else(|| Account::new(self.user))
    }

    /// Waits until every version is published, and the ledger knows, which it learns after idle time. Returns the version.
    pub(crate) async fn wait_until_saved(&self) -> u64 {
        self.wait_for_events().await;
        self.pass(REST);
        let mut passed = Instant::now();
        let look = async || {
            let account = self.account().await;
            let is_saved = account.published == account.version;
            // A desk that got the events only now starts its idle time only now.
            if !is_saved && passed.elapsed() > LOOKS_EVERY {
                self.pass(REST);
                passed = Instant::now();
            }
            is_saved.then_some(account.version)
        };
        eventually("published to be saved", look).await
    }

    /// Damages the user's account behind everybody's back, as a bug or a disk would. Its version stays.
    pub(crate) async fn plant(&self, damage: impl FnOnce(&mut Account)) {
        let mut write = Write::on(self.account().await, self.time.op_id());
        damage(&mut write.account);
        self.well.ledger.commit(write).await.unwrap();
    }

    pub(crate) async fn check_status(&self, key: ObjectKey, expected: Status) {
        assert_eq!(self.row(key).await.status, expected);
    }

    pub(crate) async fn wait_for_status(&self, key: ObjectKey, status: Status) {
        let look = async || (self.row(key).await.status == status).then_some(());
        eventually(&format!("{key} to be {status:?}"), look).await;
    }

    /// Used and reserved bytes.
    pub(crate) async fn check_bytes(&self, used: u64, reserved: u64) {
        let totals = self.account().await.totals;
        assert_eq!((totals.used_bytes, totals.reserved_bytes), (used, reserved), "used and reserved");
    }

    /// The sums are those of the rows, and the entries have no gap: invariants 1, 2, 4, 5 and 28.
    pub(crate) async fn check_ledger(&self) {
        let (account, rows) = (self.account().await, self.rows(self.user).await);
        check_rows(&account, &rows).unwrap();
        let entries = self.well.ledger.entries_after(self.user, 0, usize::MAX).await.unwrap();
        let versions: Vec<u64> = entries.iter().map(|entry| entry.version).collect();
        assert_eq!(versions, (1..=account.version).collect::<Vec<_>>(), "entries without a gap");
        assert_eq!(entries.last().map_or_else(Default::default, |entry| entry.totals), account.totals);
    }

    /// All that a stream holds.
    pub(crate) async fn records(&self, stream: Stream, filter: &str) -> Vec<Record> {
        let mut replay = self.well.log.replay(stream, filter.to_owned(), ReplayFrom::Start).await.unwrap();
        let mut records = Vec::new();
        while let Some(record) = replay.next(Duration::ZERO).await.unwrap() {
            records.push(record);
        }
        records
    }

    /// The user's events as they stand in the log: version and name, `1 files.reserved`.
    pub(crate) async fn events(&self) -> Vec<String> {
        self.events_of(self.user).await
    }

    /// The same of another user.
    pub(crate) async fn events_of(&self, user: UserId) -> Vec<String> {
        let records = self.records(Stream::Events, &filter_of(user)).await;
        let told = |record: Record| {
            let event: serde_json::Value = serde_json::from_slice(&record.payload).unwrap();
            let version: u64 = event["sequence"].as_str().unwrap().parse().unwrap();
            let name = event["type"].as_str().unwrap().strip_prefix("io.wharfinger.").unwrap();
            format!("{version} {}", name.strip_suffix(".v1").unwrap())
        };
        records.into_iter().map(told).collect()
    }

    /// Waits until every version has been published, and returns the events: invariant 21.
    pub(crate) async fn wait_for_events(&self) -> Vec<String> {
        let version = self.account().await.version;
        let look = async || {
            let events = self.events().await;
            let is_told = |version: u64| events.iter().any(|told| told.starts_with(&format!("{version} ")));
            (1..=version).all(is_told).then_some(events)
        };
        eventually(&format!("events up to {version}"), look).await
    }

    /// Waits until these have been published, and nothing else.
    pub(crate) async fn check_events(&self, expected: &[&str]) {
        assert_eq!(self.wait_for_events().await, expected);
    }
}
