//! The end of a seed: everything heals, the sweepers run, and what is left must be right.

use wharfinger::domain::file::{Reason, Status};
use wharfinger::domain::ids::ObjectKey;

use crate::script::Sim;
use crate::world::{State, Weather};

/// Longer than a reservation lives, its sweep included; two of them are longer than a stray upload in chunks; in ms.
const LONG: u64 = 50 * 60 * 1000;

/// Heals everything, lets time and sweeps pass, and holds what is left against invariants 8, 10, 17, 18 and 21.
pub(crate) fn settle(sim: &mut Sim) {
    {
        let mut state = sim.shared.look();
        state.weather = Weather::default();
        state.is_healed = true;
        state.note(format_args!("everything heals"));
        for watch in &mut state.watches {
            watch.skew = 0;
        }
        for node in &mut sim.nodes {
            node.away_until = node.away_until.min(state.now);
        }
    }
    for span in [LONG, LONG, LONG, 60_000] {
        sim.pass(3000, 250);
        sim.leap(span);
        for node in &sim.nodes {
            node.sweep();
        }
        sim.pass(3000, 100);
    }
    sim.pass(9000, 500);
    if sim.is_well() {
        sim.shared.look().check_ending();
    }
}

impl State {
    fn check_ending(&mut self) {
        let users: Vec<_> = self.ledger.keys().copied().collect();
        for user in users {
            let account = self.ledger[&user].account.clone();
            let told = self.streams[&wharfinger::ports::Stream::Events].told.get(&user).copied().unwrap_or(0);
            let name = self.trace.name('u', user.uuid());
            if account.published != account.version || told != account.version {
                let (published, version) = (account.published, account.version);
                self.broken(format_args!("I21: {name} has v{version}, published {published}, told {told}"));
            }
            let partition = &self.ledger[&user];
            let kept: Vec<_> = partition.files.values().cloned().collect();
            let forgotten: Vec<_> = partition.seen.forgotten.values().cloned().collect();
            for row in &kept {
                self.check_overdue(ObjectKey { user, file: row.file_id }, row.status);
            }
            for row in kept.iter().chain(&forgotten) {
                self.check_row(ObjectKey { user, file: row.file_id }, row.status, row.reason);
            }
        }
        self.check_objects();
        self.check_uploads();
        let known = self.history.known.clone();
        for key in known {
            let is_forgotten =
                self.ledger.get(&key.user).is_some_and(|of| of.seen.forgotten.contains_key(&key.file));
            if self.file(key.user, key.file).is_none() && !is_forgotten {
                let name = self.key_name(key);
                self.broken(format_args!("I7: {name} was acknowledged and is not there"));
            }
        }
    }

    /// 10, 17 and 18 of a row.
    fn check_row(&mut self, key: ObjectKey, status: Status, reason: Option<Reason>) {
        let name = self.key_name(key);
        if matches!(status, Status::Pending | Status::Deleting) {
            self.broken(format_args!("I18: {name} is still {status:?}"));
        }
        if self.history.deleted.contains_key(&key) && matches!(status, Status::Processed | Status::Trashed) {
            self.broken(format_args!("I10: {name} was deleted for good and is {status:?}"));
        }
        let is_there = self.bucket.objects.contains_key(&key.to_string());
        let should_be = matches!(status, Status::Processed | Status::Trashed);
        if is_there != should_be {
            self.broken(format_args!("I17: {name} is {status:?}, in the bucket: {is_there}"));
        }
        let was_uploaded = self.history.uploaded.contains(&key);
        let is_settled = match status {
            Status::Processed | Status::Trashed => true,
            Status::Pending | Status::Deleting | Status::Expired => false,
            Status::Gone => match reason {
                Some(Reason::User | Reason::Cancelled) => true,
                Some(Reason::Quota) => self.was_expired(key),
                Some(Reason::Size | Reason::Checksum | Reason::Type | Reason::Malware) | None => false,
            },
        };
        if was_uploaded && !is_settled {
            self.broken(format_args!("I18: {name} was uploaded and is {status:?} for {reason:?}"));
        }
    }
}
