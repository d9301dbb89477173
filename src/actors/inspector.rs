//! The inspector pool: what the bucket says about an object, and every gate between arrival and processed.
//!
//! Today there is one gate, the HEAD. Later ones (type, scan) go into `inspect`, after it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::adapters::Objects;
use crate::domain::decide::Observed;
use crate::domain::file::File;
use crate::domain::ids::ObjectKey;
use crate::domain::time::Timestamp;
use crate::limits::INSPECTIONS_MAX;
use crate::ports::{Clock, ObjectsError, ObjectsPort};
use crate::telemetry::health::{Health, Part};
use crate::telemetry::{STORY, names};

/// How long one inspection may take, its wait for a place included.
const INSPECT_WITHIN: Duration = Duration::from_secs(6);

/// A bounded pool of inspections. Cheap to clone.
#[derive(Clone)]
pub(super) struct Inspector {
    objects: Objects,
    clock: Clock,
    health: Health,
    places: Arc<Semaphore>,
}

impl Inspector {
    /// A pool over this bucket.
    pub(super) fn new(objects: Objects, clock: Clock, health: Health) -> Self {
        Self { objects, clock, health, places: Arc::new(Semaphore::new(INSPECTIONS_MAX)) }
    }

    /// What is to be known of an object that was announced at `seen_at`; none if it is not there. The caller logs it, by
    /// [`log_inspected`].
    ///
    /// # Errors
    /// The bucket does not answer, or not in time.
    pub(super) async fn inspect(
        &self,
        key: ObjectKey,
        seen_at: Timestamp,
    ) -> Result<Option<Observed>, ObjectsError> {
        let answer = timeout(INSPECT_WITHIN, self.head(key)).await;
        let answer = answer.unwrap_or_else(|_| Err(late()));
        self.health.record(Part::Objects, &answer, self.clock.now());
        Ok(answer?.map(|meta| Observed {
            size_bytes: meta.size_bytes,
            etag: meta.etag,
            checksum_sha256: meta.checksum_sha256,
            content_type: meta.content_type,
            landed_at: meta.landed_at,
            seen_at,
            inspected_at: self.clock.now(),
            rejected: None,
        }))
    }

    /// The first bytes of an object; none if it is not there.
    ///
    /// # Errors
    /// The bucket does not answer, or not in time.
    pub(super) async fn first_bytes(&self, key: ObjectKey) -> Result<Option<Vec<u8>>, ObjectsError> {
        let read = async {
            let _place = self.places.acquire().await;
            self.objects.first_bytes(key).await
        };
        let answer = timeout(INSPECT_WITHIN, read).await.unwrap_or_else(|_| Err(late()));
        self.health.record(Part::Objects, &answer, self.clock.now());
        answer
    }

    async fn head(&self, key: ObjectKey) -> Result<Option<crate::ports::ObjectMeta>, ObjectsError> {
        let _place = self.places.acquire().await;
        metrics::counter!(names::INSPECTIONS_TOTAL).increment(1);
        self.objects.head(key).await
    }
}

/// Logs what an inspection found: the size of the object, if it is there. The caller does, when it knows the file's row,
/// which names the trace.
pub(super) fn log_inspected(key: ObjectKey, size_bytes: Option<u64>, row: Option<&File>) {
    let (trace_id, is_there) = (row.and_then(File::trace_id), size_bytes.is_some());
    tracing::info!(target: STORY, { user_id = %key.user, file_id = %key.file, trace_id, gate = "head", is_there, size_bytes }, "gate asked");
}

fn late() -> ObjectsError {
    ObjectsError::Unavailable { reason: format!("no answer within {INSPECT_WITHIN:?}") }
}
