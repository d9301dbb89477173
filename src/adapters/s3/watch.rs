//! Watches the bucket: reports its health before a request needs it.

use std::time::Duration;

use tracing::warn;
use uuid::Uuid;

use super::port::S3Bucket;
use crate::domain::ids::{FileId, ObjectKey, UserId};
use crate::ports::{Clock, ObjectsPort as _};
use crate::telemetry::health::{Health, Part};

/// Between two looks at a bucket that answers.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Between two looks at one that does not.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

impl S3Bucket {
    /// Looks at once and then every now and then, for ever: is it there, may we look, is our clock right.
    pub async fn watch(self, health: Health, clock: Clock) {
        let mut is_skewed = false;
        loop {
            let pause = self.look(&health, &clock).await;
            is_skewed = self.compare_clocks(is_skewed);
            tokio::time::sleep(pause).await;
        }
    }

    /// Asks for an object that nobody has.
    async fn look(&self, health: &Health, clock: &Clock) -> Duration {
        let nobodys =
            ObjectKey { user: UserId::from_uuid(Uuid::nil()), file: FileId::from_uuid(Uuid::nil()) };
        let answer = self.head(nobodys).await;
        health.record(Part::Objects, &answer, clock.now());
        if answer.is_ok() { LOOK_EVERY } else { LOOK_AGAIN }
    }

    fn compare_clocks(&self, was_skewed: bool) -> bool {
        match self.skew.alarming() {
            Some(apart) if !was_skewed => {
                warn!(
                    apart_secs = apart.as_secs(),
                    "our clock and the bucket's are far apart, it will refuse us"
                );
                true
            }
            Some(_) => true,
            None => false,
        }
    }
}
