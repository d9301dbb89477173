//! From settings to a client that connects in the background and never gives up.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::{Client, ConnectOptions, ServerAddr};
use metrics::counter;
use tokio::sync::broadcast;
use tracing::{info, warn};

use super::identity::identity;

use crate::config::NatsSettings;
use crate::telemetry::names;

/// How often a silent connection is asked whether it is alive; two silences end it.
const PING_EVERY: Duration = Duration::from_secs(5);
/// How long one server may take to greet us.
const GREETING_WITHIN: Duration = Duration::from_secs(5);
/// How long an answer to anything but a publish may take.
pub(super) const REPLY_WITHIN: Duration = Duration::from_secs(5);
/// Messages of one reader that may wait inside the client.
const READER_BUFFER: usize = 4096;

/// Why the settings cannot be used. Unreachable servers are not among the reasons.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// An address cannot be read.
    #[error("nats url {url:?} is not host, host:port, nats://host:port or tls://host:port")]
    Url {
        /// The value in the settings.
        url: String,
    },
    /// An address holds a name or a password.
    #[error("a nats url holds a user; use nats.user and nats.password_file, or nats.credentials_file")]
    UserInUrl,
    /// There is no address.
    #[error("nats.urls is empty")]
    NoUrl,
    /// A file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A credentials file holds no token of a user with its seed.
    #[error("{path} is not a nats credentials file", path = path.display())]
    Credentials {
        /// Which.
        path: PathBuf,
    },
    /// There is half of a pair.
    #[error("{present} is set without {missing}")]
    Half {
        /// What is there.
        present: &'static str,
        /// What is not.
        missing: &'static str,
    },
    /// The client does not start.
    #[error("the nats client does not start: {0}")]
    Client(async_nats::ConnectError),
}

/// Refusals that wait for their request; older ones are dropped.
const VIOLATIONS_MAX: usize = 64;

/// What the servers say beside their replies. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Notices {
    last_try: Arc<Mutex<Option<String>>>,
    violations: broadcast::Sender<String>,
}

impl Default for Notices {
    fn default() -> Self {
        Self { last_try: Arc::default(), violations: broadcast::Sender::new(VIOLATIONS_MAX) }
    }
}

impl Notices {
    /// Waits until a server refuses a message to this subject, and returns its words. Servers send no reply to a message
    /// that its user may not publish.
    pub(super) fn refusal(&self, subject: &str) -> impl Future<Output = String> + use<> {
        let quoted = format!("publish to \"{subject}\"").to_lowercase();
        let mut violations = self.violations.subscribe();
        async move {
            loop {
                match violations.recv().await {
                    Ok(words) if words.to_lowercase().contains(&quoted) => return words,
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        }
    }

    fn set(&self, outcome: Option<String>) {
        *self.last_try.lock().unwrap_or_else(PoisonError::into_inner) = outcome;
    }

    /// Why there is no connection, as far as is known.
    pub(super) fn reason(&self) -> String {
        let known = self.last_try.lock().unwrap_or_else(PoisonError::into_inner).clone();
        known.map_or_else(|| "not connected".to_owned(), |error| format!("not connected: {error}"))
    }
}

/// Starts a client. It connects in the background, so this succeeds while no server is there.
pub(super) async fn connect(settings: &NatsSettings, notices: Notices) -> Result<Client, ConnectError> {
    let urls = addresses(&settings.urls)?;
    for path in [&settings.tls_ca_file, &settings.tls_cert_file, &settings.tls_key_file].into_iter().flatten()
    {
        let read = tokio::fs::read(path).await;
        drop(read.map_err(|source| ConnectError::File { path: path.clone(), source })?);
    }
    let options = tls(settings, identity(settings).await?)?
        .name("wharfinger")
        .custom_inbox_prefix(&settings.inbox_prefix)
        .ping_interval(PING_EVERY)
        .connection_timeout(GREETING_WITHIN)
        .request_timeout(Some(REPLY_WITHIN))
        .subscription_capacity(READER_BUFFER)
        .retry_on_initial_connect()
        .max_reconnects(None)
        .event_callback(move |event| note(event, notices.clone()));
    options.connect(urls).await.map_err(ConnectError::Client)
}

fn addresses(urls: &[String]) -> Result<Vec<ServerAddr>, ConnectError> {
    if urls.is_empty() {
        return Err(ConnectError::NoUrl);
    }
    urls.iter().map(|url| address(url)).collect()
}

fn address(url: &str) -> Result<ServerAddr, ConnectError> {
    // What stands before an `@` is a secret and must not be repeated in an error.
    if url.contains('@') {
        return Err(ConnectError::UserInUrl);
    }
    url.parse().map_err(|_| ConnectError::Url { url: url.to_owned() })
}

fn tls(settings: &NatsSettings, mut options: ConnectOptions) -> Result<ConnectOptions, ConnectError> {
    if let Some(path) = &settings.tls_ca_file {
        options = options.add_root_certificates(path.clone());
    }
    options = match (&settings.tls_cert_file, &settings.tls_key_file) {
        (None, None) => options,
        (Some(cert), Some(key)) => options.add_client_certificate(cert.clone(), key.clone()),
        (Some(_), None) => {
            return Err(ConnectError::Half { present: "nats.tls_cert_file", missing: "nats.tls_key_file" });
        }
        (None, Some(_)) => {
            return Err(ConnectError::Half { present: "nats.tls_key_file", missing: "nats.tls_cert_file" });
        }
    };
    Ok(options.require_tls(settings.tls_required))
}

async fn note(event: async_nats::Event, notices: Notices) {
    match event {
        async_nats::Event::Connected => {
            notices.set(None);
            counter!(names::NATS_CONNECTS_TOTAL).increment(1);
            info!("connected to nats");
        }
        async_nats::Event::Disconnected => {
            warn!("the connection to nats broke; connecting again until it works")
        }
        async_nats::Event::SlowConsumer(_) => {
            counter!(names::NATS_DROPPED_TOTAL).increment(1);
            warn!("a reader was too slow and lost a message; the log delivers it again");
        }
        async_nats::Event::ServerError(error) => {
            warn!("nats says: {error}");
            // Without a request that waits, nobody listens.
            drop(notices.violations.send(error.to_string()));
        }
        async_nats::Event::ClientError(error) => {
            warn!("nats client: {error}");
            notices.set(Some(error.to_string().trim_start_matches("nats: ").to_owned()));
        }
        async_nats::Event::LameDuckMode => info!("a nats server is about to stop"),
        async_nats::Event::Draining | async_nats::Event::Closed => info!("nats connection: {event}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(change: fn(&mut NatsSettings), expected: &str) {
        let mut settings = NatsSettings::default();
        change(&mut settings);
        let outcome = connect(&settings, Notices::default()).await;
        assert_eq!(outcome.err().map(|error| error.to_string()).unwrap_or_default(), expected);
    }

    #[tokio::test]
    async fn a_client_starts_while_no_server_is_there() {
        check(|settings| settings.urls = vec!["nats://127.0.0.1:1".to_owned()], "").await;
        check(|settings| settings.urls = vec!["tls://nats.invalid".to_owned()], "").await;
    }

    #[tokio::test]
    async fn settings_that_cannot_work_are_refused_at_once() {
        check(|settings| settings.urls.clear(), "nats.urls is empty").await;
        check(
            |settings| settings.urls = vec!["nats://host:port".to_owned()],
            "nats url \"nats://host:port\" is not host, host:port, nats://host:port or tls://host:port",
        )
        .await;
        check(|settings| settings.user = "ann".to_owned(), "nats.user is set without nats.password_file")
            .await;
        check(
            |settings| settings.password_file = Some("p".into()),
            "nats.password_file is set without nats.user",
        )
        .await;
        check(
            |settings| settings.tls_key_file = Some("Cargo.toml".into()),
            "nats.tls_key_file is set without nats.tls_cert_file",
        )
        .await;
    }

    #[tokio::test]
    async fn a_secret_in_a_url_is_refused_and_not_repeated() {
        check(
            |settings| settings.urls = vec!["nats://ann:hunter2@host".to_owned()],
            "a nats url holds a user; use nats.user and nats.password_file, or nats.credentials_file",
        )
        .await;
    }

    #[tokio::test]
    async fn a_refusal_is_found_by_its_subject() {
        let notices = Notices::default();
        let refusal = notices.refusal("wharf.ingest.v1.3.U");
        for subject in ["wharf.ingest.v1.3.other", "wharf.ingest.v1.3.u"] {
            let words = format!("Permissions Violation for Publish to \"{subject}\"");
            notices.violations.send(words).expect("a request waits");
        }
        assert_eq!(refusal.await, "Permissions Violation for Publish to \"wharf.ingest.v1.3.u\"");
    }

    #[tokio::test]
    async fn a_file_without_credentials_is_named() {
        check(
            |settings| settings.credentials_file = Some("Cargo.toml".into()),
            "Cargo.toml is not a nats credentials file",
        )
        .await;
    }

    #[tokio::test]
    async fn a_missing_file_is_named() {
        let missing = "cannot read /nowhere/pw: No such file or directory (os error 2)";
        check(
            |settings| {
                settings.user = "ann".to_owned();
                settings.password_file = Some("/nowhere/pw".into());
            },
            missing,
        )
        .await;
        check(
            |settings| settings.tls_ca_file = Some("/nowhere/ca".into()),
            "cannot read /nowhere/ca: No such file or directory (os error 2)",
        )
        .await;
    }
}
