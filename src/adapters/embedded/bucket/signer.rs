//! The signer for the endpoint in this process.

use std::sync::Arc;

use crate::adapters::sigv4::{Address, AddressError, Credentials, Presigner, Style};
use crate::ports::{DownloadGrant, PartGrant, SignedRequest, SignerError, SignerPort, UploadGrant};

/// Signs for the endpoint in this process: `http://127.0.0.1:9000/wharf/user/…`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EmbeddedSigner {
    presigner: Arc<Presigner>,
    credentials: Arc<Credentials>,
}

impl EmbeddedSigner {
    /// Signs for a bucket (name and region) that clients reach at `public_url`.
    ///
    /// # Errors
    /// A URL that is not an endpoint.
    pub fn new(
        credentials: Arc<Credentials>,
        (bucket, region): (&str, &str),
        public_url: &str,
    ) -> Result<Self, AddressError> {
        let address = Address::new(public_url, bucket, Style::Path)?;
        Ok(Self { presigner: Arc::new(Presigner::new(address, region).with_signed_values()), credentials })
    }
}

impl SignerPort for EmbeddedSigner {
    async fn upload(&self, grant: &UploadGrant) -> Result<SignedRequest, SignerError> {
        self.presigner.upload(&self.credentials, &grant.key.to_string(), grant)
    }

    async fn part(&self, grant: &PartGrant) -> Result<SignedRequest, SignerError> {
        self.presigner.part(&self.credentials, &grant.key.to_string(), grant)
    }

    async fn download(&self, grant: &DownloadGrant) -> Result<SignedRequest, SignerError> {
        self.presigner.download(&self.credentials, &grant.key.to_string(), grant)
    }
}
