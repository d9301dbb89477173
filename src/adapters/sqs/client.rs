//! The client: one connection pool, the queue's URL, and what its errors mean.

use std::error::Error;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Config};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use tokio::sync::OnceCell;

use super::options::QueueName;
use crate::adapters::aws::{self, AwsAccess, Timeouts};
use crate::ports::QueueError;

/// Deadlines of everything but a receive.
const TIMEOUTS: Timeouts = Timeouts { attempt: Duration::from_secs(3), operation: Duration::from_secs(8) };
/// Tries of everything but a receive.
const ATTEMPTS_MAX: u32 = 3;

/// A queue that may not be found yet.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) sqs: Client,
    queue: QueueName,
    url: OnceCell<String>,
}

/// A client for SQS. Connects when it is first used.
pub(super) async fn client(access: &AwsAccess) -> Client {
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(access.region())
        .credentials_provider(access.provider().await)
        .timeout_config(TIMEOUTS.to_sdk())
        .retry_config(aws::retries(ATTEMPTS_MAX));
    config.set_endpoint_url(access.endpoint.clone());
    Client::from_conf(config.build())
}

impl Connected {
    pub(super) const fn new(sqs: Client, queue: QueueName) -> Self {
        Self { sqs, queue, url: OnceCell::const_new() }
    }

    /// The queue's URL; looked up once, by its name.
    pub(super) async fn url(&self) -> Result<&str, QueueError> {
        let found = self.url.get_or_try_init(async || match &self.queue {
            QueueName::Url(url) => Ok(url.clone()),
            QueueName::Name(name) => {
                let found = self.sqs.get_queue_url().queue_name(name).send().await;
                let found = found.map_err(|error| self.failed(&error))?;
                found.queue_url.ok_or_else(|| QueueError { reason: format!("the queue {name} has no URL") })
            }
        });
        found.await.map(String::as_str)
    }

    /// The error of the port for an error of the SDK.
    pub(super) fn failed<E: ProvideErrorMetadata + Error + 'static>(
        &self,
        error: &SdkError<E>,
    ) -> QueueError {
        let name = &self.queue;
        let reason = match aws::code(error) {
            Some(code) if is_missing(code) => format!("there is no queue {name}"),
            Some("OverLimit") => {
                format!(
                    "the queue {name} has handed out as many deliveries as it may; they must be deleted first"
                )
            }
            _ => aws::reason(error),
        };
        QueueError { reason }
    }
}

/// Whether this is a service's word for "no such queue". There is one for each of its protocols.
pub(super) fn is_missing(code: &str) -> bool {
    matches!(code, "QueueDoesNotExist" | "AWS.SimpleQueueService.NonExistentQueue")
}
