//! Every signer we ship, as one type.

use crate::adapters::any::AnySigner;
use crate::adapters::embedded::bucket::EmbeddedSigner;
use crate::adapters::faulty::FaultySigner;
#[cfg(feature = "aws")]
use crate::adapters::s3::S3Signer;
use crate::ports::{DownloadGrant, PartGrant, SignedRequest, SignerError, SignerPort, UploadGrant};

/// Every signer we ship. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Signer {
    /// SigV4 against the endpoint in this process.
    Embedded(EmbeddedSigner),
    /// SigV4 for Amazon S3.
    #[cfg(feature = "aws")]
    S3(S3Signer),
    /// Embedded, and failing on purpose. For tests: no setting leads here.
    Faulty(FaultySigner),
    /// Whatever a test brings. No setting leads here.
    Any(AnySigner),
}

impl SignerPort for Signer {
    async fn upload(&self, grant: &UploadGrant) -> Result<SignedRequest, SignerError> {
        match self {
            Self::Embedded(signer) => signer.upload(grant).await,
            #[cfg(feature = "aws")]
            Self::S3(signer) => signer.upload(grant).await,
            Self::Faulty(signer) => signer.upload(grant).await,
            Self::Any(signer) => signer.upload(grant).await,
        }
    }

    async fn part(&self, grant: &PartGrant) -> Result<SignedRequest, SignerError> {
        match self {
            Self::Embedded(signer) => signer.part(grant).await,
            #[cfg(feature = "aws")]
            Self::S3(signer) => signer.part(grant).await,
            Self::Faulty(signer) => signer.part(grant).await,
            Self::Any(signer) => signer.part(grant).await,
        }
    }

    async fn download(&self, grant: &DownloadGrant) -> Result<SignedRequest, SignerError> {
        match self {
            Self::Embedded(signer) => signer.download(grant).await,
            #[cfg(feature = "aws")]
            Self::S3(signer) => signer.download(grant).await,
            Self::Faulty(signer) => signer.download(grant).await,
            Self::Any(signer) => signer.download(grant).await,
        }
    }
}
