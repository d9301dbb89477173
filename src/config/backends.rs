//! The settings of the backends: which one, and what it needs to know.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::nats::NatsSettings;
use super::scylla::ScyllaSettings;
use crate::limits;

/// The embedded S3 endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct S3Settings {
    /// The address and port of the embedded S3 endpoint.
    pub listen: SocketAddr,
    /// Bytes of the disk that uploads leave free. With less, uploads are refused for now and the process is not ready.
    pub reserve_bytes: u64,
}

/// Where accounts and files live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerSettings {
    /// The engine of the ledger: accounts, files and entries.
    pub kind: LedgerKind,
    /// Days that the history of a user is kept, 0 for ever. Longer than the longest outage of the log, or lost events
    /// cannot be published again.
    pub history_days: u32,
    /// ScyllaDB or Apache Cassandra.
    pub scylla: ScyllaSettings,
}

impl LedgerSettings {
    /// How long entries are kept; none: for ever.
    #[must_use]
    pub fn history(&self) -> Option<Duration> {
        (self.history_days > 0).then(|| Duration::from_secs(u64::from(self.history_days) * 24 * 3600))
    }
}

impl Default for LedgerSettings {
    fn default() -> Self {
        let days = limits::HISTORY_RETENTION.as_secs() / (24 * 3600);
        Self {
            kind: LedgerKind::default(),
            history_days: u32::try_from(days).unwrap_or(u32::MAX),
            scylla: ScyllaSettings::default(),
        }
    }
}

/// A backend of the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LedgerKind {
    /// In this process, under `data_dir`.
    #[default]
    Embedded,
    /// ScyllaDB or Apache Cassandra.
    Scylla,
}

/// Where events live.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// The engine of the log: arrivals, events and dead letters.
    pub kind: LogKind,
    /// NATS JetStream.
    pub nats: NatsSettings,
}

/// A backend of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogKind {
    /// In this process, under `data_dir`.
    #[default]
    Embedded,
    /// NATS JetStream.
    Nats,
}

/// The queue of the notifications of the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSettings {
    /// The engine of the queue of notifications.
    pub kind: QueueKind,
    /// Loops that move notifications into the log, side by side.
    pub pollers: usize,
    /// The URL of the queue; set this or `queue.name`.
    pub url: String,
    /// The name of the queue; set this or `queue.url`.
    pub name: String,
    /// The region of the queue; empty: that of the bucket.
    pub region: String,
    /// The endpoint of SQS, like `http://127.0.0.1:9324`; empty: that of `queue.url`, or the one of AWS.
    pub endpoint: String,
    /// The access key for the queue; empty: the credential chain of AWS.
    pub access_key_id: String,
    /// A file with the secret of `queue.access_key_id`.
    pub secret_key_file: PathBuf,
    /// How long a received notification stays hidden from other receivers, in seconds.
    pub visibility_secs: u64,
}

/// A backend of the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueueKind {
    /// In this process, under `data_dir`.
    #[default]
    Embedded,
    /// Amazon SQS.
    Sqs,
}

/// The bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BucketSettings {
    /// The engine of the bucket.
    pub kind: BucketKind,
    /// The name of the bucket.
    pub bucket: String,
    /// The region of the bucket.
    pub region: String,
    /// The endpoint at which clients reach the bucket, like `https://s3.example.com`; empty: the same as ours.
    pub public_endpoint: String,
    /// The endpoint at which the service reaches the bucket, like `http://127.0.0.1:7070`; empty: the one of AWS.
    pub endpoint: String,
    /// Whether URLs name the bucket in their path instead of in their host.
    pub path_style: bool,
    /// The access key for the bucket; empty: the credential chain of AWS.
    pub access_key_id: String,
    /// A file with the secret of `objects.access_key_id`.
    pub secret_key_file: PathBuf,
}

/// A backend of the bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BucketKind {
    /// In this process, under `data_dir`, with an S3 endpoint of its own.
    #[default]
    Embedded,
    /// Amazon S3.
    S3,
}

/// The signer of uploads and downloads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SignerSettings {
    /// The engine of the signer; must fit `objects.kind`.
    pub kind: SignerKind,
    /// The access key to sign with; empty: that of `objects`.
    pub access_key_id: String,
    /// A file with the secret of `signer.access_key_id`.
    pub secret_key_file: PathBuf,
}

/// A backend of the signer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignerKind {
    /// SigV4 against the embedded endpoint.
    #[default]
    Embedded,
    /// SigV4 against Amazon S3.
    S3,
}

impl Default for S3Settings {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9000)), reserve_bytes: limits::DISK_RESERVE_BYTES }
    }
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            kind: QueueKind::default(),
            pollers: 2,
            url: String::new(),
            name: String::new(),
            region: String::new(),
            endpoint: String::new(),
            access_key_id: String::new(),
            secret_key_file: PathBuf::new(),
            visibility_secs: 60,
        }
    }
}

impl Default for BucketSettings {
    fn default() -> Self {
        Self {
            kind: BucketKind::default(),
            bucket: "wharf".to_owned(),
            region: "us-east-1".to_owned(),
            public_endpoint: String::new(),
            endpoint: String::new(),
            path_style: false,
            access_key_id: String::new(),
            secret_key_file: PathBuf::new(),
        }
    }
}
