//! The services that handlers use, and the state that all requests share.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::auth::Authenticator;
use super::error::{ErrorCode, Problem};
use super::event_slots::EventSlots;
use super::meters::Meters;
use super::options::HttpOptions;
use super::refused_origins::RefusedOrigins;
use crate::actors::Handle;
use crate::adapters::{Ledger, Log, Signer};
use crate::domain::event::EventSource;
use crate::limits;
use crate::ports::Clock;
use crate::telemetry::health::Health;

/// Makes the text of `/metrics`.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// The services of the other rooms.
pub struct Services {
    /// Commands: every change goes through it.
    pub handle: Handle,
    /// The ledger, for reads.
    pub ledger: Ledger,
    /// The log, which announces events.
    pub log: Log,
    /// The attributes that all events share.
    pub events: Arc<EventSource>,
    /// Signed requests.
    pub signer: Signer,
    /// Time and ids.
    pub clock: Clock,
    /// The health of the parts.
    pub health: Health,
    /// Who may call.
    pub authenticator: Authenticator,
    /// The text of `/metrics`.
    pub metrics: MetricsText,
    /// The settings.
    pub options: Arc<HttpOptions>,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("options", &self.options).finish_non_exhaustive()
    }
}

/// The services, and the state that all requests share.
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
