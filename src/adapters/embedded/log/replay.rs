//! A reader from some point on, without acknowledgements.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::port::log_error;
use super::select::{Selector, fetch, first_at};
use super::subject::Filter;
use crate::adapters::embedded::EmbeddedStore;
use crate::adapters::embedded::store::ReadError;
use crate::ports::{LogError, Record, ReplayFrom, ReplayPort, Stream};

/// Records found ahead of being asked for.
const AHEAD_MAX: usize = 64;

/// A reader from some point on, on the embedded log.
#[derive(Debug)]
pub struct EmbeddedReplay {
    store: EmbeddedStore,
    selector: Selector,
    bell: Arc<Notify>,
    looked_to: u64,
    /// Found and not yet handed out.
    ahead: VecDeque<u64>,
}

impl EmbeddedReplay {
    pub(super) fn open(
        store: &EmbeddedStore,
        stream: Stream,
        filter: &str,
        from: ReplayFrom,
    ) -> Result<Self, LogError> {
        let filter = Filter::parse(filter).map_err(|error| LogError { reason: error.to_string() })?;
        let shared = store.shared();
        let last = shared.log.window.last(stream);
        let looked_to = match from {
            ReplayFrom::Start => 0,
            ReplayFrom::Sequence(sequence) if sequence > last.saturating_add(1) => 0,
            ReplayFrom::Sequence(sequence) => sequence.saturating_sub(1),
            ReplayFrom::Time(time) => first_at(shared, stream, time).map_err(log_error)?.saturating_sub(1),
            ReplayFrom::New => last,
        };
        let bell = shared.log.bell(stream, filter.index(stream));
        let selector = Selector { stream, filter };
        Ok(Self { store: store.clone(), selector, bell, looked_to, ahead: VecDeque::new() })
    }

    /// The next record that was found, if it is still kept.
    fn take(&mut self) -> Result<Option<Record>, ReadError> {
        while let Some(sequence) = self.ahead.front() {
            let record = fetch(self.store.shared(), self.selector.stream, *sequence)?;
            self.ahead.pop_front();
            if record.is_some() {
                return Ok(record);
            }
        }
        Ok(None)
    }

    /// Looks on. Returns whether there is something, or more to look at.
    fn look(&mut self) -> Result<bool, ReadError> {
        let shared = self.store.shared();
        let found = self.selector.look(shared, self.looked_to, AHEAD_MAX)?;
        self.looked_to = found.looked_to;
        self.ahead.extend(found.sequences);
        Ok(!self.ahead.is_empty() || self.looked_to < shared.log.window.last(self.selector.stream))
    }
}

impl ReplayPort for EmbeddedReplay {
    async fn next(&mut self, wait: Duration) -> Result<Option<Record>, LogError> {
        let deadline = Instant::now() + wait;
        let bell = Arc::clone(&self.bell);
        loop {
            let rung = bell.notified();
            tokio::pin!(rung);
            rung.as_mut().enable(); // before looking, so that nothing slips in between
            if let Some(record) = self.take().map_err(log_error)? {
                return Ok(Some(record));
            }
            if self.look().map_err(log_error)? {
                tokio::task::yield_now().await;
                continue;
            }
            if timeout_at(deadline, rung).await.is_err() {
                return Ok(None);
            }
        }
    }
}
