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
    /// Where it listens.
    pub listen: SocketAddr,
    /// Bytes of the disk that uploads leave free. With less, uploads are refused for now and the process is not ready.
    pub reserve_bytes: u64,
}

/// Where accounts and files live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerSettings {
    /// Which backend.
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
    /// Which backend.
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

/// Where the bucket tells what happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSettings {
    /// Which backend.
    pub kind: QueueKind,
    /// Loops that move notifications into the log, side by side.
    pub pollers: usize,
    /// SQS: the queue's URL; this or `name`.
    pub url: String,
    /// SQS: the queue's name.
    pub name: String,
    /// SQS: where it is; empty: in the bucket's region.
    pub region: String,
    /// SQS: `http://127.0.0.1:9324`; empty: that of `url`, or where AWS has it.
    pub endpoint: String,
    /// SQS: whose requests these are; empty: the credential chain of AWS.
    pub access_key_id: String,
    /// SQS: a file with the secret that belongs to it.
    pub secret_key_file: PathBuf,
    /// SQS: how long a notification that was received stays hidden, in seconds.
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
    /// Which backend.
    pub kind: BucketKind,
    /// Its name.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// Where clients reach it, `https://s3.example.com`; empty: where we do.
    pub public_endpoint: String,
    /// S3: where we reach it, `http://127.0.0.1:7070`; empty: where AWS has it.
    pub endpoint: String,
    /// S3: whether URLs name it in their path instead of in their host.
    pub path_style: bool,
    /// S3: whose requests these are; empty: the credential chain of AWS.
    pub access_key_id: String,
    /// S3: a file with the secret that belongs to it.
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

/// Who signs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SignerSettings {
    /// Which backend.
    pub kind: SignerKind,
    /// S3: whose signatures these are; empty: as for `objects`.
    pub access_key_id: String,
    /// S3: a file with the secret that belongs to it.
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
