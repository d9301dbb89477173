//! A signer that fails on purpose.

use std::future::Future;

use super::call::{Trouble, carry_out};
use super::fault::{Op, REASON};
use super::plan::Plan;
use wharfinger::adapters::embedded::bucket::EmbeddedSigner;
use wharfinger::ports::{DownloadGrant, PartGrant, SignedRequest, SignerError, SignerPort, UploadGrant};

/// An embedded signer that fails as planned. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct FaultySigner {
    inner: EmbeddedSigner,
    plan: Plan,
}

impl FaultySigner {
    /// This signer under this plan.
    #[must_use]
    pub(crate) const fn new(inner: EmbeddedSigner, plan: Plan) -> Self {
        Self { inner, plan }
    }

    async fn call<F>(&self, op: Op, run: impl Fn() -> F) -> Result<SignedRequest, SignerError>
    where
        F: Future<Output = Result<SignedRequest, SignerError>>,
    {
        carry_out(self.plan.fault(op).await, None, signer_error, run).await
    }
}

impl SignerPort for FaultySigner {
    async fn upload(&self, grant: &UploadGrant) -> Result<SignedRequest, SignerError> {
        self.call(Op::SignUpload, || self.inner.upload(grant)).await
    }

    async fn part(&self, grant: &PartGrant) -> Result<SignedRequest, SignerError> {
        self.call(Op::SignPart, || self.inner.part(grant)).await
    }

    async fn download(&self, grant: &DownloadGrant) -> Result<SignedRequest, SignerError> {
        self.call(Op::SignDownload, || self.inner.download(grant)).await
    }
}

fn signer_error(trouble: Trouble) -> SignerError {
    match trouble {
        Trouble::Unavailable | Trouble::Unknown => SignerError::Unavailable { reason: REASON.to_owned() },
        Trouble::Corrupt => SignerError::Invalid { reason: REASON.to_owned() },
    }
}
