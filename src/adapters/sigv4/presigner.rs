//! The port's grants, signed: what must be sent, and where to.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::address::Address;
use super::canonical::{self, Request};
use super::credentials::Credentials;
use crate::domain::time::Timestamp;
use crate::limits::URL_TTL_MAX;
use crate::ports::{
    DownloadGrant, DownloadMethod, PartGrant, SignedRequest, SignedUrl, SignerError, UploadGrant,
};

/// The query parameter that holds the values of the signed headers, one a line, in the order of their names.
///
/// Only for an endpoint that reads it: a signature alone cannot show which header differs.
pub const SIGNED_VALUES: &str = "signed-values";

/// Signs for one bucket in one region.
///
/// Credentials are given with each call, because those of a role change. The key is given as text beside its
/// grant, so that any key can be signed; callers pass the grant's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presigner {
    address: Address,
    region: String,
    includes_values: bool,
}

impl Presigner {
    /// Signs for the bucket at `address`.
    #[must_use]
    pub fn new(address: Address, region: impl Into<String>) -> Self {
        Self { address, region: region.into(), includes_values: false }
    }

    /// Also puts the values of signed headers into the URLs of uploads ([`SIGNED_VALUES`]).
    #[must_use]
    pub fn with_signed_values(mut self) -> Self {
        self.includes_values = true;
        self
    }

    /// A PUT of exactly one object, once: size, type, checksum and metadata are signed.
    ///
    /// # Errors
    /// [`SignerError::Invalid`] for what no header can hold or a life outside 1 s to 7 days;
    /// [`SignerError::Unavailable`] if the credentials end before the URL could live a second.
    pub fn upload(
        &self,
        credentials: &Credentials,
        key: &str,
        grant: &UploadGrant,
    ) -> Result<SignedRequest, SignerError> {
        let mut headers = Vec::with_capacity(4 + grant.metadata.len());
        headers.push(("content-length".to_owned(), grant.size_bytes.to_string()));
        headers.push(("content-type".to_owned(), grant.content_type.clone()));
        headers.push(("if-none-match".to_owned(), "*".to_owned()));
        if let Some(sha256) = grant.checksum_sha256 {
            headers.push(("x-amz-checksum-sha256".to_owned(), STANDARD.encode(sha256.0)));
        }
        let first_metadata = headers.len();
        for (name, value) in &grant.metadata {
            check_metadata_name(name)?;
            headers.push((format!("x-amz-meta-{name}"), value.clone()));
        }
        headers[first_metadata..].sort_unstable();
        if headers.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(invalid("two metadata values have the same name"));
        }
        let life = Life { now: grant.now, ttl: grant.ttl };
        let values = self.values(&headers);
        let query = [(SIGNED_VALUES, values.as_str())];
        let query = if self.includes_values { &query[..] } else { &[] };
        self.sign(credentials, life, ("PUT", "PutObject"), Target { key, query, headers })
    }

    /// A PUT of one part: its size is signed.
    ///
    /// # Errors
    /// As [`Self::upload`].
    pub fn part(
        &self,
        credentials: &Credentials,
        key: &str,
        grant: &PartGrant,
    ) -> Result<SignedRequest, SignerError> {
        let number = grant.number.to_string();
        let headers = vec![("content-length".to_owned(), grant.size_bytes.to_string())];
        let values = self.values(&headers);
        let mut query = vec![("partNumber", number.as_str()), ("uploadId", grant.upload_id.as_str())];
        if self.includes_values {
            query.insert(1, (SIGNED_VALUES, values.as_str()));
        }
        let life = Life { now: grant.now, ttl: grant.ttl };
        self.sign(credentials, life, ("PUT", "UploadPart"), Target { key, query: &query, headers })
    }

    /// A GET of one object: disposition and type of the answer are signed.
    ///
    /// # Errors
    /// As [`Self::upload`].
    pub fn download(
        &self,
        credentials: &Credentials,
        key: &str,
        grant: &DownloadGrant,
    ) -> Result<SignedRequest, SignerError> {
        let query = [
            ("response-content-disposition", grant.disposition.as_str()),
            ("response-content-type", grant.content_type.as_str()),
        ];
        let life = Life { now: grant.now, ttl: grant.ttl };
        let method = match grant.method {
            DownloadMethod::Get => "GET",
            DownloadMethod::Head => "HEAD",
        };
        self.sign(
            credentials,
            life,
            (method, "GetObject"),
            Target { key, query: &query, headers: Vec::new() },
        )
    }

    /// The value of [`SIGNED_VALUES`] for these headers and `host`; empty if it is left out.
    fn values(&self, headers: &[(String, String)]) -> String {
        let mut values = String::new();
        if self.includes_values {
            canonical::push_values(&mut values, headers, self.address.host());
        }
        values
    }

    fn sign(
        &self,
        credentials: &Credentials,
        life: Life,
        (method, operation): (&'static str, &'static str),
        target: Target<'_>,
    ) -> Result<SignedRequest, SignerError> {
        if target.key.is_empty() {
            return Err(invalid("an object has a key"));
        }
        for (name, value) in &target.headers {
            check_header_value(name, value)?;
        }
        let expires_secs = life.secs(credentials)?;
        let Target { key, query, headers } = target;
        let asked = Request { method, key, query, operation, headers: &headers, now: life.now, expires_secs };
        let url = canonical::url(&self.address, &self.region, credentials, &asked);
        // The signature counts from the whole second that it names.
        let signed_at = Timestamp::from_millis(life.now.as_secs().saturating_mul(1000));
        let expires_at = signed_at.after(Duration::from_secs(expires_secs));
        Ok(SignedRequest { method, url: SignedUrl::new(url), headers, expires_at })
    }
}

struct Target<'a> {
    key: &'a str,
    query: &'a [(&'static str, &'a str)],
    headers: Vec<(String, String)>,
}

#[derive(Clone, Copy)]
struct Life {
    now: Timestamp,
    ttl: Duration,
}

impl Life {
    /// Whole seconds that the URL lives: never longer than its credentials.
    fn secs(self, credentials: &Credentials) -> Result<u64, SignerError> {
        let asked = self.ttl.as_secs();
        if asked == 0 || asked > URL_TTL_MAX.as_secs() {
            return Err(invalid(&format!("a URL lives 1 s to 7 days, not {asked} s")));
        }
        let Some(end) = credentials.expires_at() else { return Ok(asked) };
        match asked.min(end.as_secs().saturating_sub(self.now.as_secs())) {
            0 => Err(SignerError::Unavailable { reason: format!("the credentials ended at {end}") }),
            secs => Ok(secs),
        }
    }
}

fn check_metadata_name(name: &str) -> Result<(), SignerError> {
    let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    if !name.is_empty() && name.bytes().all(is_name) {
        Ok(())
    } else {
        Err(invalid(&format!("{name:?} is not a name of metadata")))
    }
}

fn check_header_value(name: &str, value: &str) -> Result<(), SignerError> {
    let is_printable = value.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    // An empty value would be signed, and then lost by clients that drop empty headers.
    if is_printable && !value.trim().is_empty() {
        Ok(())
    } else {
        Err(invalid(&format!("{name} has no value of printable ASCII")))
    }
}

fn invalid(reason: &str) -> SignerError {
    SignerError::Invalid { reason: reason.to_owned() }
}
