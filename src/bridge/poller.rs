//! A poller: an actor that steps a forwarder for as long as it lives, at a pace of its own.

use std::marker::PhantomData;
use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::forwarder::Forwarder;
use super::handle::BridgeParts;
use super::pace::Pace;
use crate::ports::{LogPort, QueuePort};

/// The behaviour.
pub(super) struct Poller<Q, L>(PhantomData<fn() -> (Q, L)>);

/// "Take the next step."
#[derive(Debug)]
pub(super) struct Poll;

/// The memory: nothing that would be missed.
pub(super) struct PollerState<Q, L> {
    parts: Arc<BridgeParts<Q, L>>,
    forwarder: Forwarder<Q, L>,
    pace: Pace,
}

impl<Q, L> Default for Poller<Q, L> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<Q: QueuePort + 'static, L: LogPort + 'static> Actor for Poller<Q, L> {
    type Msg = Poll;
    type State = PollerState<Q, L>;
    type Arguments = Arc<BridgeParts<Q, L>>;

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
