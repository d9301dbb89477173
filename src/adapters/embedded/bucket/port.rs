//! The bucket as the rest of the crate sees it: a port, without the network.

use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::assemble::{Completion, Named, NamedPart};
use super::blocking::blocking;
use super::endpoint;
use super::keys;
use super::list::{Item, Listing};
use super::options::{BucketOptions, OpenError};
use super::signer::EmbeddedSigner;
use super::store::Store;
use super::uploads::Upload;
use crate::adapters::sigv4::{AddressError, Credentials};
use crate::domain::ids::ObjectKey;
use crate::ports::{
    Clock, ListedObject, ObjectMeta, ObjectPage, ObjectsError, ObjectsPort, Part, QueuePort, UploadCursor,
    UploadPage,
};
use crate::telemetry::health::Health;

/// Keys of one page of the port.
const PAGE_MAX: usize = 1000;

/// A bucket in this process. Cheap to clone; one folder is open once.
#[derive(Clone, Debug)]
pub struct EmbeddedBucket {
    store: Arc<Store>,
    credentials: Arc<Credentials>,
    health: Health,
}

impl EmbeddedBucket {
    /// Opens the bucket in `dir`, and makes it with new credentials if there is none. Blocks for a few syncs.
    ///
    /// What a crash left half done is cleared; unsent notifications are sent once it is served.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(dir: &Path, options: BucketOptions, clock: Clock) -> Result<Self, OpenError> {
        let store = Arc::new(Store::open(dir, options, clock)?);
        let credentials = Arc::new(keys::open(dir)?);
        Ok(Self { store, credentials, health: Health::default() })
    }

    /// Whether a process has the bucket in `dir` open. Opens and makes nothing.
    #[must_use]
    pub fn is_held(dir: &Path) -> bool {
        Store::is_held(dir)
    }

    /// The same bucket, which reports here whether it takes uploads.
    #[must_use]
    pub fn reporting(self, health: Health) -> Self {
        Self { health, ..self }
    }

    /// What clients of the endpoint sign with.
    #[must_use]
    pub fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.credentials)
    }

    /// A signer for the endpoint, which clients reach at `public_url` (`http://127.0.0.1:9000`).
    ///
    /// # Errors
    /// A URL that is not an endpoint.
    pub fn signer(&self, public_url: &str) -> Result<EmbeddedSigner, AddressError> {
        let options = &self.store.options;
        EmbeddedSigner::new(self.credentials(), (&options.bucket, &options.region), public_url)
    }

    /// Serves the endpoint, and tells `queue` what happens, until `shutdown`; the handle ends when all has ended.
    ///
    /// On `shutdown` nothing new is accepted, and requests in flight have `drain_within` to end. News that the queue
    /// did not take until then are sent the next time.
    pub fn serve<Q: QueuePort + 'static>(
        self,
        listener: TcpListener,
        queue: Q,
        shutdown: CancellationToken,
    ) -> JoinHandle<()> {
        tokio::spawn(endpoint::serve((self.store, self.credentials, self.health), listener, queue, shutdown))
    }
}

impl ObjectsPort for EmbeddedBucket {
    async fn head(&self, key: ObjectKey) -> Result<Option<ObjectMeta>, ObjectsError> {
        let store = Arc::clone(&self.store);
        let found = blocking("find an object", move || store.find(&key.to_string())).await?;
        Ok(found.map(|(_, record)| ObjectMeta {
            size_bytes: record.size_bytes,
            checksum_sha256: record.sha256(),
            etag: record.etag,
            content_type: record.content_type,
            landed_at: record.landed_at,
        }))
    }

    async fn first_bytes(&self, key: ObjectKey) -> Result<Option<Vec<u8>>, ObjectsError> {
        let store = Arc::clone(&self.store);
        let read = move || store.first_bytes(&key.to_string());
        Ok(blocking("read an object", read).await?)
    }

    async fn delete(&self, key: ObjectKey) -> Result<(), ObjectsError> {
        let store = Arc::clone(&self.store);
        Ok(blocking("remove an object", move || store.delete_for_good(&key.to_string())).await?)
    }

    async fn list(&self, prefix: String, after: Option<String>) -> Result<ObjectPage, ObjectsError> {
        let store = Arc::clone(&self.store);
        let listing = Listing { prefix, after, is_folded: false, items_max: PAGE_MAX };
        let page = blocking("list objects", move || store.list(&listing)).await?;
        let objects = page.items.into_iter().filter_map(|item| match item {
            Item::Object(record) => Some(ListedObject {
                size_bytes: record.size_bytes,
                etag: Some(record.etag),
                landed_at: record.landed_at,
                key: record.key,
            }),
            Item::Folder(_) => None,
        });
        Ok(ObjectPage { objects: objects.collect(), is_truncated: page.is_truncated })
    }

    async fn create_multipart(
        &self,
        key: ObjectKey,
        content_type: &str,
        metadata: Vec<(String, String)>,
    ) -> Result<String, ObjectsError> {
        let store = Arc::clone(&self.store);
        let upload = Upload {
            key: key.to_string(),
            content_type: Some(content_type.to_owned()),
            metadata,
            started_at: store.clock.now(),
        };
        Ok(blocking("start an upload", move || store.start_upload(&upload)).await?)
    }

    async fn list_parts(&self, key: ObjectKey, upload_id: &str) -> Result<Vec<Part>, ObjectsError> {
        let store = Arc::clone(&self.store);
        let upload_id = upload_id.to_owned();
        let parts = blocking("list parts", move || store.parts(&key.to_string(), &upload_id)).await?;
        let part = |(number, part): (u16, super::record::PartRecord)| Part {
            number,
            size_bytes: part.size_bytes,
            etag: part.etag,
        };
        Ok(parts.into_iter().map(part).collect())
    }

    async fn complete_multipart(
        &self,
        key: ObjectKey,
        upload_id: &str,
        parts: Vec<Part>,
    ) -> Result<(), ObjectsError> {
        let name = |part: Part| NamedPart {
            number: part.number,
            etag: part.etag,
            size_bytes: Some(part.size_bytes),
            checksums: Vec::new(),
        };
        let named = Named { parts: parts.into_iter().map(name).collect(), ..Named::default() };
        let asked = Completion { key: key.to_string(), upload_id: upload_id.to_owned(), named };
        Ok(self.store.complete(asked).await.map(drop)?)
    }

    async fn abort_multipart(&self, key: ObjectKey, upload_id: &str) -> Result<(), ObjectsError> {
        let store = Arc::clone(&self.store);
        let upload_id = upload_id.to_owned();
        let give_up = move || store.drop_upload(&key.to_string(), &upload_id);
        Ok(blocking("give an upload up", give_up).await.map(drop)?)
    }

    async fn list_uploads(
        &self,
        prefix: String,
        after: Option<UploadCursor>,
    ) -> Result<UploadPage, ObjectsError> {
        let store = Arc::clone(&self.store);
        let list = move || store.open_uploads(&prefix, after.as_ref(), PAGE_MAX);
        Ok(blocking("list uploads", list).await?)
    }
}
