//! The supervisor: restarts pollers that die, and gives up when they keep dying.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::handle::BridgeParts;
use super::poller::{Poll, Poller};
use crate::telemetry::names;

/// Failures older than this are forgotten.
const FAILURES_WITHIN: Duration = Duration::from_secs(60);

/// What the supervisor looks after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Child {
    /// A poller: holds nothing that would be missed.
    Poller,
}

/// What the supervisor does about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// A new one, after a pause.
    After(Duration),
    /// Give up: the process must stop.
    Escalate,
}

/// What the supervisor does about the `failures`-th failure of a child within one minute, from 1.
#[must_use]
pub fn restart_policy(child: Child, failures: u32) -> Restart {
    let allowed = match child {
        Child::Poller => 5,
    };
    if failures <= allowed {
        Restart::After(Duration::from_millis(100 << failures.min(6)))
    } else {
        Restart::Escalate
    }
}

/// The behaviour.
pub(super) struct Supervisor;

/// The mail.
#[derive(Debug)]
pub(super) enum SupervisorMsg {
    /// Start the poller at this slot.
    Spawn { slot: usize },
    /// Stop all pollers between two steps, then yourself.
    Drain,
}

/// What to start with.
pub(super) struct SupervisorArgs {
    pub(super) parts: Arc<BridgeParts>,
    /// Cancelled when a poller cannot be kept alive.
    pub(super) given_up: CancellationToken,
}

/// The memory.
pub(super) struct SupervisorState {
    args: SupervisorArgs,
    slots: Vec<PollerSlot>,
    is_draining: bool,
}

/// One poller's slot, through all its restarts.
#[derive(Debug, Default)]
struct PollerSlot {
    poller: Option<ActorRef<Poll>>,
    failures: VecDeque<Instant>,
}

impl Actor for Supervisor {
    type Msg = SupervisorMsg;
    type State = SupervisorState;
    type Arguments = SupervisorArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<SupervisorMsg>,
        args: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let slots: Vec<PollerSlot> = (0..args.parts.pollers).map(|_| PollerSlot::default()).collect();
        for slot in 0..slots.len() {
            myself.send_message(SupervisorMsg::Spawn { slot })?;
        }
        Ok(SupervisorState { args, slots, is_draining: false })
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMsg>,
        msg: SupervisorMsg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match msg {
            SupervisorMsg::Spawn { slot } => state.spawn(&myself, slot).await,
            SupervisorMsg::Drain => state.drain(&myself),
        }
        Ok(())
    }

    /// The default would stop the supervisor with the first child that ends.
    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SupervisorMsg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(poller, _, reason) => {
                state.ended(&myself, poller.get_id(), &reason.unwrap_or_default());
            }
            SupervisionEvent::ActorFailed(poller, cause) => {
                state.ended(&myself, poller.get_id(), &cause.to_string());
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl SupervisorState {
    async fn spawn(&mut self, myself: &ActorRef<SupervisorMsg>, slot: usize) {
        if self.is_draining {
            return;
        }
        let parts = Arc::clone(&self.args.parts);
        match Actor::spawn_linked(None, Poller, parts, myself.get_cell()).await {
            Ok((poller, _)) => self.slots[slot].poller = Some(poller),
            Err(cause) => self.failed(myself, slot, &cause.to_string()),
        }
    }

    fn ended(&mut self, myself: &ActorRef<SupervisorMsg>, id: ActorId, cause: &str) {
        let is_it = |slot: &PollerSlot| slot.poller.as_ref().is_some_and(|poller| poller.get_id() == id);
        let Some(slot) = self.slots.iter().position(is_it) else { return };
        self.slots[slot].poller = None;
        if self.is_draining {
            self.stop_if_empty(myself);
        } else {
            self.failed(myself, slot, cause);
        }
    }

    fn failed(&mut self, myself: &ActorRef<SupervisorMsg>, slot: usize, cause: &str) {
        counter!(names::BRIDGE_POLLER_FAILURES_TOTAL).increment(1);
        match restart_policy(Child::Poller, self.slots[slot].count_failure(Instant::now())) {
            Restart::After(pause) => {
                warn!(poller = slot, cause, "a poller died, starting another");
                drop(myself.send_after(pause, move || SupervisorMsg::Spawn { slot }));
            }
            Restart::Escalate => {
                error!(poller = slot, cause, "a poller keeps dying, giving up");
                self.args.given_up.cancel();
            }
        }
    }

    fn drain(&mut self, myself: &ActorRef<SupervisorMsg>) {
        self.is_draining = true;
        for poller in self.slots.iter().filter_map(|slot| slot.poller.as_ref()) {
            poller.stop(None);
        }
        self.stop_if_empty(myself);
    }

    fn stop_if_empty(&self, myself: &ActorRef<SupervisorMsg>) {
        if self.slots.iter().all(|slot| slot.poller.is_none()) {
            myself.stop(None);
        }
    }
}

impl PollerSlot {
    /// Notes a failure; returns how many there were within [`FAILURES_WITHIN`], this one included.
    fn count_failure(&mut self, now: Instant) -> u32 {
        self.failures.push_back(now);
        self.failures.retain(|failure| now.duration_since(*failure) < FAILURES_WITHIN);
        u32::try_from(self.failures.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests;
