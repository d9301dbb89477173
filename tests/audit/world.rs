//! A deployment that stands still, made by the real tree, with a file in every status; and ways to spoil it.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use wharfinger::app::{AuditError, AuditOptions, AuditSummary, Auditor, Deployment, Finding, FindingKind};
use wharfinger::domain::account::Account;
use wharfinger::domain::decide::Reserve;
use wharfinger::domain::draft::Write;
use wharfinger::domain::entry::Entry;
use wharfinger::domain::event::{EventSource, events_of, filter_of};
use wharfinger::domain::file::{File, Status};
use wharfinger::domain::ids::{ObjectKey, UserId};
use wharfinger::domain::time::Timestamp;
use wharfinger::domain::transitions::Removal;
use wharfinger::ports::{
    Clock, LedgerPort as _, LogPort as _, NewRecord, ReplayFrom, ReplayPort as _, SignerPort as _, Stream,
    UploadGrant,
};

use crate::inside::{BUCKET, Chosen, Inside, eventually};

/// What is under way may take so long.
pub(crate) const GRACE: Duration = Duration::from_secs(60);
/// Between two looks of the sweeper at everything.
pub(crate) const DEEP_EVERY: Duration = Duration::from_secs(300);

pub(crate) struct Yard {
    pub(crate) inside: Inside,
    pub(crate) user: UserId,
    pub(crate) pending: ObjectKey,
    pub(crate) processed: ObjectKey,
    pub(crate) trashed: ObjectKey,
    pub(crate) gone: ObjectKey,
    /// How it is audited.
    pub(crate) options: AuditOptions,
}

impl Yard {
    /// Findings that the deep sweep should have removed since `time` are reported after its period and the grace.
    pub(crate) async fn pass_deep(&self, time: Timestamp) {
        self.inside.clock.set(time.after(DEEP_EVERY + GRACE));
        self.check(&[]).await;
        self.inside.pass(Duration::from_millis(1));
    }

    /// Four files, each in a status of its own, all published and settled; the tree is stopped.
    pub(crate) async fn new() -> Self {
        let inside = Inside::start(Chosen { shards: 1, ..Chosen::default() }).await;
        let user = UserId::from_subject("https://issuer.example", "ann").unwrap();
        let pending = reserve(&inside, user).await;
        let [processed, trashed, gone] =
            [upload(&inside, user).await, upload(&inside, user).await, upload(&inside, user).await];
        inside.handle.remove(user, trashed.file, Removal::Trash).await.unwrap();
        inside.handle.remove(user, gone.file, Removal::Permanent).await.unwrap();
        let is_gone = async || (inside.row(gone).await.status == Status::Gone).then_some(());
        eventually("the last one to be gone", is_gone).await;
        let options = AuditOptions {
            user: None,
            grace: GRACE,
            deep_every: DEEP_EVERY,
            trash_retention: wharfinger::limits::TRASH_RETENTION,
            quiet: Duration::ZERO,
            reads_per_sec: None,
        };
        let yard = Self { inside, user, pending, processed, trashed, gone, options };
        let version = yard.account().await.version;
        let is_told = async || (yard.told().await >= version).then_some(());
        eventually("the events", is_told).await;
        let mut yard = yard;
        yard.inside.stop().await;
        yard.edit(|write| write.account.published = write.account.version).await;
        yard
    }

    pub(crate) async fn account(&self) -> Account {
        self.inside.well.ledger.load(self.user).await.unwrap().unwrap()
    }

    /// How many versions have been published: here none is published twice, and nothing crosses a threshold.
    async fn told(&self) -> u64 {
        let log = &self.inside.well.log;
        let mut replay = log.replay(Stream::Events, filter_of(self.user), ReplayFrom::Start).await.unwrap();
        let mut count = 0;
        while replay.next(Duration::ZERO).await.unwrap().is_some() {
            count += 1;
        }
        count
    }

    /// Writes what no decision would: whatever `spoil` makes of a write that changes nothing.
    pub(crate) async fn edit(&self, spoil: impl FnOnce(&mut Write)) {
        let mut write = Write::on(self.account().await, self.inside.time.op_id());
        spoil(&mut write);
        self.inside.well.ledger.commit(write).await.unwrap();
    }

    /// Spoils a row.
    pub(crate) async fn edit_row(&self, key: ObjectKey, spoil: impl FnOnce(&mut File)) {
        let mut row = self.inside.row(key).await;
        spoil(&mut row);
        self.edit(|write| write.files.push(row)).await;
    }

    /// Spoils an entry.
    pub(crate) async fn edit_entry(&self, version: u64, spoil: impl FnOnce(&mut Entry)) {
        let mut entry = self.entry(version).await;
        spoil(&mut entry);
        self.edit(|write| write.entries.push(entry)).await;
    }

    pub(crate) async fn entry(&self, version: u64) -> Entry {
        self.inside.well.ledger.entry(self.user, version).await.unwrap().unwrap()
    }

    /// More entries that change nothing, like a change of the quota to what it was.
    pub(crate) async fn add_entries(&self, versions: &[u64]) {
        let mut last = self.entry(self.account().await.version).await;
        last.kind = wharfinger::domain::entry::EntryKind::QuotaChanged;
        (last.file_id, last.status, last.at) = (None, None, self.inside.now());
        let entries: Vec<_> =
            versions.iter().map(|version| Entry { version: *version, ..last.clone() }).collect();
        self.edit(|write| {
            write.account.version = versions.iter().copied().max().unwrap();
            write.account.published = write.account.version;
            write.entries = entries;
        })
        .await;
    }

    /// Publishes the events of another user's entry.
    pub(crate) async fn tell_of(&self, user: UserId, version: u64) {
        let entry = self.inside.well.ledger.entry(user, version).await.unwrap().unwrap();
        let row = match entry.file_id {
            Some(file) => self.inside.well.ledger.file(user, file).await.unwrap(),
            None => None,
        };
        let source =
            EventSource { deployment: "test".to_owned(), bucket: BUCKET.to_owned(), redact_names: false };
        for event in events_of(&source, user, &entry, row.as_ref()) {
            let payload = serde_json::to_vec(&event.envelope).unwrap();
            self.publish(event.subject, event.id.to_string(), payload).await;
        }
    }

    /// Publishes the event of this version, which need not exist.
    pub(crate) async fn tell(&self, version: u64) {
        let last = self.account().await.version;
        let entry = Entry { version, ..self.entry(version.min(last)).await };
        let source =
            EventSource { deployment: "test".to_owned(), bucket: BUCKET.to_owned(), redact_names: false };
        for event in events_of(&source, self.user, &entry, None) {
            let payload = serde_json::to_vec(&event.envelope).unwrap();
            self.publish(event.subject, event.id.to_string(), payload).await;
        }
    }

    pub(crate) async fn publish(&self, subject: String, id: String, payload: Vec<u8>) {
        let record = NewRecord { subject, id, headers: Vec::new(), payload: Bytes::from(payload) };
        self.inside.well.log.publish(Stream::Events, record).await.unwrap();
    }

    /// Puts one byte under a key, as nobody may.
    pub(crate) async fn put(&self, key: ObjectKey) {
        let grant = UploadGrant {
            key,
            size_bytes: 1,
            content_type: "text/plain".to_owned(),
            checksum_sha256: None,
            metadata: Vec::new(),
            now: Clock::System.now(),
            ttl: Duration::from_secs(60),
        };
        let signed = self.inside.well.signer.upload(&grant).await.unwrap();
        let mut request = Request::builder().method(signed.method).uri(signed.url.expose());
        for (name, value) in signed.headers.iter().filter(|(name, _)| name != "content-length") {
            request = request.header(name, value);
        }
        let client = Client::builder(TokioExecutor::new()).build_http();
        let body = Full::new(Bytes::from_static(b"x"));
        assert_eq!(client.request(request.body(body).unwrap()).await.unwrap().status(), 200);
    }

    /// What the audit says, of backends that fail as the plan says.
    pub(crate) async fn audit(
        &self,
        user: Option<UserId>,
    ) -> Result<(Vec<Finding>, AuditSummary), AuditError> {
        let options = AuditOptions { user, ..self.options };
        let backends = self.inside.faulty.clone();
        let world = Deployment {
            ledger: backends.ledger,
            log: backends.log,
            objects: backends.objects,
            clock: self.inside.time.clone(),
        };
        let mut findings = Vec::new();
        let mut tell = |finding: &Finding| {
            findings.push(finding.clone());
            Ok(())
        };
        let summary = Auditor::new(world, options).run(&mut tell).await?;
        Ok((findings, summary))
    }

    /// The audit tells exactly these kinds, in any number.
    pub(crate) async fn check(&self, expected: &[FindingKind]) {
        let (findings, summary) = self.audit(None).await.unwrap();
        assert_eq!(summary.disagreements, u64::try_from(findings.len()).unwrap());
        let mut kinds: Vec<_> = findings.iter().map(|finding| finding.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds, expected, "{findings:#?}");
    }
}

async fn reserve(inside: &Inside, user: UserId) -> ObjectKey {
    let uploads = vec![inside.upload_of("a.txt", 5)];
    let asked = Reserve { uploads, idempotency: None, subject: None };
    let reserved = inside.handle.reserve(user, asked).await.unwrap();
    ObjectKey { user, file: reserved.files[0].file_id }
}

async fn upload(inside: &Inside, user: UserId) -> ObjectKey {
    let key = reserve(inside, user).await;
    inside.land(key).await;
    inside.handle.complete(user, key.file).await.unwrap();
    key
}
