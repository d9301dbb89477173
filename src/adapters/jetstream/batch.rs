//! Arrivals that come together are stored together: all or none, with one sync of the server's disk.
//!
//! While some are on their way, the records that come meanwhile wait and make the next batch. A few go one by
//! one, because a batch costs the server several syncs; and so does a record that was sent before, because one
//! repeat makes the server refuse the whole batch.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use async_nats::HeaderMap;
use async_nats::header::{NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE};
use bytes::Bytes;
use futures_util::future::join_all;
use metrics::{counter, histogram};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::link::{AskError, Link};
use super::publish::{STORED_WITHIN, publish, read_ack};
use super::record::headers_of;
use crate::limits::PUBLISHES_IN_FLIGHT_MAX;
use crate::ports::{NewRecord, Stored, Stream};
use crate::telemetry::names;

/// Records in one batch; servers take up to 1000.
const RECORDS_MAX: usize = PUBLISHES_IN_FLIGHT_MAX;
/// Fewer than this go one by one: measured, 16 together take twice as long as 16 apart.
const RECORDS_MIN: usize = 64;

/// Batches, or groups of fewer, on their way at once; servers take up to 50 a stream.
const FLIGHTS_MAX: usize = 2;
/// Ids that are remembered, so that a repeat of one goes by itself.
const IDS_MAX: usize = 8 * 1024;

/// Collects records that wait at the same time.
pub(super) struct Batcher {
    waiting: mpsc::Sender<Waiting>,
}

/// A record and who waits for it.
struct Waiting {
    record: NewRecord,
    reply: oneshot::Sender<PublishResult>,
}

type PublishResult = Result<Stored, AskError>;

impl Batcher {
    /// Starts the task that sends; it ends when the batcher is dropped.
    pub(super) fn start(link: Arc<Link>) -> Self {
        let (waiting, queue) = mpsc::channel(PUBLISHES_IN_FLIGHT_MAX);
        tokio::spawn(run(link, queue));
        Self { waiting }
    }

    /// Stores one record, maybe together with others. Dropping the future may still store it.
    pub(super) async fn publish(&self, record: NewRecord) -> PublishResult {
        let silent = |reason: &str| AskError::Silent(reason.to_owned());
        let (reply, outcome) = oneshot::channel();
        let asked = async {
            self.waiting.send(Waiting { record, reply }).await.map_err(|_| silent("the log is closed"))?;
            outcome.await.map_err(|_| silent("the batch was given up"))?
        };
        timeout(STORED_WITHIN * 2, asked).await.map_err(|_| silent("no answer in time"))?
    }
}

async fn run(link: Arc<Link>, mut queue: mpsc::Receiver<Waiting>) {
    let flights = Arc::new(Semaphore::new(FLIGHTS_MAX));
    let mut sent = SentIds::default();
    // The place is taken first: what comes while there is none makes the batch larger.
    while let Ok(flight) = Arc::clone(&flights).acquire_owned().await {
        let mut batch = Vec::with_capacity(RECORDS_MAX);
        if queue.recv_many(&mut batch, RECORDS_MAX).await == 0 {
            return;
        }
        let (fresh, repeated) = batch.into_iter().partition(|waiting| sent.is_new(&waiting.record.id));
        tokio::spawn(fly(Arc::clone(&link), fresh, repeated, flight));
    }
}

async fn fly(link: Arc<Link>, fresh: Vec<Waiting>, repeated: Vec<Waiting>, _flight: OwnedSemaphorePermit) {
    tokio::join!(store(&link, fresh), one_by_one(&link, repeated));
}

async fn store(link: &Link, waiting: Vec<Waiting>) {
    if waiting.len() < RECORDS_MIN {
        return one_by_one(link, waiting).await;
    }
    histogram!(names::NATS_BATCH_RECORDS).record(f64::from(u32::try_from(waiting.len()).unwrap_or(u32::MAX)));
    match together(link, &waiting).await {
        Ok(places) => {
            count("stored");
            for (waiting, sequence) in waiting.into_iter().zip(places) {
                answer(waiting.reply, Ok(Stored { sequence, duplicate: false }));
            }
        }
        // Nothing of it is stored. Whatever is wrong with one record must not hold the others back.
        Err(error @ (AskError::Refused { .. } | AskError::TooLarge { .. })) => {
            count("split");
            tracing::debug!("a batch of {} was refused: {error}", waiting.len());
            one_by_one(link, waiting).await;
        }
        Err(error @ (AskError::Nobody | AskError::Silent(_))) => {
            count("lost");
            for waiting in waiting {
                answer(waiting.reply, Err(error.clone()));
            }
        }
    }
}

fn count(outcome: &'static str) {
    counter!(names::NATS_BATCHES_TOTAL, "outcome" => outcome).increment(1);
}

async fn one_by_one(link: &Link, waiting: Vec<Waiting>) {
    let store = |Waiting { record, reply }| async move {
        answer(reply, publish(link, Stream::Ingest, record).await);
    };
    join_all(waiting.into_iter().map(store)).await;
}

/// A caller that has gone needs no answer.
fn answer(reply: oneshot::Sender<PublishResult>, outcome: PublishResult) {
    drop(reply.send(outcome));
}

/// Stores all or none; the places are those of the records, in their order.
async fn together(link: &Link, waiting: &[Waiting]) -> Result<impl Iterator<Item = u64> + use<>, AskError> {
    let refused = |text: String| AskError::Refused { code: 0, text };
    let inbox = link.client.new_inbox();
    let id = inbox.rsplit('.').next().unwrap_or_default();
    let headers: Result<Vec<HeaderMap>, _> =
        waiting.iter().map(|waiting| headers_of(Stream::Ingest, &waiting.record)).collect();
    let headers = headers.map_err(|error| refused(error.to_string()))?;
    let mut commit = None;
    for ((waiting, mut headers), sequence) in waiting.iter().zip(headers).zip(1_u64..) {
        headers.insert(NATS_BATCH_ID, id);
        headers.insert(NATS_BATCH_SEQUENCE, sequence.to_string());
        let message = (waiting.record.subject.clone(), headers, waiting.record.payload.clone());
        if let Some(before) = commit.replace(message) {
            send(link, before).await?;
        }
    }
    let Some((subject, mut headers, payload)) = commit else { return Err(refused("no records".to_owned())) };
    headers.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
    let answer = link.request(subject, headers, payload, STORED_WITHIN).await?;
    let last = read_ack(&answer.payload)?.seq;
    let count = u64::try_from(waiting.len()).unwrap_or(u64::MAX);
    Ok((1..=count).map(move |place| last.saturating_sub(count - place)))
}

/// One record of a batch that is not the last. The server answers for all of them at the end.
async fn send(link: &Link, message: (String, HeaderMap, Bytes)) -> Result<(), AskError> {
    let (subject, headers, payload) = message;
    match timeout(STORED_WITHIN, link.client.publish_with_headers(subject, headers, payload)).await {
        Ok(Ok(())) => Ok(()),
        // Without its end the server forgets the batch: nothing is stored.
        Ok(Err(error)) => Err(AskError::Refused { code: 0, text: error.to_string() }),
        Err(_) => Err(AskError::Silent("not sent in time".to_owned())),
    }
}

/// The newest ids that were sent.
#[derive(Default)]
struct SentIds {
    order: VecDeque<String>,
    known: HashSet<String>,
}

impl SentIds {
    /// Whether an id was not sent before, as far as is remembered; it is remembered from now on.
    fn is_new(&mut self, id: &str) -> bool {
        if !self.known.insert(id.to_owned()) {
            return false;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > IDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once() {
        let mut sent = SentIds::default();
        assert!(sent.is_new("a"));
        assert!(!sent.is_new("a"));
        assert!(sent.is_new("b"));
    }

    #[test]
    fn only_so_many_ids_are_remembered() {
        let mut sent = SentIds::default();
        for n in 0..=IDS_MAX {
            assert!(sent.is_new(&n.to_string()));
        }
        assert!(sent.is_new("0"), "the oldest is forgotten");
        assert!(!sent.is_new("2"));
        assert_eq!(sent.order.len(), sent.known.len());
        assert_eq!(sent.order.len(), IDS_MAX);
    }
}
