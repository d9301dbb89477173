//! Clients of one node: what the front door does with a request, and what its sender does with the answer.

use std::fmt;
use std::time::Duration;

use tokio::time::sleep;
use wharfinger::actors::{Completed, DeskError, Handle, Reserved};
use wharfinger::domain::account::AccountState;
use wharfinger::domain::chunks::ChunkPlan;
use wharfinger::domain::decide::{IdempotencyKey, NewUpload, Reserve, ReserveRefusal, Rules};
use wharfinger::domain::file::{File, PublicStatus, Visibility};
use wharfinger::domain::ids::{ObjectKey, UserId};
use wharfinger::domain::time::Timestamp;
use wharfinger::domain::transitions::{FilePatch, Removal};
use wharfinger::ports::{Clock, FilePage, LedgerPort as _, PartGrant, SignerPort as _, UploadGrant};

use crate::world::{Coming, PartUrl, Port, Request, State, Stood};

/// Through the door of one node. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) port: Port,
    pub(crate) handle: Handle,
    pub(crate) clock: Clock,
    pub(crate) rules: Rules,
}

impl Client {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.port.shared.enter(self.port.node)
    }

    /// Records the outcome of a request.
    fn told<T, R>(
        &self,
        what: &'static str,
        outcome: &Result<T, DeskError<R>>,
    ) -> std::sync::MutexGuard<'_, State>
    where
        R: fmt::Debug,
    {
        let mut state = self.state();
        let word = match outcome {
            Ok(_) => "done",
            Err(DeskError::Refused(_)) => "refused",
            Err(DeskError::Overloaded) => "overloaded",
            Err(DeskError::Unavailable | DeskError::ObjectsUnavailable) => "unavailable",
            Err(DeskError::Draining) => "draining",
        };
        *state.history.answers.entry(word).or_default() += 1;
        let node = self.port.node;
        match outcome {
            Err(DeskError::Refused(why)) => state.note(format_args!("n{node} {what}: refused {why:?}")),
            Ok(_) | Err(_) => state.note(format_args!("n{node} {what}: {word}")),
        }
        state
    }

    /// Asks for the uploads of a request, and does something with the URLs.
    pub(crate) async fn presign(self, id: u64) {
        let Some((request, asked_at)) = self.read_request(id) else { return };
        let (user, sizes) = (request.user, &request.sizes);
        let upload = |(nth, size_bytes): (usize, &u64)| NewUpload {
            file_id: self.clock.file_id(),
            filename: format!("r{id}.{nth}"),
            content_type: "text/plain".to_owned(),
            size_bytes: *size_bytes,
            checksum_sha256: None,
            visibility: Visibility::Private,
            multipart: None,
            traceparent: None,
        };
        let uploads: Vec<NewUpload> = sizes.iter().enumerate().map(upload).collect();
        let chunks =
            request.chunk_bytes.map(|bytes| uploads.iter().map(move |upload| (upload.file_id, bytes)));
        let chunks = chunks.map(Iterator::collect);
        let idempotency = request.has_key.then_some(IdempotencyKey { key: id, body: id });
        let asked = Reserve { uploads, idempotency, subject: None };
        let outcome = match chunks {
            Some(chunks) => self.handle.reserve_chunked(user, asked, &chunks).await,
            None => self.handle.reserve(user, asked).await,
        };
        drop(self.told("presign", &outcome));
        if outcome.as_ref().is_ok_and(|reserved| reserved.repeated) {
            self.state().reached("request repeated");
        }
        match outcome {
            Ok(reserved) => self.reserved(id, asked_at, user, reserved).await,
            Err(DeskError::Refused(ReserveRefusal::QuotaExceeded {
                limit_bytes,
                used_bytes,
                reserved_bytes,
                requested_bytes,
            })) => {
                let stood =
                    Stood { from: asked_at, used: used_bytes, reserved: reserved_bytes, limit: limit_bytes };
                self.state().check_denial(user, stood, requested_bytes, self.rules.quota_bytes_default);
            }
            Err(_) => {}
        }
    }

    fn read_request(&self, id: u64) -> Option<(Request, u64)> {
        let mut state = self.state();
        let request = state.history.requests.get(&id)?.clone();
        let user = state.trace.name('u', request.user.uuid());
        let (node, chunks) = (self.port.node, request.chunk_bytes.is_some());
        state.note(format_args!(
            "n{node} {user} asks r{id} {:?} key {} chunks {chunks}",
            request.sizes, request.has_key
        ));
        Some((request, state.now))
    }

    /// Signs as the front door does, then takes the answer as the client does.
    async fn reserved(&self, id: u64, asked_at: u64, user: UserId, reserved: Reserved) {
        for (file, release_at) in reserved.files.iter().zip(&reserved.release_at) {
            let now = if reserved.repeated { self.clock.now() } else { file.created_at };
            let Some(grant) = self.grant(user, file, *release_at, now) else { continue };
            if self.port.upload(&grant).await.is_err() {
                return;
            }
            self.state().check_signed(grant.key, asked_at);
        }
        let keys: Vec<ObjectKey> =
            reserved.files.iter().map(|file| ObjectKey { user, file: file.file_id }).collect();
        if self.state().take_uploads(id, user, &reserved.files) {
            for key in keys {
                self.clone().send_chunks(key).await;
            }
        }
    }

    /// Has the chunks of a file signed, as the front door does, sends most of them, and says that they are there.
    pub(crate) async fn send_chunks(self, key: ObjectKey) {
        let outcome = self.handle.open_upload(key.user, key.file).await;
        drop(self.told("sign chunks", &outcome));
        let Ok(open) = outcome else { return };
        let ends_at = open.release_at.filter(|_| open.file.public_status() == PublicStatus::Pending);
        let (Some(ends_at), Some(plan)) = (ends_at, ChunkPlan::of(&open.file)) else { return };
        let upload_id = open.file.multipart.map(|multipart| multipart.upload_id).unwrap_or_default();
        for chunk in plan.chunks() {
            let now = self.clock.now();
            let ttl = self.url_ttl(ends_at, now);
            let (upload_id, number, size_bytes) = (upload_id.clone(), chunk.number, chunk.size_bytes);
            let grant = PartGrant { key, upload_id, number, size_bytes, now, ttl };
            if ttl.is_zero() || self.port.part(&grant).await.is_err() {
                return;
            }
            self.state().send_somehow(grant);
        }
        let ms = self.state().rng.between(1, 8000);
        sleep(Duration::from_millis(ms)).await;
        self.complete(key).await;
    }

    fn grant(
        &self,
        user: UserId,
        file: &File,
        release_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<UploadGrant> {
        let release_at = release_at
            .filter(|_| file.public_status() == PublicStatus::Pending && file.multipart.is_none())?;
        let ttl = self.url_ttl(release_at.before(Rules::GRACE), now);
        (!ttl.is_zero()).then(|| UploadGrant {
            key: ObjectKey { user, file: file.file_id },
            size_bytes: file.size_bytes,
            content_type: file.content_type.clone(),
            checksum_sha256: file.checksum_sha256,
            metadata: Vec::new(),
            now,
            ttl,
        })
    }

    /// Whole seconds that a URL may live which must be dead by then.
    fn url_ttl(&self, dead_by: Timestamp, now: Timestamp) -> Duration {
        Duration::from_secs(dead_by.since(now).min(self.rules.upload_url_ttl).as_secs())
    }

    pub(crate) async fn complete(self, key: ObjectKey) {
        let outcome = self.handle.complete(key.user, key.file).await;
        let mut state = self.told("complete", &outcome);
        if let Ok(Completed::Settled(file)) = &outcome
            && state.last_row(key.user, key.file).is_none_or(|row| row.revision < file.revision)
        {
            state.broken(format_args!("I14: told of a settled file that is not durable"));
        }
    }

    pub(crate) async fn remove(self, key: ObjectKey, how: Removal) {
        if how == Removal::Permanent {
            self.state().history.unwanted.insert(key);
        }
        let outcome = self.handle.remove(key.user, key.file, how).await;
        let what = if how == Removal::Permanent { "delete for good" } else { "trash" };
        let mut state = self.told(what, &outcome);
        if outcome.is_ok() && how == Removal::Permanent {
            let name = state.key_name(key);
            state.note(format_args!("{name} is deleted for good"));
            let now = state.now;
            state.history.deleted.entry(key).or_insert(now);
            state.check_deleted(key);
        }
    }

    pub(crate) async fn restore(self, key: ObjectKey) {
        let outcome = self.handle.restore(key.user, key.file).await;
        drop(self.told("restore", &outcome));
    }

    pub(crate) async fn rename(self, key: ObjectKey) {
        let patch = FilePatch { visibility: Some(Visibility::Team), ..FilePatch::default() };
        let outcome = self.handle.update(key.user, key.file, patch).await;
        drop(self.told("update", &outcome));
    }

    pub(crate) async fn set_quota(self, user: UserId, quota_bytes: Option<u64>) {
        let outcome = self.handle.set_quota(user, quota_bytes).await;
        let state = self.told("quota", &outcome);
        drop(state);
    }

    pub(crate) async fn set_state(self, user: UserId, account: AccountState) {
        let outcome = self.handle.set_state(user, account).await;
        drop(self.told("state", &outcome));
    }

    /// Lists, as the front door does, and looks for what must not be there.
    pub(crate) async fn list(self, user: UserId) {
        let deleted = self.state().history.deleted.clone();
        let Ok(rows) = self.port.files(user, FilePage { before: None, limit: 200 }).await else { return };
        for row in rows {
            let is_listed = matches!(
                row.public_status(),
                PublicStatus::Pending | PublicStatus::Processed | PublicStatus::Trashed
            );
            if is_listed && deleted.contains_key(&ObjectKey { user, file: row.file_id }) {
                self.state().broken(format_args!("I10: a list shows a file that was deleted for good"));
            }
        }
    }
}

impl State {
    /// An owner takes what a presign answered. Whether they go on and send chunks.
    fn take_uploads(&mut self, id: u64, user: UserId, files: &[File]) -> bool {
        self.acknowledge(id, user, files);
        for file in files {
            self.upload_somehow(ObjectKey { user, file: file.file_id });
        }
        self.history.requests[&id].chunk_bytes.is_some() && self.rng.per_mille(850)
    }

    /// What the owner of an upload does with its URL.
    fn upload_somehow(&mut self, key: ObjectKey) {
        let Some(url) = self.bucket.urls_of(key).last().cloned() else { return };
        let left = url.expires_at.saturating_sub(self.now);
        let (begins_in, lasts) = match self.rng.below(100) {
            0..65 => (self.rng.between(1, 3000), self.rng.between(1, 2000)),
            65..77 => return, // never
            77..85 => (self.rng.between(1, left.max(1)), self.rng.between(1, 60_000)),
            85..91 => (left.saturating_sub(1000), self.rng.between(1, 900_000)), // at the last moment
            91..93 => (left.saturating_sub(1000), self.rng.between(900_000, 4_000_000)), // for too long
            93..97 => (left + self.rng.between(1, 600_000), 1),                  // after its time
            _ => (self.rng.between(1, 3000), 1),
        };
        let is_odd = self.rng.per_mille(40);
        let size_bytes = if is_odd { url.size_bytes + 1 } else { url.size_bytes };
        let put = |started_at| Coming::Put { url: Box::new(url.clone()), started_at, size_bytes };
        self.later(begins_in + lasts, put(self.now + begins_in));
        if self.rng.per_mille(120) {
            let again_in = begins_in + lasts + self.rng.between(1, 600_000);
            self.later(again_in, put(self.now + again_in));
        }
    }

    /// Uses the URL of a chunk, or not.
    fn send_somehow(&mut self, grant: PartGrant) {
        let url = PartUrl {
            key: grant.key,
            upload_id: grant.upload_id,
            number: grant.number,
            size_bytes: grant.size_bytes,
            signed_at: grant.now.as_millis(),
            expires_at: grant.now.after(grant.ttl).as_millis(),
        };
        let left = url.expires_at.saturating_sub(self.now).max(1);
        let (begins_in, lasts) = match self.rng.below(100) {
            0..85 => (self.rng.between(1, 1500), self.rng.between(1, 1500)),
            85..90 => return, // never
            90..95 => (self.rng.between(1, left), self.rng.between(1, 900_000)),
            _ => (left + self.rng.between(1, 600_000), 1), // after its time
        };
        let size_bytes = if self.rng.per_mille(30) { url.size_bytes + 1 } else { url.size_bytes };
        let started_at = self.now + begins_in;
        self.later(begins_in + lasts, Coming::Chunk { url: Box::new(url), started_at, size_bytes });
    }

    /// A presign was answered: invariants 7 and 9.
    fn acknowledge(&mut self, id: u64, user: UserId, files: &[File]) {
        let ids: Vec<_> = files.iter().map(|file| file.file_id).collect();
        let Some(request) = self.history.requests.get_mut(&id) else { return };
        let (first, count) =
            (request.answered.get_or_insert_with(|| ids.clone()).clone(), request.sizes.len());
        if first != ids || ids.len() != count {
            self.broken(format_args!("I9: r{id} was answered with {first:?} and with {ids:?} of {count}"));
        }
        for file in ids {
            let key = ObjectKey { user, file };
            if self.last_row(user, file).is_none() {
                self.broken(format_args!("I7: r{id} is acknowledged and not durable"));
            }
            self.check_chunked(key);
            if !self.history.known.contains(&key) {
                self.history.known.push(key);
            }
        }
    }
}
