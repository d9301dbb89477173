//! Any signer.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::ports::{DownloadGrant, PartGrant, SignedRequest, SignerError, SignerPort, UploadGrant};

/// A signer that a test brings. Cheap to clone.
#[derive(Clone)]
pub struct AnySigner(Arc<dyn Erased>);

impl AnySigner {
    /// Takes a signer.
    #[must_use]
    pub fn new(signer: impl SignerPort + 'static) -> Self {
        Self(Arc::new(signer))
    }
}

impl fmt::Debug for AnySigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnySigner")
    }
}

type Signed<'a> = BoxFuture<'a, Result<SignedRequest, SignerError>>;

/// The port without its types of futures.
trait Erased: Send + Sync {
    fn upload<'a>(&'a self, grant: &'a UploadGrant) -> Signed<'a>;
    fn part<'a>(&'a self, grant: &'a PartGrant) -> Signed<'a>;
    fn download<'a>(&'a self, grant: &'a DownloadGrant) -> Signed<'a>;
}

impl<S: SignerPort> Erased for S {
    fn upload<'a>(&'a self, grant: &'a UploadGrant) -> Signed<'a> {
        Box::pin(SignerPort::upload(self, grant))
    }

    fn part<'a>(&'a self, grant: &'a PartGrant) -> Signed<'a> {
        Box::pin(SignerPort::part(self, grant))
    }

    fn download<'a>(&'a self, grant: &'a DownloadGrant) -> Signed<'a> {
        Box::pin(SignerPort::download(self, grant))
    }
}

impl SignerPort for AnySigner {
    async fn upload(&self, grant: &UploadGrant) -> Result<SignedRequest, SignerError> {
        self.0.upload(grant).await
    }

    async fn part(&self, grant: &PartGrant) -> Result<SignedRequest, SignerError> {
        self.0.part(grant).await
    }

    async fn download(&self, grant: &DownloadGrant) -> Result<SignedRequest, SignerError> {
        self.0.download(grant).await
    }
}
