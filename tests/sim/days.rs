//! Faults that take days: trash past its retention, rows to forget, orphan objects. Some seeds sleep for
//! eight days before they end, with sweepers that are set for it.

use std::sync::Arc;
use std::time::Duration;

use wharfinger::actors::{Orphans, SweepOptions};
use wharfinger::domain::ids::{ObjectKey, UserId};
use wharfinger::domain::transitions::Removal;
use wharfinger::limits::{HISTORY_RETENTION, TRASH_RETENTION};
use wharfinger::ports::{Clock, ManualClock, Stream};

use crate::script::{ASKS, Sim};
use crate::world::{Crooked, Rng};

const HOUR: u64 = 3_600_000;
/// How long all sleep: longer than rows of gone files are kept, whatever the clocks say.
const SLEEP: u64 = (7 * 24 + 10) * HOUR;
/// How much of that the nodes' own timers see: enough for a sweep to come round.
const AWAKE: u64 = 20 * 60 * 1000;
/// Ids of files that nobody asked for count from here.
const STRAY_IDS: u64 = 1 << 60;

/// How a seed's sweepers are set, and what becomes of it late. Drawn apart from the rest of the seed.
#[derive(Debug)]
pub(crate) struct Days {
    rng: Rng,
    pub(crate) sweep: SweepOptions,
    /// After so many requests everybody sleeps.
    sleep_after: Option<u64>,
}

impl Days {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0xda75_0000_0000_0000);
        let (short, longer) = (Duration::from_secs(3 * 3600), Duration::from_secs(5 * 24 * 3600));
        let trash_retention = *rng.pick(&[short, short, longer, longer, TRASH_RETENTION]);
        let orphans = *rng.pick(&[Orphans::Remove, Orphans::Remove, Orphans::Report, Orphans::Off]);
        let sleep_after = rng.per_mille(350).then(|| rng.between(ASKS / 2, ASKS - 4));
        let history = *rng.pick(&[Some(short), Some(longer), Some(HISTORY_RETENTION), None]);
        let sweep = SweepOptions { trash_retention, orphans, history, ..SweepOptions::default() };
        Self { rng, sweep, sleep_after }
    }

    /// How the sweepers are set in fact.
    pub(crate) fn sweep_in(&self, crooked: Crooked) -> SweepOptions {
        let mut sweep = self.sweep;
        if crooked == Crooked::EndsTrashEarly {
            sweep.trash_retention = Duration::from_secs(60);
        } else if crooked == Crooked::RemovesStrays {
            sweep.orphans = Orphans::Remove;
        } else if crooked == Crooked::KeepsStrays {
            sweep.orphans = Orphans::Report;
        }
        sweep
    }
}

impl Sim {
    /// Everybody sleeps for eight days, if this is when; then sweeps run while all goes on as before.
    pub(crate) fn sleep_if_due(&mut self) {
        if self.days.sleep_after.is_none_or(|after| self.asks < after) {
            return;
        }
        self.days.sleep_after = None;
        self.trash_some();
        self.plant();
        self.leap_awake(SLEEP, AWAKE);
        self.plant();
        for node in &self.nodes {
            if self.days.rng.per_mille(500) {
                node.sweep();
            }
        }
        self.pass(5000, 250);
    }

    /// Now and then the log loses the end of EVENTS, most of it published and known to be.
    pub(crate) fn lose_events(&mut self) {
        if self.days.rng.per_mille(300) {
            let count = self.days.rng.between(1, 6);
            self.truncate(Stream::Events, count);
        }
    }

    /// Owners put some of their files into the trash.
    fn trash_some(&mut self) {
        let known = self.shared.look().history.known.clone();
        for _ in 0..3.min(known.len()) {
            let (key, node) = (*self.days.rng.pick(&known), self.days.rng.place(self.nodes.len()));
            self.nodes[node].ask(|client| client.remove(key, Removal::Trash));
        }
        self.pass(1000, 100);
    }

    /// Objects come into the bucket of which no row knows: of a user who has an account, and of one who has none.
    fn plant(&mut self) {
        let mut state = self.shared.look();
        let ids = STRAY_IDS + self.days.rng.below(1 << 32);
        let ids = Clock::Manual(Arc::new(ManualClock::new(state.time(), ids)));
        let stranger = UserId::from_subject("sim", "a stranger").unwrap();
        for user in [*self.days.rng.pick(&self.users), stranger] {
            state.plant(ObjectKey { user, file: ids.file_id() });
        }
    }
}
