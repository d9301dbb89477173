//! The bucket: objects, signed URLs, and the notifications it sends.

use std::collections::BTreeMap;

use wharfinger::domain::file::{Sha256, Status};
use wharfinger::domain::ids::ObjectKey;
use wharfinger::ports::{ListedObject, ObjectMeta, ObjectPage};

use super::coming::Coming;
use super::fate::Crooked;
use super::state::{BUCKET, START, State};
use super::uploads::Upload;
use wharfinger::domain::time::Timestamp;

/// How far a signature's time may lie ahead of the bucket's clock.
pub(super) const AHEAD_MAX: u64 = 15 * 60 * 1000;

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) size_bytes: u64,
    pub(crate) etag: String,
    pub(crate) content_type: String,
    pub(crate) checksum_sha256: Option<Sha256>,
    pub(crate) landed_at: u64,
}

/// A signed upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) key: ObjectKey,
    pub(crate) size_bytes: u64,
    pub(crate) content_type: String,
    pub(crate) checksum_sha256: Option<Sha256>,
    pub(crate) signed_at: u64,
    pub(crate) expires_at: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    pub(crate) objects: BTreeMap<String, Object>,
    urls: BTreeMap<ObjectKey, Vec<Url>>,
    pub(crate) uploads: BTreeMap<String, Upload>,
    /// When a caller last asked for an object and got "not there".
    pub(crate) absent_at: BTreeMap<ObjectKey, u64>,
    counted: u64,
}

impl Bucket {
    pub(crate) fn urls_of(&self, key: ObjectKey) -> &[Url] {
        self.urls.get(&key).map_or(&[], |urls| &urls[..])
    }

    /// A new `ETag` or sequencer.
    pub(super) fn next(&mut self) -> u64 {
        self.counted += 1;
        self.counted
    }
}

impl State {
    /// Notes that a URL was signed, and holds it against invariants 7 and 8.
    pub(crate) fn signed(&mut self, url: Url) {
        let status = self.file(url.key.user, url.key.file).map(|row| row.status);
        let (is_usable, is_sane) = (self.now <= url.expires_at, self.clocks_are_sane);
        match status {
            Some(Status::Pending | Status::Processed | Status::Trashed) => {}
            Some(Status::Expired) if is_usable && is_sane => {
                self.broken(format_args!("I8: signed for an expired file"))
            }
            Some(Status::Expired | Status::Deleting | Status::Gone) => {}
            None => self.broken(format_args!("I7: signed for a file that is not durable")),
        }
        let name = self.key_name(url.key);
        let (from, to) = (url.signed_at.saturating_sub(START), url.expires_at.saturating_sub(START));
        self.note(format_args!("signed {name} {}B from {from} to {to}", url.size_bytes));
        self.bucket.urls.entry(url.key).or_default().push(url);
    }

    /// An upload's last byte is there. Returns the status that its sender gets.
    pub(crate) fn put(&mut self, url: &Url, started_at: u64, size_bytes: u64) -> u16 {
        let key = url.key.to_string();
        let is_time = url.signed_at <= started_at + AHEAD_MAX && started_at <= url.expires_at;
        let status = if !is_time || size_bytes != url.size_bytes {
            403
        } else if self.bucket.objects.contains_key(&key) && self.crooked != Crooked::Overwrites {
            412
        } else {
            200
        };
        let name = self.key_name(url.key);
        self.note(format_args!("PUT {name} {size_bytes}B is {status}"));
        if status == 200 {
            let object = Object {
                size_bytes,
                etag: String::new(),
                content_type: url.content_type.clone(),
                checksum_sha256: url.checksum_sha256,
                landed_at: self.now,
            };
            self.history.uploaded.insert(url.key);
            self.land(url.key, object);
        }
        status
    }

    pub(super) fn land(&mut self, key: ObjectKey, object: Object) {
        let etag = format!("{:032x}", self.bucket.next());
        let size_bytes = object.size_bytes;
        self.bucket.objects.insert(key.to_string(), Object { etag: etag.clone(), ..object });
        self.check_object(key);
        self.tell("ObjectCreated:Put", key, Some((size_bytes, etag)));
    }

    /// Removes an object, and holds that against invariant 15.
    pub(crate) fn delete_object(&mut self, key: ObjectKey) {
        let status = self.file(key.user, key.file).map(|row| row.status);
        match status {
            Some(Status::Deleting | Status::Gone) => {}
            Some(status) => {
                self.broken(format_args!("I15: an object is removed while its file is {status:?}"))
            }
            None => self.check_orphan(key),
        }
        let was_there = self.bucket.objects.remove(&key.to_string()).is_some();
        let name = self.key_name(key);
        self.note(format_args!("removed {name}, was there: {was_there}"));
        if was_there {
            self.tell("ObjectRemoved:Delete", key, None);
        }
    }

    /// Tells the queue, as the weather allows.
    fn tell(&mut self, event: &str, key: ObjectKey, what: Option<(u64, String)>) {
        let sequencer = format!("{:018X}", self.bucket.next());
        let (size, etag) = what.unzip();
        let body = serde_json::json!({"Records": [{
            "eventVersion": "2.1",
            "eventName": event,
            "eventTime": self.time().to_string(),
            "s3": {
                "bucket": {"name": BUCKET},
                "object": {"key": key.to_string(), "size": size, "eTag": etag, "sequencer": sequencer},
            },
        }]});
        let often = self.weather.news_per_mille;
        let mut count = 1;
        if self.rng.per_mille(often) {
            self.count_fault("news", "lost");
            count = 0;
        } else if self.rng.per_mille(often) {
            self.count_fault("news", "twice");
            count = 2;
        }
        for _ in 0..count {
            let is_late = self.rng.per_mille(often);
            if is_late {
                self.count_fault("news", "minutes late");
            }
            let ms = if is_late { self.rng.between(60_000, 3_000_000) } else { self.rng.between(1, 900) };
            self.later(ms, Coming::News(body.to_string()));
        }
    }

    pub(crate) fn count_fault(&mut self, what: &'static str, how: &'static str) {
        *self.faults.entry((what, how)).or_default() += 1;
        self.note(format_args!("{what} {how}"));
    }

    pub(crate) fn head(&mut self, key: ObjectKey) -> Option<ObjectMeta> {
        let is_overdue = self.bucket.urls_of(key).iter().all(|url| url.expires_at < self.now);
        match self.crooked {
            Crooked::SeesNothing => {
                self.bucket.absent_at.insert(key, self.now);
                return None;
            }
            Crooked::ReleasesUnseen if is_overdue => return None,
            Crooked::ReleasesUnseen
            | Crooked::Straight
            | Crooked::IgnoresVersions
            | Crooked::IgnoresAttempts
            | Crooked::SaysDoneTooEarly
            | Crooked::TearsWrites
            | Crooked::Overwrites
            | Crooked::SignsForLonger
            | Crooked::NeverSweeps
            | Crooked::LosesEvents
            | Crooked::LosesArrivals
            | Crooked::LendsQuota
            | Crooked::ReadsBackwards
            | Crooked::KeepsUploads
            | Crooked::EndsTrashEarly
            | Crooked::RemovesStrays
            | Crooked::KeepsStrays
            | Crooked::LeavesGaps => {}
        }
        let found = self.bucket.objects.get(&key.to_string()).map(|object| ObjectMeta {
            size_bytes: object.size_bytes,
            etag: object.etag.clone(),
            checksum_sha256: object.checksum_sha256,
            content_type: Some(object.content_type.clone()),
            landed_at: Timestamp::from_millis(object.landed_at),
        });
        if found.is_none() {
            self.bucket.absent_at.insert(key, self.now);
        }
        found
    }

    pub(crate) fn list(&self, prefix: &str, after: Option<&String>) -> ObjectPage {
        if self.crooked == Crooked::NeverSweeps {
            return ObjectPage { objects: Vec::new(), is_truncated: false };
        }
        let is_wanted = |key: &&String| key.starts_with(prefix) && after.is_none_or(|after| *key > after);
        let mut rest = self.bucket.objects.iter().filter(|(key, _)| is_wanted(key));
        let listed = |(key, object): (&String, &Object)| ListedObject {
            key: key.clone(),
            size_bytes: object.size_bytes,
            etag: Some(object.etag.clone()),
            landed_at: Timestamp::from_millis(object.landed_at),
        };
        let objects = rest.by_ref().take(1000).map(listed).collect();
        ObjectPage { objects, is_truncated: rest.next().is_some() }
    }
}
