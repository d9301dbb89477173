//! What the HTTP room works with: the doors to the other rooms, and what an operator chose.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::auth::Authenticator;
use super::error::{ErrorCode, Problem};
use super::event_slots::EventSlots;
use super::meters::Meters;
use super::refused_origins::RefusedOrigins;
use crate::actors::Handle;
use crate::adapters::{Ledger, Log, Signer};
use crate::config::Config;
use crate::domain::event::EventSource;
use crate::limits;
use crate::ports::Clock;
use crate::telemetry::health::Health;

/// Makes the text of `/metrics`.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// The doors to the other rooms.
pub struct Services {
    /// Changes, all of them.
    pub handle: Handle,
    /// Reads.
    pub ledger: Ledger,
    /// The log, which announces events.
    pub log: Log,
    /// What all events have in common.
    pub events: Arc<EventSource>,
    /// Signed requests.
    pub signer: Signer,
    /// Time and ids.
    pub clock: Clock,
    /// How the parts are.
    pub health: Health,
    /// Who may call.
    pub authenticator: Authenticator,
    /// The text of `/metrics`.
    pub metrics: MetricsText,
    /// What an operator chose.
    pub options: Arc<HttpOptions>,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("options", &self.options).finish_non_exhaustive()
    }
}

/// What an operator chose, as far as HTTP depends on it.
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

/// Which listener a request came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listener {
    /// For clients.
    Api,
    /// For operators.
    Admin,
}

/// The services, with what this room keeps for itself.
pub(super) struct Api {
    pub(super) services: Services,
    pub(super) meters: Meters,
    pub(super) event_slots: EventSlots,
    pub(super) refused_origins: RefusedOrigins,
    pub(super) stop: CancellationToken,
}

impl Api {
    pub(super) fn new(services: Services, stop: CancellationToken) -> Self {
        let (event_slots, refused_origins) = (EventSlots::default(), RefusedOrigins::default());
        Self { services, meters: Meters::new(), event_slots, refused_origins, stop }
    }
}

/// Waits for one read of the ledger, the log or the signer, at most [`limits::UPSTREAM_WITHIN`].
pub(super) async fn within<T, E>(read: impl Future<Output = Result<T, E>>) -> Result<T, Problem>
where
    Problem: From<E>,
{
    match tokio::time::timeout(limits::UPSTREAM_WITHIN, read).await {
        Ok(outcome) => outcome.map_err(Problem::from),
        Err(_) => Err(Problem::new(ErrorCode::UpstreamTimeout)),
    }
}
