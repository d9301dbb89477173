//! How full the queue is, as far as SQS knows.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use metrics::gauge;
use serde_json::Value;
use tracing::{debug, warn};

use super::port::SqsQueue;
use crate::ports::QueueError;
use crate::telemetry::names;

/// Between two measurements.
const MEASURE_EVERY: Duration = Duration::from_secs(60);

/// Deliveries in flight at which an operator is warned: at 120,000 a long poll silently returns nothing.
const IN_FLIGHT_ALARM: u64 = 80_000;

/// How full a queue is; approximate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Notifications that wait to be handed out.
    pub waiting: u64,
    /// Notifications that are handed out and not yet deleted.
    pub in_flight: u64,
}

impl Depth {
    /// Whether the bridge takes more than it deletes, and the queue will soon fall silent.
    #[must_use]
    pub const fn is_alarming(self) -> bool {
        self.in_flight > IN_FLIGHT_ALARM
    }
}

impl SqsQueue {
    /// Measures. One request; meant for once a minute.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn depth(&self) -> Result<Depth, QueueError> {
        use QueueAttributeName::{ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible};
        let measured = self
            .connected
            .sqs
            .get_queue_attributes()
            .queue_url(self.connected.url().await?)
            .attribute_names(ApproximateNumberOfMessages)
            .attribute_names(ApproximateNumberOfMessagesNotVisible)
            .send()
            .await
            .map_err(|error| self.connected.failed(&error))?;
        let attributes = measured.attributes.unwrap_or_default();
        let count = |name| attributes.get(&name).and_then(|count| count.parse().ok()).unwrap_or(0);
        Ok(Depth {
            waiting: count(ApproximateNumberOfMessages),
            in_flight: count(ApproximateNumberOfMessagesNotVisible),
        })
    }
}

impl SqsQueue {
    /// How many notifications wait in the dead letter queue; none where there is no such queue.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn dead_letters(&self) -> Result<Option<u64>, QueueError> {
        use QueueAttributeName::{ApproximateNumberOfMessages, RedrivePolicy};
        let policy = self.attribute(self.connected.url().await?, RedrivePolicy).await?;
        let Some((account, name)) = policy.as_deref().and_then(dead_letter_queue) else { return Ok(None) };
        let found = self.connected.sqs.get_queue_url().queue_name(name).queue_owner_aws_account_id(account);
        let found = found.send().await.map_err(|error| self.connected.failed(&error))?;
        let count = self.attribute(&found.queue_url.unwrap_or_default(), ApproximateNumberOfMessages).await?;
        Ok(count.and_then(|count| count.parse().ok()))
    }

    async fn attribute(&self, url: &str, name: QueueAttributeName) -> Result<Option<String>, QueueError> {
        let read = self.connected.sqs.get_queue_attributes().queue_url(url).attribute_names(name.clone());
        let read = read.send().await.map_err(|error| self.connected.failed(&error))?;
        Ok(read.attributes.and_then(|mut attributes| attributes.remove(&name)))
    }
}

/// Account and name of the queue that a redrive policy names.
fn dead_letter_queue(policy: &str) -> Option<(String, String)> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let mut parts = policy["deadLetterTargetArn"].as_str()?.rsplit(':').map(str::to_owned);
    let name = parts.next()?;
    Some((parts.next()?, name))
}

impl SqsQueue {
    /// Measures at once and then once a minute, for the metrics and for an operator's log, for ever.
    pub async fn watch(self) {
        let mut was_alarming = false;
        loop {
            match self.depth().await {
                Ok(depth) => {
                    gauge!(names::QUEUE_WAITING).set(lossy(depth.waiting));
                    gauge!(names::QUEUE_IN_FLIGHT).set(lossy(depth.in_flight));
                    if depth.is_alarming() && !was_alarming {
                        let in_flight = depth.in_flight;
                        warn!(
                            in_flight,
                            "the queue has handed out {in_flight} that are not deleted, at 120000 it falls silent"
                        );
                    }
                    was_alarming = depth.is_alarming();
                }
                // Whether the queue answers is the bridge's to tell.
                Err(error) => debug!("the queue's depth is not known: {error}"),
            }
            match self.dead_letters().await {
                Ok(dead) => gauge!(names::QUEUE_DEAD).set(lossy(dead.unwrap_or(0))),
                Err(error) => debug!("how many dead letters there are is not known: {error}"),
            }
            tokio::time::sleep(MEASURE_EVERY).await;
        }
    }
}

/// A count as a gauge has it; exact up to 4 billion.
fn lossy(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: F23
    #[test]
    fn the_alarm_comes_before_the_silence() {
        let check = |in_flight, expected| assert_eq!(Depth { waiting: 0, in_flight }.is_alarming(), expected);
        check(80_000, false);
        check(80_001, true);
    }
}
