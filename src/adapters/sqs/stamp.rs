//! The stamp on a queue: a tag.

use super::port::SqsQueue;
use crate::adapters::aws;
use crate::adapters::stamp::{Stamp, StampError};

/// The tag's name.
const TAG: &str = "wharfinger-ledger";
/// What stands for the space in a tag's value: not every service takes one there.
const SEPARATOR: &str = "/";

impl SqsQueue {
    /// The stamp; none: nobody has put one yet.
    ///
    /// # Errors
    /// See [`StampError`].
    pub async fn stamp(&self) -> Result<Option<Stamp>, StampError> {
        let listed = self.connected.sqs.list_queue_tags().queue_url(self.stamped_url().await?).send().await;
        let listed = listed.map_err(|error| match aws::status(&error) {
            Some(403) => StampError::Denied("sqs:ListQueueTags".to_owned()),
            Some(_) | None => StampError::Unavailable(self.connected.failed(&error).reason),
        })?;
        let value = listed.tags.and_then(|mut tags| tags.remove(TAG));
        value.map(|value| Stamp::parse(&value.replacen(SEPARATOR, " ", 1))).transpose()
    }

    /// Puts the stamp, whatever is there.
    ///
    /// # Errors
    /// See [`StampError`].
    pub async fn put_stamp(&self, stamp: &Stamp) -> Result<(), StampError> {
        let tag = self.connected.sqs.tag_queue().queue_url(self.stamped_url().await?);
        let put = tag.tags(TAG, stamp.to_text().replacen(' ', SEPARATOR, 1)).send().await;
        put.map(drop).map_err(|error| match aws::status(&error) {
            Some(403) => StampError::Denied("sqs:TagQueue".to_owned()),
            Some(_) | None => StampError::Unavailable(self.connected.failed(&error).reason),
        })
    }

    async fn stamped_url(&self) -> Result<&str, StampError> {
        self.connected.url().await.map_err(|error| StampError::Unavailable(error.reason))
    }

    /// Keeps everything else from using the queue, for this reason; none: it may be used.
    pub fn hold(&self, reason: Option<String>) {
        self.hold.set(reason);
    }
}
