//! The signer: makes requests that others may send to the bucket or the CDN.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::domain::file::Sha256;
use crate::domain::ids::ObjectKey;
use crate::domain::time::Timestamp;

/// Signs what clients send to the bucket or the CDN.
///
/// Contract: a signed request is valid from `now` for at most `ttl`, for exactly what its grant says; the server that
/// receives it refuses everything else. Signing the same grant at the same `now` gives the same request.
pub trait SignerPort: Send + Sync {
    /// A PUT of exactly one object, once.
    fn upload(&self, grant: &UploadGrant) -> impl Future<Output = Result<SignedRequest, SignerError>> + Send;

    /// A PUT of one part.
    fn part(&self, grant: &PartGrant) -> impl Future<Output = Result<SignedRequest, SignerError>> + Send;

    /// A GET of one object.
    fn download(
        &self,
        grant: &DownloadGrant,
    ) -> impl Future<Output = Result<SignedRequest, SignerError>> + Send;
}

/// One upload of exactly these bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadGrant {
    /// Where to.
    pub key: ObjectKey,
    /// Exactly this many.
    pub size_bytes: u64,
    /// Exactly this type.
    pub content_type: String,
    /// Exactly these bytes, if known.
    pub checksum_sha256: Option<Sha256>,
    /// Sent as `x-amz-meta-<name>: <value>`; names lower case, values printable ASCII.
    pub metadata: Vec<(String, String)>,
    /// When it is signed.
    pub now: Timestamp,
    /// For how long; whole seconds, 1 s to 7 days.
    pub ttl: Duration,
}

/// One upload of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartGrant {
    /// Where to.
    pub key: ObjectKey,
    /// The bucket's name of the upload.
    pub upload_id: String,
    /// From 1.
    pub number: u16,
    /// Exactly this many.
    pub size_bytes: u64,
    /// When it is signed.
    pub now: Timestamp,
    /// For how long.
    pub ttl: Duration,
}

/// A grant to download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownloadMethod {
    /// Head and bytes.
    Get,
    /// The head alone.
    Head,
}

/// One download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadGrant {
    /// From where.
    pub key: ObjectKey,
    /// The one method that the URL is good for.
    pub method: DownloadMethod,
    /// The `Content-Disposition` of the answer.
    pub disposition: String,
    /// The `Content-Type` of the answer.
    pub content_type: String,
    /// When it is signed.
    pub now: Timestamp,
    /// For how long.
    pub ttl: Duration,
}

/// A request that its holder may send. Treat it as a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    /// `PUT`, `GET` or `HEAD`.
    pub method: &'static str,
    /// Where to.
    pub url: SignedUrl,
    /// The headers to send with it, names in lower case.
    pub headers: Vec<(String, String)>,
    /// When it stops working.
    pub expires_at: Timestamp,
}

impl SignedRequest {
    /// Seconds until it stops working; one that has begun counts whole, as signatures know whole seconds only.
    #[must_use]
    pub fn expires_in_secs(&self, now: Timestamp) -> u64 {
        u64::try_from(self.expires_at.since(now).as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
    }
}

/// A link that lets its holder write or read one object. Treat it as a password.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedUrl(String);

impl SignedUrl {
    /// Takes a signed URL.
    #[must_use]
    pub const fn new(url: String) -> Self {
        Self(url)
    }

    /// The URL. A secret: hand it only to the client it was signed for.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedUrl(…)")
    }
}

/// Why nothing was signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// There are no credentials that live long enough; worth repeating, after a pause.
    #[error("no credentials to sign with: {reason}")]
    Unavailable {
        /// For the log.
        reason: String,
    },
    /// The grant cannot be signed: a bug of the caller.
    #[error("the grant cannot be signed: {reason}")]
    Invalid {
        /// For the log.
        reason: String,
    },
}
