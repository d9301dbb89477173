//! The way from a request to its answer: through the user's shard, with a deadline.

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::directory::ActorRegistry;
use super::handle::DeskError;
use super::moment::DualClockInstant;
use super::shard::ShardMsg;
use super::ticket::{Answer, Command, TypedCommand};
use crate::domain::ids::UserId;
use crate::limits::{DESK_REPLY_WITHIN, TICKET_AGE_MAX};
use crate::ports::Clock;

/// Asks desks. Cheap to clone.
#[derive(Clone)]
pub(super) struct Desks {
    directory: ActorRegistry,
    clock: Clock,
}

impl Desks {
    pub(super) const fn new(directory: ActorRegistry, clock: Clock) -> Self {
        Self { directory, clock }
    }

    /// Sends a request to its user's desk and waits for the answer. A request that ran out of time may
    /// still be carried out.
    pub(super) async fn ask<M: Command>(
        &self,
        user: UserId,
        request: M,
        slot: Option<OwnedSemaphorePermit>,
    ) -> Answer<M> {
        self.ask_since(user, request, slot, self.moment()).await
    }

    /// The time of the requests.
    pub(super) fn moment(&self) -> DualClockInstant {
        DualClockInstant::at(self.clock.now())
    }

    /// The same for a request whose caller waits since `asked`.
    pub(super) async fn ask_since<M: Command>(
        &self,
        user: UserId,
        request: M,
        slot: Option<OwnedSemaphorePermit>,
        asked: DualClockInstant,
    ) -> Answer<M> {
        let (ticket, answer) = TypedCommand::new(request, asked, slot);
        if !self.directory.to_shard_of(user, ShardMsg::Command { user, ticket }) {
            return Err(DeskError::Unavailable);
        }
        match timeout(DESK_REPLY_WITHIN, answer).await {
            // After a sleep of the machine the answer may be there before the timer: what it promises may be over.
            Ok(Ok(Ok(_))) if asked.is_past(TICKET_AGE_MAX, self.clock.now()) => Err(DeskError::Unavailable),
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(DeskError::Unavailable),
        }
    }
}
