//! The connection to the servers, shared by everything that writes and reads.

use std::fmt;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::{self, context::RequestErrorKind};
use async_nats::{Client, HeaderMap, Message, Request, RequestErrorKind as SendErrorKind};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};

use super::connect::{ConnectError, Notices, REPLY_WITHIN, connect};
use crate::config::NatsSettings;
use crate::ports::LogError;

/// How often a call that waits for the connection looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The oldest server we use: older ones ignore settings that we rely on.
const VERSION_MIN: (u32, u32) = (2, 10);
/// The oldest server that stores several records at once and looks for repeats among them.
const ATOMIC_BATCHES_FROM: (u32, u32) = (2, 12);

/// The connection.
pub(super) struct Link {
    /// The client; it reconnects by itself, for ever.
    pub(super) client: Client,
    /// The servers' log part.
    pub(super) jetstream: jetstream::Context,
    notices: Notices,
}

/// Why a question to the servers has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AskError {
    /// Nobody is there to answer: what was asked for does not exist, or has no leader at the moment.
    #[error("nobody answers for it")]
    Nobody,
    /// No answer came. What was asked may have been done.
    #[error("{0}")]
    Silent(String),
    /// The client did not send it: the server takes no more bytes than this.
    #[error("too large: the server takes {bytes_max} bytes")]
    TooLarge {
        /// Of headers and payload.
        bytes_max: usize,
    },
    /// The server said no; nothing was done.
    #[error("{text}")]
    Refused {
        /// Its number of the reason.
        code: u64,
        /// Its words.
        text: String,
    },
}

impl From<AskError> for LogError {
    fn from(error: AskError) -> Self {
        Self { reason: error.to_string() }
    }
}

/// A failure with a reason that was found here.
pub(super) fn failed(reason: impl fmt::Display) -> LogError {
    LogError { reason: reason.to_string() }
}

impl Link {
    pub(super) async fn start(settings: &NatsSettings) -> Result<Self, ConnectError> {
        let notices = Notices::default();
        let client = connect(settings, notices.clone()).await?;
        Ok(Self { jetstream: jetstream::new(client.clone()), client, notices })
    }

    /// Whether a server is there at the moment.
    pub(super) fn is_connected(&self) -> bool {
        match self.client.connection_state() {
            State::Connected => true,
            State::Pending | State::Disconnected => false,
        }
    }

    /// Waits for a server.
    ///
    /// # Errors
    /// None is there after `wait`.
    pub(super) async fn connected(&self, wait: Duration) -> Result<(), LogError> {
        let deadline = Instant::now() + wait;
        while !self.is_connected() {
            if Instant::now() >= deadline {
                return Err(failed(self.notices.reason()));
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Asks the servers' log part; `subject` without its prefix.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        subject: String,
        body: &(impl Serialize + Sync + ?Sized),
    ) -> Result<T, AskError> {
        // The client's own limit begins when the question has left; before that it may wait for ever.
        let asked = timeout(REPLY_WITHIN * 2, self.jetstream.request(subject.clone(), body));
        let asked = tokio::select! {
            biased;
            asked = asked => asked,
            text = self.notices.refusal(&format!("$JS.API.{subject}")) => {
                return Err(AskError::Refused { code: 0, text });
            }
        };
        match asked {
            Ok(Ok(Response::Ok(answer))) => Ok(answer),
            Ok(Ok(Response::Err { error })) => {
                Err(AskError::Refused { code: error.error_code().0, text: error.to_string() })
            }
            Ok(Err(error)) => Err(match error.kind() {
                RequestErrorKind::NoResponders => AskError::Nobody,
                RequestErrorKind::TimedOut | RequestErrorKind::InvalidSubject | RequestErrorKind::Other => {
                    AskError::Silent(format!("{subject}: {error}"))
                }
            }),
            Err(_) => Err(AskError::Silent(format!("{subject}: not sent in time"))),
        }
    }

    /// Asks what there is; `subject` without its prefix.
    pub(super) async fn look<T: DeserializeOwned>(&self, subject: String) -> Result<T, AskError> {
        self.ask(subject, &serde_json::Map::new()).await
    }

    /// Sends a message and waits for its answer, at most `wait`.
    pub(super) async fn request(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
        wait: Duration,
    ) -> Result<Message, AskError> {
        let request = Request::new().headers(headers).payload(payload).timeout(Some(wait));
        let refusal = self.notices.refusal(&subject);
        let sent = tokio::select! {
            biased;
            sent = timeout(wait, self.client.send_request(subject, request)) => sent,
            text = refusal => return Err(AskError::Refused { code: 0, text }),
        };
        match sent {
            Ok(Ok(message)) => Ok(message),
            Ok(Err(error)) => Err(match error.kind() {
                SendErrorKind::NoResponders => AskError::Nobody,
                SendErrorKind::InvalidSubject => AskError::Refused { code: 0, text: error.to_string() },
                SendErrorKind::MaxPayloadExceeded => {
                    AskError::TooLarge { bytes_max: self.client.max_payload() }
                }
                SendErrorKind::TimedOut | SendErrorKind::Other => AskError::Silent(error.to_string()),
            }),
            Err(_) => Err(AskError::Silent("no answer in time".to_owned())),
        }
    }

    /// Sends a message that has no answer.
    ///
    /// # Errors
    /// Not connected. `Ok` says only that the client took it.
    pub(super) async fn send(&self, subject: String, payload: Bytes) -> Result<(), LogError> {
        self.connected(Duration::ZERO).await?;
        match timeout(REPLY_WITHIN, self.client.publish(subject, payload)).await {
            Ok(sent) => sent.map_err(failed),
            Err(_) => Err(failed("not sent in time")),
        }
    }

    /// Whether the server is new enough.
    ///
    /// # Errors
    /// It is not, with its version and ours.
    pub(super) fn check_version(&self) -> Result<(), LogError> {
        check_version(&self.client.server_info().version).map_err(failed)
    }

    /// Whether the server stores several records at once.
    pub(super) fn has_atomic_batches(&self) -> bool {
        version_of(&self.client.server_info().version) >= ATOMIC_BATCHES_FROM
    }
}

/// A server that is too old.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("nats-server {found:?} is too old: {}.{} or newer is needed", VERSION_MIN.0, VERSION_MIN.1)]
struct VersionError {
    found: String,
}

fn check_version(found: &str) -> Result<(), VersionError> {
    if version_of(found) < VERSION_MIN { Err(VersionError { found: found.to_owned() }) } else { Ok(()) }
}

/// The first two numbers of a version; zero for what is not one.
fn version_of(text: &str) -> (u32, u32) {
    let mut parts = text.trim_start_matches('v').split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::check_version;

    fn check(version: &str, is_new_enough: bool) {
        assert_eq!(check_version(version).is_ok(), is_new_enough, "{version:?}");
    }

    #[test]
    fn servers_from_2_10_on_are_new_enough() {
        check("2.10.0", true);
        check("2.10.0-beta.1", true);
        check("v2.15.1", true);
        check("3.0.0", true);
        check("2.9.25", false);
        check("1.4.1", false);
        check("", false);
        check("go", false);
    }

    #[test]
    fn an_old_server_is_named_with_what_is_needed() {
        let said = check_version("2.9.10").map_err(|error| error.to_string());
        assert_eq!(said, Err("nats-server \"2.9.10\" is too old: 2.10 or newer is needed".to_owned()));
    }
}
