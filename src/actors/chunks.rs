//! Uploads in chunks, as far as the bucket is concerned: begun, looked at, and joined into one object.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::adapters::Objects;
use crate::admission::Flights;
use crate::domain::chunks::{Chunk, ChunkPlan};
use crate::domain::decide::NewUpload;
use crate::domain::file::Multipart;
use crate::domain::ids::ObjectKey;
use crate::domain::metadata::metadata_of;
use crate::limits::{CHUNK_CALLS_MAX, UPSTREAM_WITHIN};
use crate::ports::{Clock, ObjectsError, ObjectsPort, Part};
use crate::telemetry::health::{self, Health};

/// How long a caller waits until the chunks are one object. Joining goes on without them.
const JOIN_WITHIN: Duration = Duration::from_secs(8);
/// How long joining may take at all.
const JOIN_MAX: Duration = Duration::from_secs(600);

/// The outcome of finishing an upload.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// The object is there.
    Joined,
    /// It will be soon, or a try again will tell.
    Running,
    /// These chunks have not arrived.
    Missing(Vec<Chunk>),
    /// The bucket knows no such upload: it was joined or given up before.
    Gone,
}

/// A bounded way to the bucket's uploads. Cheap to clone.
#[derive(Clone)]
pub(super) struct Chunks {
    objects: Objects,
    clock: Clock,
    health: Health,
    places: Arc<Semaphore>,
    joins: Flights<(ObjectKey, String), Result<(), ObjectsError>>,
}

impl Chunks {
    pub(super) fn new(objects: Objects, clock: Clock, health: Health) -> Self {
        Self {
            objects,
            clock,
            health,
            places: Arc::new(Semaphore::new(CHUNK_CALLS_MAX)),
            joins: Flights::default(),
        }
    }

    /// Begins an upload.
    pub(super) async fn begin(
        &self,
        key: ObjectKey,
        upload: &NewUpload,
        chunk_bytes: u64,
    ) -> Result<Multipart, ObjectsError> {
        let metadata = metadata_of(upload.file_id, &upload.filename, upload.size_bytes);
        let create = self.objects.create_multipart(key, &upload.content_type, metadata);
        let upload_id = self.within(UPSTREAM_WITHIN, create).await?;
        Ok(Multipart { upload_id, chunk_bytes })
    }

    /// The chunks that have arrived; none if the bucket knows no such upload.
    pub(super) async fn arrived(
        &self,
        key: ObjectKey,
        upload_id: &str,
    ) -> Result<Option<Vec<Part>>, ObjectsError> {
        match self.within(UPSTREAM_WITHIN, self.objects.list_parts(key, upload_id)).await {
            Ok(parts) => Ok(Some(parts)),
            Err(ObjectsError::Refused { .. }) => Ok(None),
            Err(error @ ObjectsError::Unavailable { .. }) => Err(error),
        }
    }

    /// Makes one object of the chunks, if they are all there.
    pub(super) async fn finish(
        &self,
        key: ObjectKey,
        upload_id: &str,
        plan: ChunkPlan,
    ) -> Result<Finish, ObjectsError> {
        let Some(mut parts) = self.arrived(key, upload_id).await? else { return Ok(Finish::Gone) };
        let missing = plan.missing(parts.iter().map(|part| (part.number, part.size_bytes)));
        if !missing.is_empty() {
            return Ok(Finish::Missing(missing));
        }
        parts.retain(|part| plan.chunk(part.number).is_some());
        let join = || {
            let (this, id, parts) = (self.clone(), upload_id.to_owned(), parts.clone());
            async move { this.within(JOIN_MAX, this.objects.complete_multipart(key, &id, parts)).await }
        };
        // One that an earlier request began, and did not wait for, is joined and not begun again.
        let joined = self.joins.run((key, upload_id.to_owned()), Result::is_ok, join);
        match timeout(JOIN_WITHIN, joined).await {
            Ok(Ok(())) => Ok(Finish::Joined),
            // Given up or joined meanwhile; or a chunk came again between the look and the join.
            Ok(Err(ObjectsError::Refused { .. })) => {
                Ok(if self.arrived(key, upload_id).await?.is_some() { Finish::Running } else { Finish::Gone })
            }
            Ok(Err(error @ ObjectsError::Unavailable { .. })) => Err(error),
            Err(_) => Ok(Finish::Running),
        }
    }

    /// One call, its wait for a place included.
    async fn within<T>(
        &self,
        within: Duration,
        call: impl Future<Output = Result<T, ObjectsError>>,
    ) -> Result<T, ObjectsError> {
        let placed = async {
            let _place = self.places.acquire().await;
            call.await
        };
        let answer = timeout(within, placed).await.unwrap_or_else(|_| {
            Err(ObjectsError::Unavailable { reason: format!("no answer within {within:?}") })
        });
        match &answer {
            Ok(_) | Err(ObjectsError::Refused { .. }) => self.health.up(health::Part::Objects),
            Err(error @ ObjectsError::Unavailable { .. }) => {
                self.health.down(health::Part::Objects, error, self.clock.now());
            }
        }
        answer
    }
}
