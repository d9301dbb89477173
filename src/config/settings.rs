//! Every setting with its default. The defaults need nothing installed.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::backends::{
    BucketSettings, LedgerSettings, LogSettings, QueueSettings, S3Settings, SignerSettings,
};
use super::subject::SubjectKind;
use super::sweep::SweepSettings;
use crate::limits;

/// All settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The folder in which embedded parts keep their data.
    pub data_dir: PathBuf,
    /// The name of the deployment, part of the `source` of every event.
    pub deployment: String,
    /// Slices of users that are worked on in order. Fixed for the life of a deployment.
    pub shards: u16,
    /// Declares that only one process of this deployment ever runs. Required where `embedded` parts stand beside
    /// parts that processes share: a second process would not see what the first one keeps.
    pub single_node: bool,
    /// The API.
    pub http: HttpSettings,
    /// Metrics and health.
    pub admin: AdminSettings,
    /// Who may call.
    pub auth: AuthSettings,
    /// How much a user may store.
    pub quota: QuotaSettings,
    /// Uploads.
    pub upload: UploadSettings,
    /// Downloads.
    pub download: DownloadSettings,
    /// Events.
    pub events: EventSettings,
    /// The periodic search for missed arrivals, overdue work and orphans.
    pub sweep: SweepSettings,
    /// The embedded S3 endpoint.
    pub s3: S3Settings,
    /// Where accounts and files live.
    pub ledger: LedgerSettings,
    /// Where events live.
    pub log: LogSettings,
    /// The queue of the notifications of the bucket.
    pub queue: QueueSettings,
    /// The bucket.
    pub objects: BucketSettings,
    /// The signer of uploads and downloads.
    pub signer: SignerSettings,
    /// Logs.
    pub telemetry: TelemetrySettings,
}

/// The API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// The address and port of the API.
    pub listen: SocketAddr,
    /// The URL at which clients reach the API, without a final slash; links start with it. Empty: links are relative.
    pub public_url: String,
    /// Connections that may be open at the same time.
    pub connections_max: usize,
    /// Percent of the connections, of the API and of the embedded S3 endpoint, that one IPv4 address or one IPv6 network
    /// of 64 bits may have open; 0: no limit of its own. Raise it behind a load balancer or a proxy: all connections
    /// come from its few addresses then.
    pub connections_per_address_percent: u8,
    /// Origins of pages that may call it, `https://app.example.com`; `loopback`: pages of this machine, any port.
    pub allowed_origins: Vec<String>,
    /// A file whose bytes (32 at least) seal the cursors of lists, the same on every node; empty: one is made
    /// under `data_dir`.
    pub cursor_key_file: PathBuf,
}

/// Metrics and health, on a listener of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdminSettings {
    /// The address and port of health and metrics.
    pub listen: SocketAddr,
}

/// Who may call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthSettings {
    /// The issuers whose tokens are accepted.
    pub issuers: Vec<IssuerSettings>,
}

/// One issuer of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// The `iss` of its tokens, exactly.
    pub issuer: String,
    /// The value that the `aud` of its tokens must contain.
    pub audience: String,
    /// The only algorithm that is accepted from this issuer.
    pub algorithm: IssuerAlgorithm,
    /// A file with the key: the secret's bytes (HS256) or a public key in PEM.
    pub key_file: PathBuf,
    /// The name of the key, as the `kid` of a token gives it. A token without `kid` is fine; one with another is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The claim that holds the roles, a list of strings.
    #[serde(default = "roles_claim")]
    pub roles_claim: String,
    /// What the token's `sub` is. Left out: a name, and a warning if it is a UUID. Needed beside other issuers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectKind>,
}

impl IssuerSettings {
    /// Whether a text can be the name of a key.
    #[must_use]
    pub fn is_kid(text: &str) -> bool {
        (1..=limits::TOKEN_KID_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:=+@-".contains(&b))
    }
}

fn roles_claim() -> String {
    "roles".to_owned()
}

/// How an issuer signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IssuerAlgorithm {
    /// HMAC with SHA-256; for a single machine.
    HS256,
    /// RSA with SHA-256.
    RS256,
    /// ECDSA on P-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

/// How much a user may store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuotaSettings {
    /// Bytes that a user may store, unless an admin sets another limit.
    pub default_bytes: u64,
    /// Files that a user may have, trashed and pending ones included.
    pub files_max: u32,
    /// What is known of files of a user, deleted ones included: those are known until no URL of theirs can be used.
    /// Above it nothing new is reserved. At least `files_max`.
    pub rows_max: u32,
}

/// Uploads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UploadSettings {
    /// Bytes of one file at most.
    pub max_bytes: u64,
    /// How long a signed upload may be started, in seconds. At most 6 days: the row of a deleted file is forgotten
    /// after 7, and no upload of it may land after that.
    pub url_ttl_secs: u64,
    /// Content types that may be declared; empty: all. `image/*` takes a whole family.
    pub allowed_types: Vec<String>,
}

/// Downloads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DownloadSettings {
    /// How long a signed download may be started, in seconds; `?expires_in=` asks for less. At most 43,200 (12 hours).
    pub url_ttl_secs: u64,
}

/// Events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventSettings {
    /// Leaves file names out of events.
    pub redact_names: bool,
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySettings {
    /// Which lines are logged, in the syntax of `tracing`'s `EnvFilter`.
    pub filter: String,
    /// `auto` (JSON off a terminal), `json` or `text`.
    pub format: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("wharf-data"),
            deployment: "local".to_owned(),
            shards: limits::SHARDS_DEFAULT,
            single_node: false,
            http: HttpSettings::default(),
            admin: AdminSettings::default(),
            auth: AuthSettings::default(),
            quota: QuotaSettings::default(),
            upload: UploadSettings::default(),
            download: DownloadSettings::default(),
            events: EventSettings::default(),
            sweep: SweepSettings::default(),
            s3: S3Settings::default(),
            ledger: LedgerSettings::default(),
            log: LogSettings::default(),
            queue: QueueSettings::default(),
            objects: BucketSettings::default(),
            signer: SignerSettings::default(),
            telemetry: TelemetrySettings::default(),
        }
    }
}

impl HttpSettings {
    /// Of so many connections, those that one address may have; none: there is no limit of its own.
    #[must_use]
    pub fn per_address_of(&self, connections_max: usize) -> Option<usize> {
        let percent = usize::from(self.connections_per_address_percent);
        (percent > 0).then(|| (connections_max.saturating_mul(percent) / 100).max(1))
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: String::new(),
            connections_max: 10_000,
            connections_per_address_percent: 25,
            allowed_origins: Vec::new(),
            cursor_key_file: PathBuf::new(),
        }
    }
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9090)) }
    }
}

impl Default for QuotaSettings {
    fn default() -> Self {
        Self {
            default_bytes: limits::QUOTA_BYTES_DEFAULT,
            files_max: limits::FILES_MAX,
            rows_max: limits::ROWS_MAX,
        }
    }
}

impl Default for UploadSettings {
    fn default() -> Self {
        Self {
            max_bytes: limits::FILE_BYTES_DEFAULT,
            url_ttl_secs: limits::UPLOAD_URL_TTL.as_secs(),
            allowed_types: Vec::new(),
        }
    }
}

impl Default for DownloadSettings {
    fn default() -> Self {
        Self { url_ttl_secs: limits::DOWNLOAD_URL_TTL.as_secs() }
    }
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: "auto".to_owned() }
    }
}
