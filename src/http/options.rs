//! The settings of the HTTP front.

use std::fmt;
use std::time::Duration;

use crate::config::Config;
use crate::limits;

/// The settings of the HTTP front, parsed.
#[derive(Clone)]
pub struct HttpOptions {
    /// How clients reach us, without a final slash; empty: links are relative.
    pub public_url: String,
    /// Connections of the API at the same time.
    pub connections_max: usize,
    /// Those of one address; none: as many.
    pub per_address_max: Option<usize>,
    /// Origins of pages that may call; `loopback` for those of this machine.
    pub allowed_origins: Vec<String>,
    /// Bytes of one file.
    pub file_bytes_max: u64,
    /// How long a signed upload may be started.
    pub upload_url_ttl: Duration,
    /// Content types that may be declared, `image/*` for a family; empty: all.
    pub allowed_types: Vec<String>,
    /// How long a signed download may be started.
    pub download_url_ttl: Duration,
    /// The limit of accounts without one of their own.
    pub quota_bytes_default: u64,
    /// Seals the cursors of lists. The same on every node and over restarts, else cursors break off.
    pub cursor_key: [u8; 32],
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

impl HttpOptions {
    /// Takes what concerns HTTP from the settings; times are cut to what `limits` allows.
    #[must_use]
    pub fn from_config(config: &Config, cursor_key: [u8; 32]) -> Self {
        let public_url = config.http.public_url.trim_end_matches('/').to_owned();
        let download_url_ttl = Duration::from_secs(config.download.url_ttl_secs);
        Self {
            public_url,
            connections_max: config.http.connections_max,
            per_address_max: config.http.per_address_of(config.http.connections_max),
            allowed_origins: config.http.allowed_origins.clone(),
            file_bytes_max: config.upload.max_bytes.min(limits::FILE_BYTES_MAX),
            upload_url_ttl: Duration::from_secs(config.upload.url_ttl_secs),
            allowed_types: config.upload.allowed_types.iter().map(|t| t.to_ascii_lowercase()).collect(),
            download_url_ttl: download_url_ttl.min(limits::DOWNLOAD_URL_TTL_MAX),
            quota_bytes_default: config.quota.default_bytes,
            cursor_key,
        }
    }
}
