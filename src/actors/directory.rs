//! Who is who at the moment: the actor behind each shard and each publisher lane. Restarts change it.

use std::sync::{Arc, PoisonError, RwLock};

use ractor::ActorRef;

use super::publisher::LaneMsg;
use super::remover::RemoverMsg;
use super::shard::ShardMsg;
use super::sweeper::SweeperMsg;
use crate::domain::ids::UserId;
use crate::domain::shard::{ShardCount, ShardId};

/// Lanes of the publisher. A user's entries always take the same lane.
pub(super) const LANES: usize = 8;

type Slot<M> = RwLock<Option<ActorRef<M>>>;

/// The actors that others send to. Cheap to clone.
#[derive(Clone)]
pub(super) struct ActorRegistry(Arc<Slots>);

struct Slots {
    count: ShardCount,
    shards: Vec<Slot<ShardMsg>>,
    lanes: Vec<Slot<LaneMsg>>,
    remover: Slot<RemoverMsg>,
    sweeper: Slot<SweeperMsg>,
}

impl ActorRegistry {
    /// A directory in which nobody stands yet.
    pub(super) fn new(count: ShardCount) -> Self {
        let shards = count.all().map(|_| Slot::default()).collect();
        let lanes = (0..LANES).map(|_| Slot::default()).collect();
        Self(Arc::new(Slots { count, shards, lanes, remover: Slot::default(), sweeper: Slot::default() }))
    }

    /// How many shards there are.
    pub(super) fn count(&self) -> ShardCount {
        self.0.count
    }

    /// Sends to the shard of a user. Returns whether there is one to send to.
    pub(super) fn to_shard_of(&self, user: UserId, msg: ShardMsg) -> bool {
        send(&self.0.shards[self.0.count.shard_of(user).index()], msg)
    }

    /// Sends to the lane of a user. Returns whether there is one to send to.
    pub(super) fn to_lane_of(&self, user: UserId, msg: LaneMsg) -> bool {
        send(&self.0.lanes[self.0.count.shard_of(user).index() % LANES], msg)
    }

    /// Sends to the remover. Returns whether there is one to send to.
    pub(super) fn to_remover(&self, msg: RemoverMsg) -> bool {
        send(&self.0.remover, msg)
    }

    /// Sends to the sweeper. Returns whether there is one to send to.
    pub(super) fn to_sweeper(&self, msg: SweeperMsg) -> bool {
        send(&self.0.sweeper, msg)
    }

    /// From now on this actor is the shard.
    pub(super) fn set_shard(&self, shard: ShardId, actor: ActorRef<ShardMsg>) {
        set(&self.0.shards[shard.index()], actor);
    }

    /// From now on this actor is the lane.
    pub(super) fn set_lane(&self, lane: usize, actor: ActorRef<LaneMsg>) {
        set(&self.0.lanes[lane], actor);
    }

    /// From now on this actor is the remover.
    pub(super) fn set_remover(&self, actor: ActorRef<RemoverMsg>) {
        set(&self.0.remover, actor);
    }

    /// From now on this actor is the sweeper.
    pub(super) fn set_sweeper(&self, actor: ActorRef<SweeperMsg>) {
        set(&self.0.sweeper, actor);
    }
}

fn set<M>(slot: &Slot<M>, actor: ActorRef<M>) {
    *slot.write().unwrap_or_else(PoisonError::into_inner) = Some(actor);
}

fn send<M: ractor::Message>(slot: &Slot<M>, msg: M) -> bool {
    let slot = slot.read().unwrap_or_else(PoisonError::into_inner);
    slot.as_ref().is_some_and(|actor| actor.cast(msg).is_ok())
}
