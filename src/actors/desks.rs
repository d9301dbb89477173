//! The way from a request to its answer: through the user's shard, with a deadline.

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::directory::Directory;
use super::handle::DeskError;
use super::shard::ShardMsg;
use super::ticket::{Answer, Ask, Move};
use crate::domain::ids::UserId;
use crate::limits::DESK_REPLY_WITHIN;

/// Asks desks. Cheap to clone.
#[derive(Clone)]
pub(super) struct Desks {
    directory: Directory,
    reply_within: Duration,
}

impl Desks {
    pub(super) const fn new(directory: Directory) -> Self {
        Self { directory, reply_within: DESK_REPLY_WITHIN }
    }

    /// Sends a request to its user's desk and waits for the answer. A request that ran out of time may
    /// still be carried out.
    pub(super) async fn ask<M: Move>(
        &self,
        user: UserId,
        request: M,
        slot: Option<OwnedSemaphorePermit>,
    ) -> Answer<M> {
        let (ticket, answer) = Ask::new(request, slot);
        if !self.directory.to_shard_of(user, ShardMsg::Ask { user, ticket }) {
            return Err(DeskError::Unavailable);
        }
        match timeout(self.reply_within, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(DeskError::Unavailable),
        }
    }
}
