//! A durable consumer's reader.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::port::log_error;
use super::progress::{ConsumerProgress, Handed};
use super::select::{Selector, fetch};
use super::shared::{SharedProgress, locked};
use super::subject::{Filter, is_name};
use crate::adapters::embedded::EmbeddedStore;
use crate::adapters::embedded::store::{Job, ReadError};
use crate::ports::{AckToken, ConsumerPort, ConsumerSpec, LogDelivery, LogError};

/// A durable consumer's reader on the embedded log. Readers of the same name share its progress.
#[derive(Debug)]
pub struct EmbeddedConsumer {
    store: EmbeddedStore,
    selector: Selector,
    progress: SharedProgress,
    bell: Arc<Notify>,
}

/// The result of one look.
enum Taken {
    Some(Vec<LogDelivery>),
    /// Nothing yet, but there is more to look at.
    NotYet,
    /// Nothing; something that is open will be due again after this long.
    Nothing(Option<Duration>),
}

impl EmbeddedConsumer {
    pub(super) fn open(store: &EmbeddedStore, spec: ConsumerSpec) -> Result<Self, LogError> {
        if !is_name(&spec.name) {
            return Err(LogError { reason: format!("not a consumer's name: {:?}", spec.name) });
        }
        let asked = Filter::parse(&spec.filter).map_err(|error| LogError { reason: error.to_string() })?;
        let shared = store.shared();
        let make = || ConsumerProgress::new(asked.as_str().to_owned());
        let progress =
            shared.log.consumer(spec.stream, &spec.name, &shared.tables, make).map_err(log_error)?;
        let filter = {
            let mut progress = locked(&progress);
            progress.configure(spec.ack_wait, spec.ack_pending_max);
            Filter::parse(progress.filter()).map_err(|error| LogError { reason: error.to_string() })?
        };
        let bell = shared.log.bell(spec.stream, filter.index(spec.stream));
        let selector = Selector { stream: spec.stream, filter };
        Ok(Self { store: store.clone(), selector, progress, bell })
    }

    /// Takes what is there. Never waits, so a caller that goes away loses nothing.
    fn take(&self, max: usize) -> Result<Taken, ReadError> {
        let shared = self.store.shared();
        let (stream, now) = (self.selector.stream, shared.clock.now());
        let (handed, is_all) = {
            let mut progress = locked(&self.progress);
            let mut handed = progress.hand_again(max, now);
            let room = progress.room().min(max - handed.len());
            let found = self.selector.look(shared, progress.seen(), room)?;
            handed.extend(progress.hand_new(&found.sequences, found.looked_to, now));
            (handed, room == 0 || found.looked_to >= shared.log.window.last(stream))
        };
        let mut deliveries = Vec::with_capacity(handed.len());
        for Handed { sequence, deliveries: count } in handed {
            match fetch(shared, stream, sequence)? {
                Some(record) => {
                    let token = AckToken(format!("{sequence}.{count}"));
                    deliveries.push(LogDelivery { record, deliveries: count, token });
                }
                // It has outlived its retention.
                None => _ = locked(&self.progress).close(sequence),
            }
        }
        Ok(match (deliveries.is_empty(), is_all) {
            (false, _) => Taken::Some(deliveries),
            (true, false) => Taken::NotYet,
            (true, true) => Taken::Nothing(locked(&self.progress).next_due().map(|due| due.since(now))),
        })
    }

    /// Has the progress saved soon, with what else is written.
    fn save_soon(&self) {
        if self.store.shared().log.consumers_are_due() {
            // Without room the committer is at work, and saves places anyway.
            self.store.submit_quietly(Job::SaveConsumers);
        }
    }

    fn parse(token: &AckToken) -> Result<Handed, LogError> {
        let parse = || {
            let (sequence, deliveries) = token.0.split_once('.')?;
            Some(Handed { sequence: sequence.parse().ok()?, deliveries: deliveries.parse().ok()? })
        };
        parse().ok_or_else(|| LogError { reason: "not a token of the embedded log".to_owned() })
    }
}

impl ConsumerPort for EmbeddedConsumer {
    async fn pull(&mut self, max: usize, wait: Duration) -> Result<Vec<LogDelivery>, LogError> {
        let deadline = Instant::now() + wait;
        let bell = Arc::clone(&self.bell);
        loop {
            let rung = bell.notified();
            tokio::pin!(rung);
            rung.as_mut().enable(); // before looking, so that nothing slips in between
            let taken = self.take(max.max(1)).map_err(log_error)?;
            let until = match taken {
                Taken::Some(deliveries) => {
                    self.save_soon();
                    return Ok(deliveries);
                }
                Taken::NotYet => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Taken::Nothing(Some(due)) => deadline.min(Instant::now() + due),
                Taken::Nothing(None) => deadline,
            };
            if Instant::now() >= deadline {
                return Ok(Vec::new());
            }
            if timeout_at(until, rung).await.is_err() {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn ack(&self, token: &AckToken) -> Result<(), LogError> {
        let handed = Self::parse(token)?;
        if locked(&self.progress).close(handed.sequence) {
            self.bell.notify_waiters();
        }
        self.save_soon();
        Ok(())
    }

    async fn nak(&self, token: &AckToken, delay: Duration) -> Result<(), LogError> {
        let handed = Self::parse(token)?;
        let now = self.store.shared().clock.now();
        locked(&self.progress).postpone(handed, delay, now);
        self.bell.notify_waiters();
        Ok(())
    }
}
