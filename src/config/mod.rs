//! Settings: one typed value, read once, with the origin of each part of it.

mod settings;
mod source;
mod text;
mod load;
mod check;
mod problem;
mod print;

pub use load::{Loaded, Origins, load};
pub use print::printed;
pub use problem::{ConfigError, Problem};
pub use settings::{
    AdminSettings, AuthSettings, BucketKind, BucketSettings, Config, DownloadSettings, EventSettings,
    HttpSettings, IssuerAlgorithm, IssuerSettings, LedgerKind, LedgerSettings, LogKind, LogSettings,
    QueueKind, QueueSettings, QuotaSettings, S3Settings, SignerKind, SignerSettings, TelemetrySettings,
    UploadSettings,
};
pub use source::{Flag, Origin, Sources};
