//! A poller: an actor that steps a forwarder for as long as it lives, at a pace of its own.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::forwarder::Forwarder;
use super::handle::BridgeParts;
use super::pace::Pace;

/// The behaviour.
pub(super) struct Poller;

/// "Take the next step."
#[derive(Debug)]
pub(super) struct Poll;

/// The memory: nothing that would be missed.
pub(super) struct PollerState {
    parts: Arc<BridgeParts>,
    forwarder: Forwarder,
    pace: Pace,
}

impl Actor for Poller {
    type Msg = Poll;
    type State = PollerState;
    type Arguments = Arc<BridgeParts>;

    async fn pre_start(
        &self,
        _myself: ActorRef<Poll>,
        parts: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let forwarder = Forwarder::new(Arc::clone(&parts));
        Ok(PollerState { parts, forwarder, pace: Pace::default() })
    }

    async fn post_start(
        &self,
        myself: ActorRef<Poll>,
        _state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        Ok(myself.send_message(Poll)?)
    }

    /// A stop takes effect between two steps: a receive under way is waited for, never cancelled.
    async fn handle(
        &self,
        myself: ActorRef<Poll>,
        Poll: Poll,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let progress = state.forwarder.step().await;
        let pause = state.pace.next(progress, state.parts.clock.chance());
        if pause.is_zero() {
            myself.send_message(Poll)?;
        } else {
            drop(myself.send_after(pause, || Poll));
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<Poll>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        state.forwarder.finish().await;
        Ok(())
    }
}
