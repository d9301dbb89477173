//! The state of the world, and who may touch it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::fault_injection::Op;
use tokio::sync::Notify;
use tokio::time::Instant;
use wharfinger::actors::SweepOptions;
use wharfinger::domain::ids::{ObjectKey, UserId};
use wharfinger::domain::time::Timestamp;
use wharfinger::ports::{ManualClock, Stream};

use super::bucket::Bucket;
use super::coming::Coming;
use super::fate::{Crooked, Fate, Way, Weather, word_of};
use super::history::History;
use super::ledger::Partition;
use super::queue::QueueState;
use super::rng::Rng;
use super::stream::StreamState;
use super::trace::Trace;

/// The bucket's name.
pub(crate) const BUCKET: &str = "wharf";
/// When every simulation begins.
pub(crate) const START: u64 = 1_800_000_000_000;

/// One node's clocks: the wall's, and how long its own has run since the driver looked.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) clock: Arc<ManualClock>,
    /// How far its wall clock is off, in ms.
    pub(crate) skew: i64,
    /// The node's monotonic clock when its turn began.
    pub(crate) since: Option<Instant>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct State {
    /// True time in ms since 1970; never goes back.
    pub(crate) now: u64,
    /// True time when the turn of a node began.
    pub(crate) turn_began: u64,
    pub(crate) watches: Vec<Watch>,
    pub(crate) rng: Rng,
    pub(crate) weather: Weather,
    pub(crate) crooked: Crooked,
    /// Wall clocks are never off by more than they may be.
    pub(crate) clocks_are_sane: bool,
    /// What users may store that no admin gave a limit of their own.
    pub(crate) limit_bytes_default: u64,
    /// How the sweepers of all nodes are set.
    pub(crate) sweep: SweepOptions,
    pub(crate) is_healed: bool,
    pub(crate) ledger: BTreeMap<UserId, Partition>,
    pub(crate) bucket: Bucket,
    pub(crate) streams: BTreeMap<Stream, StreamState>,
    pub(crate) queue: QueueState,
    pub(crate) history: History,
    pub(crate) coming: BTreeMap<(u64, u64), Coming>,
    pub(crate) comings: u64,
    pub(crate) trace: Trace,
    pub(crate) faults: BTreeMap<(&'static str, &'static str), u64>,
    /// Situations that only some seeds reach, and how often.
    pub(crate) reached: BTreeMap<&'static str, u64>,
    pub(crate) calls: u64,
    pub(crate) commits: u64,
    pub(crate) violations: Vec<String>,
    pub(crate) frozen_since: BTreeMap<usize, u64>,
    pub(crate) bells: BTreeMap<Option<Stream>, Arc<Notify>>,
}

/// The world as nodes, clients and the driver share it.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub(crate) fn new(seed: u64) -> Self {
        let bells = [None, Some(Stream::Ingest), Some(Stream::Events), Some(Stream::Dlq)];
        Self(Arc::new(Mutex::new(State {
            now: START,
            turn_began: START,
            watches: Vec::new(),
            rng: Rng::new(seed),
            weather: Weather::default(),
            crooked: Crooked::default(),
            clocks_are_sane: true,
            limit_bytes_default: 0,
            sweep: SweepOptions::default(),
            is_healed: false,
            ledger: BTreeMap::new(),
            bucket: Bucket::default(),
            streams: Stream::ALL.map(|stream| (stream, StreamState::default())).into(),
            queue: QueueState::default(),
            history: History::default(),
            coming: BTreeMap::new(),
            comings: 0,
            trace: Trace::default(),
            faults: BTreeMap::new(),
            reached: BTreeMap::new(),
            calls: 0,
            commits: 0,
            violations: Vec::new(),
            frozen_since: BTreeMap::new(),
            bells: bells.map(|of| (of, Arc::default())).into(),
        })))
    }

    /// The present state.
    pub(crate) fn look(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, for this node: time has gone on, and what was due has happened.
    pub(crate) fn enter(&self, node: usize) -> MutexGuard<'_, State> {
        let mut state = self.look();
        if let Some(since) = state.watches[node].since {
            let ran = u64::try_from(since.elapsed().as_millis()).unwrap();
            state.now = state.now.max(state.turn_began + ran);
        }
        state.happen();
        state.set_watch(node);
        state
    }
}

impl State {
    /// Brings a node's wall clock up to date.
    pub(crate) fn set_watch(&mut self, node: usize) {
        let watch = &self.watches[node];
        watch.clock.set(Timestamp::from_millis(self.now.saturating_add_signed(watch.skew)));
    }

    /// A node's turn begins.
    pub(crate) fn begin_turn(&mut self, node: usize) {
        self.turn_began = self.now;
        self.watches[node].since = Some(Instant::now());
        self.happen();
        self.set_watch(node);
    }

    pub(crate) fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    pub(crate) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.trace.note(self.now - START, what);
    }

    /// A promise was broken.
    pub(crate) fn broken(&mut self, what: fmt::Arguments<'_>) {
        self.note(format_args!("BROKEN {what}"));
        self.violations.push(what.to_string());
    }

    /// Decides how a call goes, and counts it.
    pub(crate) fn fate(&mut self, node: usize, op: Op) -> Fate {
        self.calls += 1;
        let fate = self.weather.fate(op, self.now, &mut self.rng);
        if fate.way != Way::Fine {
            *self.faults.entry((word_of(op), fate.way.word())).or_default() += 1;
            self.note(format_args!("n{node} {op:?} goes {}", fate.way.word()));
        }
        fate
    }

    pub(crate) fn key_name(&mut self, key: ObjectKey) -> String {
        let user = self.trace.name('u', key.user.uuid());
        let file = self.trace.name('f', key.file.uuid());
        format!("{user}/{file}")
    }

    pub(crate) fn bell(&self, of: Option<Stream>) -> Arc<Notify> {
        Arc::clone(&self.bells[&of])
    }
}
