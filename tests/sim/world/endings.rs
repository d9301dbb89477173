//! What may vanish, and when: trash after its retention, rows when their uploads have ended, history when it is old,
//! and orphan objects.

use wharfinger::actors::Orphans;
use wharfinger::domain::file::{File, Status};
use wharfinger::domain::ids::{FileId, ObjectKey, UserId};
use wharfinger::domain::time::Timestamp;
use wharfinger::limits::ORPHAN_AGE_MIN;
use wharfinger::ports::Stream;

use super::bucket::Object;
use super::checks::millis;
use super::state::State;

impl State {
    /// Counts what is to be seen before everything heals.
    pub(crate) fn reached(&mut self, what: &'static str) {
        if !self.is_healed {
            *self.reached.entry(what).or_default() += 1;
        }
    }

    /// By how much a wall clock may be off, in ms.
    pub(crate) const fn clock_off_max(&self) -> u64 {
        if self.clocks_are_sane { 25_000 } else { 3_600_000 }
    }

    /// 10: what counts is deleted because its owner wanted it, or because it was in the trash for long enough.
    pub(super) fn check_end(&mut self, key: ObjectKey, was: Status, since: u64) {
        if self.history.unwanted.contains(&key) {
            return;
        }
        let keeps = millis(self.sweep.trash_retention);
        let is_over = self.now + 2 * self.clock_off_max() >= since + keeps;
        if was == Status::Trashed && is_over {
            self.reached("trash ended");
        } else {
            let age = self.now.saturating_sub(since);
            self.broken(format_args!("I10: deleted unasked, {was:?} for {age} ms, the trash keeps {keeps}"));
        }
    }

    /// 4, 10 and 21: a row is forgotten when no upload of it can be running and its owner could see why it failed, and all
    /// its events are published.
    pub(super) fn check_forgotten(&mut self, user: UserId, file: FileId) {
        let seen = &self.ledger[&user].seen;
        let (Some(row), Some(last)) = (seen.forgotten.get(&file), seen.last.get(&file)) else {
            return self.broken(format_args!("I10: a row is forgotten that never was"));
        };
        let (status, version) = (row.status, last.version);
        let from = row.forgettable_from().map_or(u64::MAX, Timestamp::as_millis);
        let is_old = self.now + 2 * self.clock_off_max() >= from;
        let told = self.streams[&Stream::Events].told.get(&user).copied().unwrap_or(0);
        if !matches!(status, Status::Gone | Status::Expired) || !is_old {
            self.broken(format_args!("I10: a {status:?} row is forgotten, old enough: {is_old}"));
        } else if told < version {
            self.broken(format_args!("I21: a row is forgotten at v{version}, told is v{told}"));
        }
        self.reached("row forgotten");
    }

    /// 28: an entry is trimmed only when it is older than it is kept.
    pub(super) fn check_trimmed(&mut self, at: Timestamp) {
        let kept = self.sweep.history.map_or(u64::MAX / 2, millis);
        // The clocks of who wrote it, of who wrote one before it, and of who trims.
        if self.now + 3 * self.clock_off_max() < at.as_millis().saturating_add(kept) {
            self.broken(format_args!("I28: an entry of {at} is trimmed, and is to be kept {kept} ms"));
        }
        self.reached("history trimmed");
    }

    /// 10 and 17: in the end nothing is left whose time was over hours ago.
    pub(crate) fn check_overdue(&mut self, key: ObjectKey, status: Status) {
        let last = self.ledger.get(&key.user).and_then(|of| of.seen.last.get(&key.file)).copied();
        let over_at = match (status, last) {
            (Status::Trashed, Some(last)) => last.since + millis(self.sweep.trash_retention),
            (Status::Gone | Status::Expired, Some(_)) => {
                let from = self.file(key.user, key.file).and_then(File::forgettable_from);
                from.map_or(u64::MAX / 2, Timestamp::as_millis)
            }
            (Status::Pending | Status::Processed | Status::Deleting, _) | (_, None) => return,
        };
        if self.now > over_at + 2 * 3_600_000 + 2 * self.clock_off_max() {
            let name = self.key_name(key);
            self.broken(format_args!("I10: {name} is still {status:?}, and its time is over"));
        }
    }

    /// An object of which no row knows.
    pub(crate) fn plant(&mut self, key: ObjectKey) {
        let object = Object {
            size_bytes: 1,
            etag: String::new(),
            content_type: "text/plain".to_owned(),
            checksum_sha256: None,
            landed_at: self.now,
        };
        let name = self.key_name(key);
        self.note(format_args!("{name} is in the bucket, and nobody's"));
        self.history.planted.insert(key, self.now);
        self.land(key, object);
    }

    /// 15: what no row knows is removed only where that is wanted, and only when it is a day old.
    pub(super) fn check_orphan(&mut self, key: ObjectKey) {
        let Some(landed_at) = self.bucket.objects.get(&key.to_string()).map(|object| object.landed_at) else {
            return;
        };
        let is_old = self.now + self.clock_off_max() >= landed_at + millis(ORPHAN_AGE_MIN);
        if self.sweep.orphans == Orphans::Remove && is_old {
            self.reached("orphan removed");
        } else {
            let wish = self.sweep.orphans;
            self.broken(format_args!("I15: an object that is nobody's is removed, {wish:?}, old: {is_old}"));
        }
    }

    /// 17: in the end the bucket has the objects of the rows, and the orphans that were to stay.
    pub(crate) fn check_objects(&mut self) {
        let nobodys = |key: &ObjectKey| self.file(key.user, key.file).is_none();
        let keys = self.bucket.objects.keys().map(|key| ObjectKey::parse(key).unwrap());
        let strays: Vec<ObjectKey> = keys.filter(nobodys).collect();
        for (key, landed_at) in self.history.planted.clone() {
            let is_old = self.now >= landed_at + millis(ORPHAN_AGE_MIN);
            let stays = self.sweep.orphans != Orphans::Remove || !is_old;
            if strays.contains(&key) != stays {
                self.broken(format_args!("I17: {key} is nobody's, old: {is_old}, to stay: {stays}"));
            }
        }
        for key in strays {
            if !self.history.planted.contains_key(&key) {
                self.broken(format_args!("I17: {key} belongs to nobody"));
            }
        }
    }
}
