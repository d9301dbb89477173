//! The end of a seed: everything heals, the sweepers run, and what is left must be right.

use std::collections::{BTreeMap, BTreeSet};

use wharfinger::actors::Republish;
use wharfinger::domain::event::events_of;
use wharfinger::domain::file::{Reason, Status};
use wharfinger::domain::ids::{ObjectKey, UserId};
use wharfinger::ports::Stream;

use crate::node::source;
use crate::script::Sim;
use crate::world::{Crooked, State, Weather};

/// Longer than a reservation lives, its sweep included; two of them are longer than an orphan upload in chunks; in ms.
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
    if sim.is_well() {
        tell_again(sim);
    }
}

/// What the log has lost of EVENTS, an operator has published again out of the ledger (row 27).
fn tell_again(sim: &Sim) {
    let mut ranges: BTreeMap<UserId, (u64, u64)> = BTreeMap::new();
    for (user, version, _) in sim.shared.look().untold() {
        let (first, last) = ranges.entry(user).or_insert((version, version));
        (*first, *last) = (version.min(*first), version.max(*last));
    }
    let is_done = sim.shared.look().crooked != Crooked::LeavesGaps;
    for (user, (from, to)) in ranges.into_iter().filter(|_| is_done) {
        sim.nodes[0].republish(Republish { user, from, to: Some(to), is_dry_run: false });
    }
    let mut state = sim.shared.look();
    for (user, version, id) in state.untold() {
        let name = state.trace.name('u', user.uuid());
        state.broken(format_args!("I21: event {id} of {name} v{version} was lost and not told again"));
    }
}

impl State {
    fn check_ending(&mut self) {
        let users: Vec<_> = self.ledger.keys().copied().collect();
        for user in users {
            let account = self.ledger[&user].account.clone();
            let name = self.trace.name('u', user.uuid());
            if account.published != account.version {
                let (published, version) = (account.published, account.version);
                self.broken(format_args!("I21: {name} has v{version}, published {published}"));
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
        for (user, version, id) in self.untold() {
            if !self.streams[&Stream::Events].lost.contains(&id) {
                let name = self.trace.name('u', user.uuid());
                self.broken(format_args!("I21: event {id} of {name} v{version} is not in the log"));
            }
        }
        self.check_poison();
        self.check_objects();
        self.check_uploads();
        let known = self.history.known.clone();
        for key in known {
            if self.last_row(key.user, key.file).is_none() {
                let name = self.key_name(key);
                self.broken(format_args!("I7: {name} was acknowledged and is not there"));
            }
        }
    }

    /// Events that entries make and that are not in the log: whose, of which version, by which id.
    fn untold(&self) -> Vec<(UserId, u64, String)> {
        let log: BTreeSet<&str> =
            self.streams[&Stream::Events].records.values().map(|record| record.id.as_str()).collect();
        let source = source();
        let entries =
            self.ledger.iter().flat_map(|(user, of)| of.entries.values().map(|entry| (*user, entry)));
        let events = entries.flat_map(|(user, entry)| {
            events_of(&source, user, entry, None).into_iter().map(move |event| (user, event))
        });
        let ids = events.map(|(user, event)| (user, event.version, event.id.to_string()));
        ids.filter(|(_, _, id)| !log.contains(id.as_str())).collect()
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
