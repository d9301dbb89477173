//! One seed: a deployment, its users, the weather, what happens to its nodes, and what must hold in the end.

use crate::fault_injection::Port as PortName;
use wharfinger::domain::account::AccountState;
use wharfinger::domain::decide::Rules;
use wharfinger::domain::ids::{ObjectKey, UserId};
use wharfinger::domain::transitions::Removal;
use wharfinger::limits::CHUNK_BYTES_MIN;
use wharfinger::ports::Stream;

use crate::days::Days;
use crate::ending;
use crate::node::{Deployment, Node};
use crate::panics;
use crate::report::Outcome;
use crate::world::{Crooked, Request, Rng, START, Shared, Weather};

/// Requests of clients in one seed.
pub(crate) const ASKS: u64 = 30;
/// What sizes and limits are multiples of, so that a file may have several chunks.
const UNIT: u64 = 1 << 20;

/// How a seed is run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct How {
    pub(crate) crooked: Crooked,
    /// Keep the whole trace.
    pub(crate) keeps_all: bool,
}

/// See the module.
pub(crate) struct Sim {
    pub(crate) seed: u64,
    pub(crate) shared: Shared,
    pub(crate) nodes: Vec<Node>,
    rng: Rng,
    pub(crate) users: Vec<UserId>,
    pub(crate) days: Days,
    /// How this seed's weather is when nothing particular happens.
    usual: Weather,
    /// What happens to nodes, of a thousand steps.
    trouble_per_mille: u64,
    pub(crate) asks: u64,
}

/// Runs a seed to its end, or to the first broken promise.
pub(crate) fn run(seed: u64, how: How) -> Outcome {
    panics::keep();
    drop(panics::take());
    let mut sim = Sim::new(seed, how);
    for node in &mut sim.nodes {
        node.start();
    }
    while sim.asks < ASKS && sim.is_well() {
        sim.step();
        sim.sleep_if_due();
    }
    if sim.is_well() {
        sim.lose_events();
        ending::settle(&mut sim);
    }
    sim.outcome()
}

impl Sim {
    fn new(seed: u64, how: How) -> Self {
        let mut rng = Rng::new(seed ^ 0x5eed_0000_0000_0000);
        let shared = Shared::new(seed);
        let quota_bytes_default = *rng.pick(&[20, 60, 60, 200]) * UNIT;
        let rules = Rules { quota_bytes_default, ..Rules::default() };
        let days = Days::new(seed);
        let deployment = Deployment { shards: *rng.pick(&[1, 2]), rules, sweep: days.sweep_in(how.crooked) };
        let (ill, trouble) = *rng.pick(&[(0, 0), (0, 60), (10, 30), (30, 60), (60, 100), (150, 100)]);
        let usual = Weather {
            ill_per_mille: ill,
            news_per_mille: ill * 2,
            is_slow: ill + trouble > 0,
            ..Weather::default()
        };
        {
            let mut state = shared.look();
            state.trace.keeps_all = how.keeps_all;
            state.crooked = how.crooked;
            state.limit_bytes_default = quota_bytes_default;
            state.sweep = days.sweep;
            state.weather = usual.clone();
            state.clocks_are_sane = !rng.per_mille(200);
            state.queue.shuffles = ill > 0;
        }
        let nodes = (0..*rng.pick(&[1, 1, 2, 2, 3])).map(|id| Node::new(&shared, id, deployment)).collect();
        let users =
            (0..rng.between(1, 3)).map(|n| UserId::from_subject("sim", &format!("{seed}-{n}")).unwrap());
        let users = users.collect();
        Self { seed, shared, nodes, rng, users, days, usual, trouble_per_mille: trouble, asks: 0 }
    }

    pub(crate) fn is_well(&self) -> bool {
        self.shared.look().violations.is_empty()
    }

    fn note(&self, what: std::fmt::Arguments<'_>) {
        self.shared.look().note(what);
    }

    /// Something happens, then time passes.
    fn step(&mut self) {
        if self.rng.per_mille(self.trouble_per_mille) {
            self.trouble();
        } else {
            for _ in 0..self.rng.between(1, 4) {
                self.ask();
            }
        }
        let (kind, short) = (self.rng.below(100), self.rng.between(1, 120));
        let (longer, long) = (self.rng.between(100, 3000), self.rng.between(3000, 12_000));
        let leap = self.rng.between(10_000, 600_000);
        match kind {
            0..55 => self.pass(short, 5),
            55..80 => self.pass(longer, 50),
            80..90 => self.pass(long, 250),
            90..97 => self.leap(leap),
            _ => self.leap(4 * leap),
        }
    }

    /// Lets time pass, in turns of at most so many ms, in any order of the nodes.
    pub(crate) fn pass(&mut self, ms: u64, turn_max: u64) {
        let until = self.shared.look().now + ms;
        while self.is_well() {
            let began = self.shared.look().now;
            let turn = turn_max.min(until.saturating_sub(began));
            if turn == 0 {
                return;
            }
            let mut order: Vec<usize> = (0..self.nodes.len()).collect();
            while !order.is_empty() {
                let id = order.remove(self.rng.place(order.len()));
                self.look_after(id);
                if began >= self.nodes[id].away_until {
                    self.nodes[id].turn(turn);
                }
            }
            let mut state = self.shared.look();
            state.now = state.now.max(began + turn);
            state.happen();
            for panic in panics::take() {
                state.broken(format_args!("a node panicked: {panic}"));
            }
        }
    }

    /// Brings a node up again, or lets it go on, when its time has come.
    fn look_after(&mut self, id: usize) {
        let now = self.shared.look().now;
        let node = &mut self.nodes[id];
        if now < node.away_until {
            return;
        }
        if node.gave_up() {
            self.shared.look().note(format_args!("n{id} gave up and is started again"));
            node.crash();
        }
        if !node.is_up() {
            self.shared.look().note(format_args!("n{id} starts"));
            node.start();
        } else if node.away_until > 0 {
            let was_away = self.frozen(id);
            let node = &mut self.nodes[id];
            node.wake_after(was_away);
        }
        self.nodes[id].away_until = 0;
    }

    /// For how long a frozen node has not run.
    fn frozen(&self, id: usize) -> u64 {
        let mut state = self.shared.look();
        let since = state.frozen_since.remove(&id).unwrap_or(state.now);
        let was_away = state.now.saturating_sub(since);
        state.note(format_args!("n{id} goes on after {was_away} ms"));
        was_away
    }

    /// Nothing happens anywhere for long, but that timers run out.
    pub(crate) fn leap(&mut self, ms: u64) {
        self.leap_awake(ms, ms);
    }

    /// As [`Sim::leap`], and the nodes' timers see only the last of it, as if all machines had slept.
    pub(crate) fn leap_awake(&mut self, ms: u64, awake: u64) {
        self.note(format_args!("{} s pass", ms / 1000));
        {
            let mut state = self.shared.look();
            let until = state.now + ms;
            while let Some(at) =
                state.coming.first_key_value().map(|((at, _), _)| *at).filter(|at| *at <= until)
            {
                state.now = state.now.max(at);
                state.happen();
            }
            state.now = until;
            for since in state.frozen_since.values_mut() {
                *since += ms - awake;
            }
        }
        for id in 0..self.nodes.len() {
            self.look_after(id);
            if self.nodes[id].away_until == 0 {
                self.nodes[id].wake_after(awake);
            }
        }
        self.pass(2000, 100);
    }

    fn user(&mut self) -> UserId {
        *self.rng.pick(&self.users)
    }

    fn known(&mut self) -> Option<ObjectKey> {
        let known = self.shared.look().history.known.clone();
        // Mostly a new one.
        let from = if self.rng.per_mille(700) { known.len().saturating_sub(5) } else { 0 };
        (!known.is_empty()).then(|| *self.rng.pick(&known[from..]))
    }

    /// A client asks something of some node.
    fn ask(&mut self) {
        self.asks += 1;
        let id = self.rng.place(self.nodes.len());
        if self.nodes[id].away_until > 0 {
            return;
        }
        let (kind, user, known) = (self.rng.below(100), self.user(), self.known());
        let (odd, bytes) = (self.rng.per_mille(500), self.rng.between(0, 150) * UNIT);
        let hangs_up = self.rng.per_mille(50).then(|| self.rng.between(1, 50));
        let request = match kind {
            0..35 => Some(self.new_request(user)),
            35..45 => self.old_request(),
            _ => None,
        };
        let node = &self.nodes[id];
        match (kind, known, request) {
            (0..45, _, Some(request)) => match hangs_up {
                Some(ms) => node.ask_for(ms, |client| Box::pin(client.presign(request))),
                None => node.ask(|client| client.presign(request)),
            },
            (45..55, Some(key), _) => node.ask(|client| client.complete(key)),
            (55..60, Some(key), _) => node.ask(|client| client.send_chunks(key)),
            (60..70, Some(key), _) => node.ask(|client| client.remove(key, Removal::Trash)),
            (70..82, Some(key), _) => node.ask(|client| client.remove(key, Removal::Permanent)),
            (82..89, Some(key), _) => node.ask(|client| client.restore(key)),
            (89..92, Some(key), _) => node.ask(|client| client.rename(key)),
            (92..95, _, _) => node.ask(|client| client.set_quota(user, odd.then_some(bytes))),
            (95..96, _, _) => node.ask(|client| client.set_state(user, AccountState::Suspended)),
            (96..98, _, _) => node.ask(|client| client.set_state(user, AccountState::Active)),
            (_, _, _) => node.ask(|client| client.list(user)),
        }
    }

    fn new_request(&mut self, user: UserId) -> u64 {
        let count = if self.rng.per_mille(150) { self.rng.between(2, 6) } else { 1 };
        let sizes = (0..count).map(|_| self.rng.between(1, 25) * UNIT).collect();
        let chunk_bytes = self.rng.per_mille(250).then_some(CHUNK_BYTES_MIN);
        let has_key = self.rng.per_mille(600);
        let mut state = self.shared.look();
        let id = u64::try_from(state.history.requests.len()).unwrap();
        let made_at = state.now;
        let request = Request { user, sizes, chunk_bytes, has_key, made_at, answered: None };
        state.history.requests.insert(id, request);
        id
    }

    /// A request that may be tried again.
    fn old_request(&mut self) -> Option<u64> {
        let state = self.shared.look();
        let day = 23 * 3_600_000;
        let may = |request: &Request| request.has_key && request.made_at + day > state.now;
        let old: Vec<u64> =
            state.history.requests.iter().filter(|(_, request)| may(request)).map(|(id, _)| *id).collect();
        drop(state);
        (!old.is_empty()).then(|| *self.rng.pick(&old[old.len().saturating_sub(6)..]))
    }

    /// Something happens to a node, or to what it depends on.
    fn trouble(&mut self) {
        let id = self.rng.place(self.nodes.len());
        let now = self.shared.look().now;
        match self.rng.below(100) {
            0..30 => {
                self.fault("node", "crash", format_args!("n{id} crashes"));
                self.nodes[id].crash();
                self.shared.look().frozen_since.remove(&id);
                self.nodes[id].away_until = now + self.rng.between(0, 30_000);
            }
            30..45 if self.nodes[id].away_until == 0 => {
                self.fault("node", "freeze", format_args!("n{id} freezes"));
                self.shared.look().frozen_since.insert(id, now);
                self.nodes[id].away_until = now + self.rng.between(100, 60_000);
            }
            45..55 if self.nodes[id].away_until == 0 => {
                self.fault("node", "stop", format_args!("n{id} stops"));
                self.nodes[id].stop();
            }
            55..70 => self.jump(id),
            70..85 => {
                let port = *self.rng.pick(&[
                    PortName::Ledger,
                    PortName::Log,
                    PortName::Queue,
                    PortName::Objects,
                    PortName::Signer,
                ]);
                let (until, says_so) = (now + self.rng.between(50, 40_000), self.rng.per_mille(500));
                self.fault("outage", port_word(port), format_args!("{port:?} is away, says so: {says_so}"));
                self.shared.look().weather.away.insert(port, (until, says_so));
            }
            85..92 => {
                let stream = *self.rng.pick(&[Stream::Ingest, Stream::Events]);
                let count = self.rng.between(1, 6);
                if self.rng.per_mille(300) {
                    self.fault(
                        "log",
                        "recreated",
                        format_args!("{} is deleted and made again", stream.name()),
                    );
                    self.shared.look().recreate(stream);
                } else {
                    self.truncate(stream, count);
                }
            }
            92..95 => self.nodes[id].sweep(),
            95 => {
                let until = now + self.rng.between(1_000, 900_000);
                self.fault("log", "dlq refuses", format_args!("the DLQ refuses everything"));
                let mut state = self.shared.look();
                state.weather.dlq_refuses_until = until;
                state.send_poison();
            }
            _ => self.shared.look().weather = self.usual.clone(),
        }
    }

    /// A stream loses its last records for good.
    pub(crate) fn truncate(&self, stream: Stream, count: u64) {
        self.fault("log", "truncated", format_args!("{} loses {count}", stream.name()));
        self.shared.look().truncate(stream, count);
    }

    fn fault(&self, what: &'static str, how: &'static str, line: std::fmt::Arguments<'_>) {
        let mut state = self.shared.look();
        *state.faults.entry((what, how)).or_default() += 1;
        state.note(line);
    }

    /// A node's wall clock jumps: a little, or (where clocks are not sane) by up to an hour.
    fn jump(&mut self, id: usize) {
        let bound = self.shared.look().clock_off_max();
        let skew = i64::try_from(self.rng.between(0, 2 * bound)).unwrap() - i64::try_from(bound).unwrap();
        self.fault("clock", "jump", format_args!("n{id} has its clock off by {skew} ms"));
        self.shared.look().watches[id].skew = skew;
    }

    fn outcome(self) -> Outcome {
        let state = self.shared.look();
        Outcome {
            seed: self.seed,
            violations: state.violations.clone(),
            tail: state.trace.tail(),
            trace: state.trace.all.clone(),
            lines: state.trace.lines,
            simulated_ms: state.now - START,
            asks: self.asks,
            calls: state.calls,
            commits: state.commits,
            faults: state.faults.clone(),
            answers: state.history.answers.clone(),
            reached: state.reached.clone(),
        }
    }
}

const fn port_word(port: PortName) -> &'static str {
    match port {
        PortName::Ledger => "ledger",
        PortName::Log => "log",
        PortName::Queue => "queue",
        PortName::Objects => "objects",
        PortName::Signer => "signer",
    }
}
