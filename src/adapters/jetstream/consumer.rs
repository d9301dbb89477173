//! A durable consumer's reader.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{info, warn};

use super::declare::{self, Declared};
use super::link::{AskError, failed};
use super::log::Shared;
use super::puller::{Lost, Puller};
use super::record::{check_filter, check_name, delivery_of};
use crate::ports::{AckToken, ConsumerPort, ConsumerSpec, LogDelivery, LogError, Stream};
use crate::telemetry::names;

/// "consumer not found".
const NO_CONSUMER: u64 = 10_014;
/// "stream not found".
const NO_STREAM: u64 = 10_059;
/// Settings of a consumer that follow ours when it is there already.
const FOLLOWING: [&str; 3] = ["ack_wait", "max_ack_pending", "max_deliver"];

/// A durable consumer's reader. Dropping it leaves the consumer.
pub struct JetStreamConsumer {
    shared: Arc<Shared>,
    spec: ConsumerSpec,
    puller: Puller,
    /// When something came last, or the server said that there is nothing.
    fed: Instant,
}

/// A server's report of a consumer.
#[derive(Debug, Deserialize)]
struct ConsumerInfo {
    config: Declared,
    num_pending: u64,
    num_ack_pending: usize,
    ack_floor: SequencePair,
}

/// A place among the consumer's deliveries and among the stream's records.
#[derive(Debug, Deserialize)]
struct SequencePair {
    stream_seq: u64,
}

impl std::fmt::Debug for JetStreamConsumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JetStreamConsumer").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl JetStreamConsumer {
    pub(super) async fn open(shared: Arc<Shared>, spec: ConsumerSpec) -> Result<Self, LogError> {
        check_filter(&spec.filter).map_err(failed)?;
        check_name(&spec.name).map_err(failed)?;
        declare(&shared, &spec).await?;
        let keep = spec.ack_wait / 2;
        let puller = Puller::new(Arc::clone(&shared.link), spec.stream, &spec.name, keep);
        Ok(Self { shared, spec, puller, fed: Instant::now() })
    }

    /// What a lost request calls for, so that the next one can succeed.
    async fn recover(&mut self, lost: Lost) -> Result<(), LogError> {
        let reason = match lost {
            Lost::Refused(error) => return Err(error),
            Lost::Gone => "gone",
            Lost::Silent => "silent",
        };
        self.rebuild(reason);
        self.shared.link.connected(Duration::ZERO).await?;
        match lost {
            Lost::Gone => declare(&self.shared, &self.spec).await,
            Lost::Silent | Lost::Refused(_) => Ok(()),
        }
    }

    fn rebuild(&mut self, reason: &'static str) {
        counter!(names::NATS_READERS_REBUILT_TOTAL, "reason" => reason).increment(1);
        warn!(consumer = %self.spec.name, reason, "reading {} anew: {reason}", self.spec.name);
        self.puller.reset();
        self.fed = Instant::now();
    }

    /// Nothing came for long: does the server keep something back?
    async fn watch(&mut self) -> Result<(), LogError> {
        let Some(info) = find(&self.shared, &self.spec).await? else {
            return self.recover(Lost::Gone).await;
        };
        self.fed = Instant::now();
        if info.num_pending > 0 && info.num_ack_pending < self.spec.ack_pending_max {
            self.rebuild("stalled");
        }
        Ok(())
    }

    fn deliveries(&mut self, messages: Vec<async_nats::Message>) -> Result<Vec<LogDelivery>, LogError> {
        self.fed = Instant::now();
        messages.into_iter().map(|message| delivery_of(&self.shared.link, message)).collect()
    }
}

impl ConsumerPort for JetStreamConsumer {
    async fn pull(&mut self, max: usize, wait: Duration) -> Result<Vec<LogDelivery>, LogError> {
        let until = Instant::now() + wait;
        self.shared.link.connected(wait).await?;
        let messages = match self.puller.pull(max, until).await {
            Ok(messages) => messages,
            Err(lost) => {
                self.recover(lost).await?;
                let again = self.puller.pull(max, until).await;
                again.map_err(|lost| failed(format_args!("consumer {}: {lost:?}", self.spec.name)))?
            }
        };
        let stalled_after = Duration::from_secs(self.shared.settings.stalled_after_secs);
        if messages.is_empty() && self.fed.elapsed() > stalled_after {
            self.watch().await?;
        }
        if messages.is_empty() { Ok(Vec::new()) } else { self.deliveries(messages) }
    }

    async fn ack(&self, token: &AckToken) -> Result<(), LogError> {
        self.shared.link.send(token.0.clone(), "+ACK".into()).await
    }

    async fn nak(&self, token: &AckToken, delay: Duration) -> Result<(), LogError> {
        let body = format!("-NAK {}", json!({"delay": declare::nanos(delay)}));
        self.shared.link.send(token.0.clone(), body.into()).await
    }
}

/// Makes the consumer if it is not there, and brings it in line if it is.
async fn declare(shared: &Shared, spec: &ConsumerSpec) -> Result<(), LogError> {
    let asked = declare::consumer(spec);
    let Some(found) = find(shared, spec).await? else {
        put(shared, spec, &asked).await?;
        info!(consumer = %spec.name, "made consumer {}", spec.name);
        return Ok(());
    };
    check_kind(spec, &asked, &found.config)?;
    let mut changed = found.config.clone();
    for key in FOLLOWING {
        changed.insert(key.to_owned(), asked.get(key).cloned().unwrap_or(Value::Null));
    }
    if changed != found.config {
        put(shared, spec, &changed).await?;
        info!(consumer = %spec.name, "changed the limits of consumer {}", spec.name);
    }
    Ok(())
}

/// What can not change: who gets what, and how it is acknowledged.
fn check_kind(spec: &ConsumerSpec, asked: &Declared, found: &Declared) -> Result<(), LogError> {
    let name = &spec.name;
    if found.get("deliver_subject").is_some() {
        return Err(failed(format_args!("consumer {name} is a push consumer; delete it")));
    }
    if found.get("ack_policy") != asked.get("ack_policy") {
        return Err(failed(format_args!("consumer {name} does not acknowledge one by one; delete it")));
    }
    if found.contains_key("backoff") {
        return Err(failed(format_args!("consumer {name} has a backoff, which overrides its ack wait")));
    }
    if found.get("filter_subject") != asked.get("filter_subject") {
        let filter = found.get("filter_subject").unwrap_or(&Value::Null);
        warn!(consumer = %name, "consumer {name} keeps its filter {filter}, asked for {:?}", spec.filter);
    }
    Ok(())
}

async fn find(shared: &Shared, spec: &ConsumerSpec) -> Result<Option<ConsumerInfo>, LogError> {
    let subject = format!("CONSUMER.INFO.{}.{}", spec.stream.name(), spec.name);
    match shared.link.look(subject).await {
        Ok(info) => Ok(Some(info)),
        Err(AskError::Refused { code: NO_CONSUMER, .. }) => Ok(None),
        Err(AskError::Refused { code: NO_STREAM, .. }) => {
            // Made or reported, as the settings say; a new stream has no consumers.
            shared.readiness.forget(spec.stream);
            shared.ready(spec.stream).await.map(|()| None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Up to where a consumer has acknowledged everything that its filter takes; none if it is not there, or reads something
/// else. `last` is the last place of the stream, asked for before.
pub(super) async fn floor_of(
    shared: &Shared,
    stream: Stream,
    spec: &ConsumerSpec,
    last: u64,
) -> Result<Option<u64>, LogError> {
    let subject = format!("CONSUMER.INFO.{}.{}", stream.name(), spec.name);
    let info: ConsumerInfo = match shared.link.look(subject).await {
        Ok(info) => info,
        Err(AskError::Refused { code: NO_CONSUMER, .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let filter = info.config.get("filter_subject").and_then(Value::as_str);
    if filter != Some(spec.filter.as_str()) || spec.stream != stream {
        return Ok(None);
    }
    // The floor of a consumer that has nothing left stays at its last record.
    let is_done = info.num_pending == 0 && info.num_ack_pending == 0;
    Ok(Some(if is_done { last.max(info.ack_floor.stream_seq) } else { info.ack_floor.stream_seq }))
}

async fn put(shared: &Shared, spec: &ConsumerSpec, config: &Declared) -> Result<(), LogError> {
    let stream = spec.stream.name();
    let filter = config.get("filter_subject").and_then(Value::as_str).unwrap_or_default();
    let subject = format!("CONSUMER.CREATE.{stream}.{}.{filter}", spec.name);
    let body = json!({"stream_name": stream, "config": config});
    let made: Result<ConsumerInfo, AskError> = shared.link.ask(subject, &body).await;
    match made {
        Ok(made) => check_kept(spec, config, &made.config),
        Err(error) => Err(failed(format_args!("cannot make consumer {}: {error}", spec.name))),
    }
}

/// Servers drop what they do not know.
fn check_kept(spec: &ConsumerSpec, asked: &Declared, kept: &Declared) -> Result<(), LogError> {
    let lost = FOLLOWING.iter().find(|key| asked.get(**key) != kept.get(**key));
    lost.map_or(Ok(()), |key| Err(failed(format_args!("consumer {}: the server ignores {key}", spec.name))))
}
