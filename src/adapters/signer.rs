//! Every signer we ship, as one type.

use std::sync::Arc;

use super::backends::backends;
use crate::adapters::embedded::bucket::EmbeddedSigner;
#[cfg(feature = "aws")]
use crate::adapters::s3::S3Signer;
use crate::ports::{DownloadGrant, PartGrant, SignedRequest, SignerError, SignerPort, UploadGrant};

backends! {
    /// The signer that the settings chose. Cheap to clone.
    #[derive(Clone)]
    pub enum Signer: SignerPort {
        /// SigV4 against the endpoint in this process.
        Embedded(EmbeddedSigner) => inline,
        /// SigV4 for Amazon S3.
        S3(S3Signer) if "aws" => inline,
    }
    custom Arc<dyn CustomSigner>;

    async fn upload(&self, grant: &UploadGrant) -> Result<SignedRequest, SignerError>;
    async fn part(&self, grant: &PartGrant) -> Result<SignedRequest, SignerError>;
    async fn download(&self, grant: &DownloadGrant) -> Result<SignedRequest, SignerError>;
}

impl Signer {
    /// Takes any other implementation of the port.
    #[must_use]
    pub fn custom(signer: impl SignerPort + 'static) -> Self {
        Self::Custom(Arc::new(signer))
    }
}
