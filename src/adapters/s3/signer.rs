//! The signer for S3: our own SigV4, with keys that are there already.

use std::sync::{Arc, PoisonError, RwLock};

use super::options::S3Options;
use super::refresher::CredentialsRefresher;
use crate::adapters::sigv4::{AddressError, Credentials, Presigner};
use crate::ports::{Clock, DownloadGrant, PartGrant, SignedRequest, SignerError, SignerPort, UploadGrant};
use crate::telemetry::health::Health;

/// Signs for clients of a bucket on S3. Cheap to clone.
///
/// Signing never waits: a [`CredentialsRefresher`] brings the keys.
#[derive(Clone, Debug)]
pub struct S3Signer {
    presigner: Arc<Presigner>,
    held: Arc<Held>,
}

/// The keys at hand, or why there are none.
#[derive(Debug)]
pub(super) struct Held(RwLock<Result<Arc<Credentials>, String>>);

impl Default for Held {
    fn default() -> Self {
        Self(RwLock::new(Err("nobody has asked for credentials yet".to_owned())))
    }
}

impl Held {
    pub(super) fn get(&self) -> Result<Arc<Credentials>, String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, keys: Result<Arc<Credentials>, String>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }
}

impl S3Signer {
    /// A signer with the keys of these options, and who keeps them fresh. It has none before the refresher asked.
    ///
    /// # Errors
    /// An endpoint that is not one.
    pub async fn new(
        options: &S3Options,
        clock: Clock,
        health: Health,
    ) -> Result<(Self, CredentialsRefresher), AddressError> {
        let presigner = Presigner::new(options.public_address()?, options.access.region.as_str());
        let held = Arc::new(Held::default());
        let provider = options.access.provider().await;
        let refresher = CredentialsRefresher::new(provider, Arc::clone(&held), clock, health);
        Ok((Self { presigner: Arc::new(presigner), held }, refresher))
    }

    fn keys(&self) -> Result<Arc<Credentials>, SignerError> {
        self.held.get().map_err(|reason| SignerError::Unavailable { reason })
    }
}

impl SignerPort for S3Signer {
    async fn upload(&self, grant: &UploadGrant) -> Result<SignedRequest, SignerError> {
        self.presigner.upload(&*self.keys()?, &grant.key.to_string(), grant)
    }

    async fn part(&self, grant: &PartGrant) -> Result<SignedRequest, SignerError> {
        self.presigner.part(&*self.keys()?, &grant.key.to_string(), grant)
    }

    async fn download(&self, grant: &DownloadGrant) -> Result<SignedRequest, SignerError> {
        self.presigner.download(&*self.keys()?, &grant.key.to_string(), grant)
    }
}
