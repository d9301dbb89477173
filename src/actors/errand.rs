//! An errand: work beside an actor, whose end always comes back as a message. A state machine that waits for
//! one must not wait for ever because the work died.

use std::future::Future;
use std::time::Duration;

use ractor::{ActorRef, Message};
use tokio::time::timeout;

use crate::telemetry::names;

/// Does `work` beside the actor and sends it the outcome. If the work panics, or takes longer than `within`, it is
/// given up, and `lost` is sent instead: whether something was done is then not known.
pub(super) fn send<M: Message>(
    actor: &ActorRef<M>,
    within: Duration,
    lost: M,
    work: impl Future<Output = M> + Send + 'static,
) {
    let errand = SupervisedTask::new(actor, lost);
    tokio::spawn(async move {
        match timeout(within, work).await {
            Ok(outcome) => errand.complete(outcome),
            Err(_) => give_up("took too long"),
        }
    });
}

fn give_up(why: &'static str) {
    metrics::counter!(names::ERRANDS_LOST_TOTAL).increment(1);
    tracing::error!("work beside an actor {why}; what it was for is tried again, or refused");
}

/// Reports its end when it is dropped, also by a panic.
pub(super) struct SupervisedTask<M: Message> {
    actor: ActorRef<M>,
    end: Option<M>,
}

impl<M: Message> SupervisedTask<M> {
    /// Background work; without an answer, `lost` is sent.
    pub(super) fn new(actor: &ActorRef<M>, lost: M) -> Self {
        Self { actor: actor.clone(), end: Some(lost) }
    }

    /// Sends this instead.
    pub(super) fn complete(mut self, outcome: M) {
        self.end = Some(outcome);
    }
}

impl<M: Message> Drop for SupervisedTask<M> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            give_up("panicked");
        }
        if let Some(end) = self.end.take() {
            drop(self.actor.cast(end));
        }
    }
}

#[cfg(test)]
mod tests {
    use ractor::{Actor, ActorProcessingErr};
    use tokio::sync::mpsc;

    use super::*;

    /// Forwards its outcome.
    struct Listener;

    impl Actor for Listener {
        type Msg = &'static str;
        type State = mpsc::Sender<&'static str>;
        type Arguments = mpsc::Sender<&'static str>;

        async fn pre_start(
            &self,
            _: ActorRef<&'static str>,
            told: Self::Arguments,
        ) -> Result<Self::State, ActorProcessingErr> {
            Ok(told)
        }

        async fn handle(
            &self,
            _: ActorRef<&'static str>,
            msg: &'static str,
            told: &mut Self::State,
        ) -> Result<(), ActorProcessingErr> {
            Ok(told.send(msg).await?)
        }
    }

    async fn check(work: impl Future<Output = &'static str> + Send + 'static, expected: &str) {
        let (sender, mut told) = mpsc::channel(2);
        let (actor, ended) = Actor::spawn(None, Listener, sender).await.unwrap();
        send(&actor, Duration::from_secs(20), "lost", work);
        assert_eq!(told.recv().await, Some(expected));
        actor.stop(None);
        ended.await.unwrap();
        assert_eq!(told.recv().await, None, "told once");
    }

    #[tokio::test(start_paused = true)]
    async fn every_errand_has_one_end() {
        check(async { "done" }, "done").await;
        check(async { panic!("on the way") }, "lost").await;
        check(std::future::pending(), "lost").await;
    }
}
