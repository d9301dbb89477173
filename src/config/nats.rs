//! Settings of the log on NATS JetStream.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How to reach the servers, who we are there, and what the streams shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NatsSettings {
    /// The servers, `nats://host:4222` or `tls://host:4222`. Without names and passwords.
    pub urls: Vec<String>,
    /// A file with a user's token and key (`.creds`); or use `user`.
    pub credentials_file: Option<PathBuf>,
    /// A user's name; empty: none.
    pub user: String,
    /// A file with that user's password, read at every connect; a last newline does not count.
    pub password_file: Option<PathBuf>,
    /// Certificates of authorities, PEM; none: those of the system.
    pub tls_ca_file: Option<PathBuf>,
    /// Our certificate, PEM, if the servers ask for one.
    pub tls_cert_file: Option<PathBuf>,
    /// The key of our certificate, PEM.
    pub tls_key_file: Option<PathBuf>,
    /// Refuses servers without TLS. `tls://` does so too.
    pub tls_required: bool,
    /// The subject below which replies are received; users with permissions have one each (`nats/accounts.conf`).
    pub inbox_prefix: String,
    /// Whether missing streams are created, streams are checked only, or not looked at.
    pub manage_streams: ManageStreams,
    /// Copies of each stream, 1 to 5; at least 3 to survive the loss of a server.
    pub replicas: u8,
    /// Bytes INGEST may hold; when it is full the bucket's notifications wait in their queue.
    pub ingest_bytes_max: u64,
    /// Bytes EVENTS may hold; the oldest events give way.
    pub events_bytes_max: u64,
    /// Bytes DLQ may hold; the oldest records give way.
    pub dlq_bytes_max: u64,
    /// Whether arrivals of one batch are stored in one request.
    pub atomic_batches: AtomicBatches,
    /// How long a reader may receive nothing before the server is asked whether it holds something back, in seconds.
    pub stalled_after_secs: u64,
}

/// How streams are handled at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ManageStreams {
    /// Makes those that are missing; never changes one that is there, and refuses to use it if it could
    /// lose or repeat what we rely on.
    #[default]
    Create,
    /// Makes none; otherwise the same.
    Check,
    /// Does not look.
    Off,
}

/// Whether arrivals that come together are stored together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AtomicBatches {
    /// Where the stream allows it: nats-server 2.12 or newer.
    Auto,
    /// One by one.
    #[default]
    Off,
}

impl Default for NatsSettings {
    fn default() -> Self {
        Self {
            urls: vec!["nats://127.0.0.1:4222".to_owned()],
            credentials_file: None,
            user: String::new(),
            password_file: None,
            tls_ca_file: None,
            tls_cert_file: None,
            tls_key_file: None,
            tls_required: false,
            inbox_prefix: "_INBOX".to_owned(),
            manage_streams: ManageStreams::default(),
            replicas: 1,
            ingest_bytes_max: 1 << 30,
            events_bytes_max: 2 << 30,
            dlq_bytes_max: 256 << 20,
            atomic_batches: AtomicBatches::default(),
            stalled_after_secs: 15,
        }
    }
}
