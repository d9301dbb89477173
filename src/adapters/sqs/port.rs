//! The queue's port on SQS.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::config::Builder;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use tokio::sync::oneshot;
use tracing::{debug, warn};

use super::client::{self, Connected};
use super::options::SqsOptions;
use crate::adapters::aws::{self, Timeouts};
use crate::adapters::stamp::Hold;
use crate::limits::QUEUE_BATCH_MAX;
use crate::ports::{QueueDelivery, QueueError, QueuePort, Receipt};

/// The longest wait of one receive.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// How much longer than its wait a receive may take. Receives that hang for ever have been seen.
const RECEIVE_SLACK: Duration = Duration::from_secs(5);
/// The longest that SQS hides a delivery (12 hours).
const VISIBILITY_MAX: Duration = Duration::from_secs(12 * 3600);

/// A queue on SQS. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SqsQueue {
    pub(super) connected: Arc<Connected>,
    visibility: Duration,
    /// Set while it is not known to belong to our ledger.
    pub(super) hold: Hold,
}

impl SqsQueue {
    /// A queue with these options. Asks nobody yet: what is wrong shows at the first use.
    pub async fn open(options: &SqsOptions) -> Self {
        let client = client::client(&options.access).await;
        Self {
            connected: Arc::new(Connected::new(client, options.queue.clone())),
            visibility: options.visibility,
            hold: Hold::default(),
        }
    }

    async fn receive_now(&self, max: usize, wait: Duration) -> Result<Vec<QueueDelivery>, QueueError> {
        let within = wait + RECEIVE_SLACK;
        let timeouts = Timeouts { attempt: within, operation: within };
        let received = self
            .connected
            .sqs
            .receive_message()
            .queue_url(self.connected.url().await?)
            .max_number_of_messages(i32::try_from(max.clamp(1, QUEUE_BATCH_MAX)).unwrap_or(1))
            // Rounded down: it waits up to so long, not longer.
            .wait_time_seconds(i32::try_from(wait.as_secs()).unwrap_or(0))
            .visibility_timeout(seconds(self.visibility.min(VISIBILITY_MAX)))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .customize()
            // One try: what an unanswered one took is hidden, and another would only hide more.
            .config_override(
                Builder::default().timeout_config(timeouts.to_sdk()).retry_config(aws::retries(1)),
            )
            .send()
            .await
            .map_err(|error| self.connected.failed(&error))?;
        Ok(received.messages.unwrap_or_default().into_iter().filter_map(delivery).collect())
    }

    /// Shows deliveries to others that nobody waits for any more.
    async fn give_back(&self, deliveries: Vec<QueueDelivery>) {
        for QueueDelivery { id, receipt, .. } in deliveries {
            if let Err(error) = self.extend(&receipt, Duration::ZERO).await {
                debug!(delivery.id = %id, "could not give a delivery back, it comes again by itself: {error}");
            }
        }
    }

    /// Deletes at most one batch; returns what may be tried again.
    async fn delete_batch(&self, receipts: &[Receipt]) -> Result<Vec<Receipt>, QueueError> {
        let entry = |(at, receipt): (usize, &Receipt)| {
            let entry =
                DeleteMessageBatchRequestEntry::builder().id(at.to_string()).receipt_handle(&receipt.0);
            entry.build().expect("id and receipt are there")
        };
        let deleted = self
            .connected
            .sqs
            .delete_message_batch()
            .queue_url(self.connected.url().await?)
            .set_entries(Some(receipts.iter().enumerate().map(entry).collect()))
            .send()
            .await
            .map_err(|error| self.connected.failed(&error))?;
        // The answer is 200 whatever became of each.
        let failed = deleted.failed().iter().filter(|failed| {
            if failed.sender_fault() {
                debug!(code = failed.code(), "a receipt names nothing that is still there");
            }
            !failed.sender_fault()
        });
        let again = failed.filter_map(|failed| receipts.get(failed.id().parse::<usize>().ok()?).cloned());
        Ok(again.collect())
    }
}

impl QueuePort for SqsQueue {
    async fn send(&self, body: String) -> Result<(), QueueError> {
        self.hold.check().map_err(|reason| QueueError { reason })?;
        let url = self.connected.url().await?;
        let sent = self.connected.sqs.send_message().queue_url(url).message_body(body).send().await;
        sent.map(drop).map_err(|error| self.connected.failed(&error))
    }

    /// As the port says. Cancelling it does no harm here: it goes on, and what comes is given back at once.
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<QueueDelivery>, QueueError> {
        self.hold.check().map_err(|reason| QueueError { reason })?;
        let (reply, answer) = oneshot::channel();
        let queue = self.clone();
        tokio::spawn(async move {
            let received = queue.receive_now(max, wait.min(WAIT_MAX)).await;
            if let Err(Ok(deliveries)) = reply.send(received) {
                queue.give_back(deliveries).await;
            }
        });
        answer
            .await
            .unwrap_or_else(|_| Err(QueueError { reason: "the receive ended without a word".to_owned() }))
    }

    async fn delete(&self, receipts: Vec<Receipt>) -> Result<Vec<Receipt>, QueueError> {
        let mut again = Vec::new();
        for batch in receipts.chunks(QUEUE_BATCH_MAX) {
            again.extend(self.delete_batch(batch).await?);
        }
        Ok(again)
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        let url = self.connected.url().await?;
        let change = self.connected.sqs.change_message_visibility().queue_url(url).receipt_handle(&receipt.0);
        let changed = change.visibility_timeout(seconds(visibility.min(VISIBILITY_MAX))).send().await;
        changed.map(drop).map_err(|error| self.connected.failed(&error))
    }
}

/// A delivery, if the message is whole.
fn delivery(message: Message) -> Option<QueueDelivery> {
    let Message { message_id, receipt_handle, body, attributes, .. } = message;
    let id = message_id.unwrap_or_default();
    let (Some(body), Some(receipt)) = (body, receipt_handle) else {
        warn!(delivery.id = %id, "a delivery without body or receipt is left to come again");
        return None;
    };
    Some(QueueDelivery { deliveries: deliveries(attributes.as_ref()), id, body, receipt: Receipt(receipt) })
}

/// How many times it has been handed out; 1 if the queue does not say.
fn deliveries(attributes: Option<&HashMap<MessageSystemAttributeName, String>>) -> u32 {
    let count = attributes.and_then(|known| known.get(&MessageSystemAttributeName::ApproximateReceiveCount));
    count.and_then(|count| count.parse().ok()).unwrap_or(1).max(1)
}

/// Whole seconds, rounded up.
fn seconds(span: Duration) -> i32 {
    let whole = span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0));
    i32::try_from(whole).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_rounded_up_to_seconds() {
        let check = |millis, expected| assert_eq!(seconds(Duration::from_millis(millis)), expected);
        check(0, 0);
        check(1, 1);
        check(1000, 1);
        check(1001, 2);
        assert_eq!(seconds(Duration::MAX), i32::MAX);
    }

    #[test]
    fn a_count_is_read_where_there_is_one() {
        let check = |count: Option<&str>, expected| {
            let count =
                count.map(|count| (MessageSystemAttributeName::ApproximateReceiveCount, count.to_owned()));
            assert_eq!(deliveries(Some(&count.into_iter().collect())), expected);
        };
        check(Some("3"), 3);
        check(Some("0"), 1);
        check(Some("many"), 1);
        check(None, 1);
        assert_eq!(deliveries(None), 1);
    }

    #[test]
    fn a_message_without_receipt_is_no_delivery() {
        let whole = Message::builder().message_id("a").body("b").receipt_handle("r");
        assert_eq!(delivery(whole.clone().build()).map(|whole| whole.receipt), Some(Receipt("r".into())));
        assert_eq!(delivery(whole.set_receipt_handle(None).build()), None);
    }
}
