//! Settings: one typed value, read once.

mod settings;

pub use settings::{
    AdminSettings, AuthSettings, BucketKind, BucketSettings, Config, DownloadSettings, EventSettings,
    HttpSettings, IssuerAlgorithm, IssuerSettings, LedgerKind, LedgerSettings, LogKind, LogSettings,
    QueueKind, QueueSettings, QuotaSettings, S3Settings, SignerKind, SignerSettings, TelemetrySettings,
    UploadSettings,
};
