//! From settings to a client that connects in the background and never gives up.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::{Auth, AuthError, Client, ConnectOptions, ServerAddr};
use metrics::counter;
use tracing::{info, warn};

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

/// Why the settings cannot be used. Servers that are away are not among the reasons.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// An address cannot be read.
    #[error("nats url {url:?} is not host, host:port, nats://host:port or tls://host:port")]
    Url {
        /// As it stands in the settings.
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

/// What the last try to connect came to, for whoever has to be told.
#[derive(Clone, Debug, Default)]
pub(super) struct LastTry(Arc<Mutex<Option<String>>>);

impl LastTry {
    fn set(&self, outcome: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = outcome;
    }

    /// Why there is no connection, as far as is known.
    pub(super) fn reason(&self) -> String {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        known.map_or_else(|| "not connected".to_owned(), |error| format!("not connected: {error}"))
    }
}

/// Starts a client. It connects in the background, so this succeeds while no server is there.
pub(super) async fn connect(settings: &NatsSettings, last_try: LastTry) -> Result<Client, ConnectError> {
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
        .event_callback(move |event| note(event, last_try.clone()));
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

async fn identity(settings: &NatsSettings) -> Result<ConnectOptions, ConnectError> {
    if let Some(path) = &settings.credentials_file {
        let refused = |source| ConnectError::File { path: path.clone(), source };
        return ConnectOptions::with_credentials_file(path).await.map_err(refused);
    }
    match (settings.user.as_str(), settings.password_file.clone()) {
        ("", None) => Ok(ConnectOptions::new()),
        ("", Some(_)) => Err(ConnectError::Half { present: "nats.password_file", missing: "nats.user" }),
        (_, None) => Err(ConnectError::Half { present: "nats.user", missing: "nats.password_file" }),
        (user, Some(path)) => {
            password(&path).await.map_err(|source| ConnectError::File { path: path.clone(), source })?;
            Ok(with_password(user.to_owned(), path))
        }
    }
}

/// The password is read at every connect, so that it can change while we run.
fn with_password(user: String, path: PathBuf) -> ConnectOptions {
    ConnectOptions::with_auth_callback(move |_nonce| {
        let (user, path) = (user.clone(), path.clone());
        async move {
            let mut auth = Auth::new();
            auth.username = Some(user);
            auth.password = Some(password(&path).await.map_err(AuthError::new)?);
            Ok(auth)
        }
    })
}

async fn password(path: &Path) -> std::io::Result<String> {
    let text = tokio::fs::read_to_string(path).await?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
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

async fn note(event: async_nats::Event, last_try: LastTry) {
    match event {
        async_nats::Event::Connected => {
            last_try.set(None);
            counter!(names::NATS_CONNECTS_TOTAL).increment(1);
            info!("connected to nats");
        }
        async_nats::Event::Disconnected => warn!("nats is away; trying again until it is back"),
        async_nats::Event::SlowConsumer(_) => {
            counter!(names::NATS_DROPPED_TOTAL).increment(1);
            warn!("a reader was too slow and lost a message; the log delivers it again");
        }
        async_nats::Event::ServerError(error) => warn!("nats says: {error}"),
        async_nats::Event::ClientError(error) => {
            warn!("nats client: {error}");
            last_try.set(Some(error.to_string().trim_start_matches("nats: ").to_owned()));
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
        let outcome = connect(&settings, LastTry::default()).await;
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
