//! The supervisor: starts the tree, and starts again what fails.

use std::collections::HashMap;
use std::time::Duration;

use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::directory::LANES;
use super::feed::{FeedActor, FeedParts};
use super::publisher::{LaneActor, LaneParts};
use super::remover::{RemoverActor, RemoverParts};
use super::restart_policy::{ActorKind, RestartDecision, restart_policy};
use super::shard::{ShardActor, ShardParts};
use super::sweeper::{SweeperActor, SweeperParts};
use super::trimmer::{TrimmerActor, TrimmerParts};
use crate::domain::shard::ShardId;
use crate::telemetry::names;

/// Failures older than this do not count.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);

/// Which child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ChildRole {
    Shard(ShardId),
    Feed(ShardId),
    Lane(usize),
    Remover,
    Sweeper,
    Trimmer,
}

impl ChildRole {
    const fn child(self) -> ActorKind {
        match self {
            Self::Shard(_) => ActorKind::Shard,
            Self::Feed(_) => ActorKind::Feed,
            Self::Lane(_) => ActorKind::Lane,
            Self::Remover => ActorKind::Remover,
            Self::Sweeper => ActorKind::Sweeper,
            Self::Trimmer => ActorKind::Trimmer,
        }
    }

    /// Whether it brings work in, so that it stops first.
    const fn is_intake(self) -> bool {
        matches!(self, Self::Feed(_) | Self::Sweeper)
    }
}

/// What the supervisor gets.
pub(super) enum SupervisorMsg {
    /// Start this child (again).
    Start(ChildRole),
    /// Stop what brings work in.
    StopIntake,
}

/// What every child works with.
pub(super) struct TreeParts {
    pub(super) shard: ShardParts,
    pub(super) feed: FeedParts,
    pub(super) lane: LaneParts,
    pub(super) remover: RemoverParts,
    pub(super) sweeper: SweeperParts,
    pub(super) trimmer: TrimmerParts,
    /// Cancelled when the tree gives up.
    pub(super) gave_up: CancellationToken,
}

/// The supervisor's behaviour.
pub(super) struct SupervisorActor;

/// The supervisor's memory.
pub(super) struct SupervisorState {
    parts: TreeParts,
    children: HashMap<ActorId, ChildRole>,
    failures: HashMap<ChildRole, Vec<Instant>>,
    is_stopping: bool,
}

impl Actor for SupervisorActor {
    type Msg = SupervisorMsg;
    type State = SupervisorState;
    type Arguments = TreeParts;

    async fn pre_start(
        &self,
        myself: ActorRef<SupervisorMsg>,
        parts: TreeParts,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        let mut state =
            SupervisorState { parts, children: HashMap::new(), failures: HashMap::new(), is_stopping: false };
        let shards: Vec<ShardId> = state.parts.lane.directory.count().all().collect();
        let lanes = (0..LANES).map(ChildRole::Lane);
        let desks = shards.iter().copied().map(ChildRole::Shard);
        let feeds = shards.iter().copied().map(ChildRole::Feed);
        // What takes work stands before what brings it.
        for role in lanes
            .chain([ChildRole::Remover])
            .chain(desks)
            .chain(feeds)
            .chain([ChildRole::Sweeper, ChildRole::Trimmer])
        {
            state.start(&myself, role).await?;
        }
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMsg>,
        msg: SupervisorMsg,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match msg {
            SupervisorMsg::Start(role) => state.start(&myself, role).await?,
            SupervisorMsg::StopIntake => state.stop_intake(&myself),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SupervisorMsg>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(who, error) => state.failed(&myself, &who, &error.to_string()),
            SupervisionEvent::ActorTerminated(who, _, _) => {
                state.children.remove(&who.get_id());
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl SupervisorState {
    async fn start(&mut self, myself: &ActorRef<SupervisorMsg>, role: ChildRole) -> Result<(), SpawnErr> {
        if self.is_stopping && role.is_intake() {
            return Ok(());
        }
        let me = myself.get_cell();
        let id = match role {
            ChildRole::Shard(shard) => {
                let actor = spawn(ShardActor { shard }, self.parts.shard.clone(), me).await?;
                self.parts.lane.directory.set_shard(shard, actor.clone());
                actor.get_id()
            }
            ChildRole::Feed(shard) => spawn(FeedActor { shard }, self.parts.feed.clone(), me).await?.get_id(),
            ChildRole::Lane(lane) => {
                let actor = spawn(LaneActor, self.parts.lane.clone(), me).await?;
                self.parts.lane.directory.set_lane(lane, actor.clone());
                actor.get_id()
            }
            ChildRole::Remover => {
                let actor = spawn(RemoverActor, self.parts.remover.clone(), me).await?;
                self.parts.lane.directory.set_remover(actor.clone());
                actor.get_id()
            }
            ChildRole::Sweeper => {
                let actor = spawn(SweeperActor, self.parts.sweeper.clone(), me).await?;
                self.parts.lane.directory.set_sweeper(actor.clone());
                actor.get_id()
            }
            ChildRole::Trimmer => spawn(TrimmerActor, self.parts.trimmer.clone(), me).await?.get_id(),
        };
        self.children.insert(id, role);
        Ok(())
    }

    fn failed(&mut self, myself: &ActorRef<SupervisorMsg>, who: &ActorCell, error: &str) {
        let Some(role) = self.children.remove(&who.get_id()) else { return };
        let now = Instant::now();
        let failures = self.failures.entry(role).or_default();
        failures.retain(|at| now.duration_since(*at) < FORGIVEN_AFTER);
        failures.push(now);
        let count = u32::try_from(failures.len()).unwrap_or(u32::MAX);
        metrics::counter!(names::ACTOR_RESTARTS_TOTAL, "child" => role.child().as_str()).increment(1);
        match restart_policy(role.child(), count) {
            RestartDecision::Restart { after } => {
                tracing::error!(?role, failures = count, "an actor failed and is started again: {error}");
                drop(myself.send_after(after, move || SupervisorMsg::Start(role)));
            }
            RestartDecision::Escalate => {
                tracing::error!(?role, failures = count, "an actor keeps failing; the process ends: {error}");
                self.parts.gave_up.cancel();
            }
        }
    }

    fn stop_intake(&mut self, myself: &ActorRef<SupervisorMsg>) {
        self.is_stopping = true;
        for child in myself.get_children() {
            if self.children.get(&child.get_id()).is_some_and(|role| role.is_intake()) {
                child.stop(Some("draining".to_owned()));
            }
        }
    }
}

/// Starts a child without a name: names are one registry per process, and simulated nodes share it.
async fn spawn<A: Actor>(actor: A, parts: A::Arguments, me: ActorCell) -> Result<ActorRef<A::Msg>, SpawnErr> {
    Actor::spawn_linked(None, actor, parts, me).await.map(|(actor, _)| actor)
}
