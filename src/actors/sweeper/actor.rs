//! The actor: starts passes when it is time or on request, one of each kind at a time.
//!
//! A pass runs beside the actor. It only reads, asks desks and sends messages, so it can be cut off anywhere.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::tools::{SweepTools, SweeperParts};
use super::{deep, due};
use crate::actors::errand;
use crate::domain::time::Timestamp;
use crate::limits::SWEEP_EVERY;
use crate::telemetry::names;

/// How long one pass may take.
const DUE_WITHIN: Duration = Duration::from_secs(3600);
const DEEP_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// Callers that wait for the end of a sweep: the last drop of these wakes them.
type Done = Arc<oneshot::Sender<()>>;

/// What the sweeper gets.
pub(in crate::actors) enum SweeperMsg {
    /// Time for what comes by itself.
    Tick,
    /// A caller wants a whole sweep from now on; `done` is dropped at its end.
    Everything { done: oneshot::Sender<()> },
    /// A pass ended.
    Ended(Pass),
    /// A pass panicked, took too long, or could not go on without the ledger.
    Lost(Pass),
    /// The pause after that is over.
    Again(Pass),
}

/// A kind of pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::actors) enum Pass {
    /// What is due.
    Due,
    /// Everything.
    Deep,
}

/// The sweeper's behaviour.
pub(in crate::actors) struct SweeperActor;

/// The sweeper's memory.
pub(in crate::actors) struct SweeperState {
    parts: SweeperParts,
    due: Turns,
    deep: Turns,
    deep_at: Option<Timestamp>,
    /// Ends the passes with the actor.
    stop: CancellationToken,
    _stops: DropGuard,
}

/// Who waits for which run of one kind of pass.
#[derive(Default)]
struct Turns {
    is_running: bool,
    /// Asked for while one was running: the next run is theirs.
    waiting: Vec<Done>,
    /// The running one is theirs.
    served: Vec<Done>,
    /// Runs in a row that were lost.
    losses: u32,
}

impl Actor for SweeperActor {
    type Msg = SweeperMsg;
    type State = SweeperState;
    type Arguments = SweeperParts;

    async fn pre_start(
        &self,
        myself: ActorRef<SweeperMsg>,
        parts: SweeperParts,
    ) -> Result<SweeperState, ActorProcessingErr> {
        drop(myself.cast(SweeperMsg::Tick));
        myself.send_interval(SWEEP_EVERY, || SweeperMsg::Tick);
        let stop = CancellationToken::new();
        let _stops = stop.clone().drop_guard();
        Ok(SweeperState { parts, due: Turns::default(), deep: Turns::default(), deep_at: None, stop, _stops })
    }

    async fn handle(
        &self,
        myself: ActorRef<SweeperMsg>,
        msg: SweeperMsg,
        state: &mut SweeperState,
    ) -> Result<(), ActorProcessingErr> {
        match msg {
            SweeperMsg::Tick => state.tick(&myself),
            SweeperMsg::Everything { done } => state.everything(&myself, &Arc::new(done)),
            SweeperMsg::Ended(pass) => state.ended(&myself, pass),
            SweeperMsg::Lost(pass) => state.lost(&myself, pass),
            SweeperMsg::Again(pass) => state.start(&myself, pass),
        }
        Ok(())
    }
}

impl SweeperState {
    fn tick(&mut self, myself: &ActorRef<SweeperMsg>) {
        self.start(myself, Pass::Due);
        let now = self.parts.clock.now();
        let deep_every = self.parts.options.deep_every;
        if self.deep_at.is_none_or(|at| now.since(at) >= deep_every) {
            self.start(myself, Pass::Deep);
        }
    }

    fn everything(&mut self, myself: &ActorRef<SweeperMsg>, done: &Done) {
        for pass in [Pass::Due, Pass::Deep] {
            self.turns(pass).waiting.push(Arc::clone(done));
            self.start(myself, pass);
        }
    }

    fn ended(&mut self, myself: &ActorRef<SweeperMsg>, pass: Pass) {
        self.turns(pass).losses = 0;
        self.next(myself, pass);
    }

    /// A pass was lost by a bug, and only what it was at, or broke off. Another goes on, after a growing pause.
    fn lost(&mut self, myself: &ActorRef<SweeperMsg>, pass: Pass) {
        let turns = self.turns(pass);
        turns.losses = turns.losses.saturating_add(1);
        let pause = Duration::from_secs(1 << turns.losses.min(10)).min(SWEEP_EVERY);
        myself.send_after(pause, move || SweeperMsg::Again(pass));
        self.next(myself, pass);
    }

    fn next(&mut self, myself: &ActorRef<SweeperMsg>, pass: Pass) {
        let turns = self.turns(pass);
        turns.is_running = false;
        turns.served.clear();
        if !turns.waiting.is_empty() {
            self.start(myself, pass);
        }
    }

    const fn turns(&mut self, pass: Pass) -> &mut Turns {
        match pass {
            Pass::Due => &mut self.due,
            Pass::Deep => &mut self.deep,
        }
    }

    /// Starts a pass, unless one of its kind is running.
    fn start(&mut self, myself: &ActorRef<SweeperMsg>, pass: Pass) {
        let turns = self.turns(pass);
        if turns.is_running {
            return;
        }
        turns.is_running = true;
        turns.served = std::mem::take(&mut turns.waiting);
        let within = match pass {
            Pass::Due => DUE_WITHIN,
            Pass::Deep => {
                self.deep_at = Some(self.parts.clock.now());
                DEEP_WITHIN
            }
        };
        let (tools, stop) = (SweepTools::new(self.parts.clone()), self.stop.clone());
        errand::send(myself, within, SweeperMsg::Lost(pass), async move {
            match stop.run_until_cancelled(run(pass, tools)).await {
                Some(false) => SweeperMsg::Lost(pass),
                Some(true) | None => SweeperMsg::Ended(pass),
            }
        });
    }
}

/// Says whether another should not wait until it is time.
async fn run(pass: Pass, tools: SweepTools) -> bool {
    let started = Instant::now();
    let (label, is_done) = match pass {
        Pass::Due => ("due", due::pass(tools).await),
        Pass::Deep => {
            deep::pass(tools).await;
            ("deep", true)
        }
    };
    metrics::histogram!(names::SWEEP_SECONDS, "pass" => label).record(started.elapsed());
    is_done
}
