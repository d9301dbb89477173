//! Settings: one typed value, read once, with the origin of each part of it.

mod nats;
mod sweep;
mod subject;
mod settings;
mod scylla;
mod backends;
mod choice;
mod nodes;
mod env;
mod units;
mod meaning;
mod duplicate;
mod source;
mod text;
mod load;
mod check;
mod problem;
mod print;

pub use self::scylla::{ScyllaSettings, ScyllaSettingsError, SerialLevel};
pub use backends::{
    BucketKind, BucketSettings, LedgerKind, LedgerSettings, LogKind, LogSettings, QueueKind, QueueSettings,
    S3Settings, SignerKind, SignerSettings,
};
pub use env::{IgnoredVariable, ignored_line};
pub use load::{Loaded, Origins, load};
pub use nats::{AtomicBatches, ManageStreams, NatsSettings};
pub use print::printed;
pub use problem::{ConfigError, Problem};
pub use settings::{
    AdminSettings, AuthSettings, Config, DownloadSettings, EventSettings, HttpSettings, IssuerAlgorithm,
    IssuerSettings, QuotaSettings, TelemetrySettings, UploadSettings,
};
pub use source::{Flag, Origin, Sources};
pub use subject::SubjectKind;
pub use sweep::{OrphanSetting, SweepSettings};
