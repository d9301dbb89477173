//! Which engine each part is: one line when the service is ready.

use super::listeners::Addresses;
use crate::config::{BucketKind, Config, LedgerKind, LogKind, QueueKind, SignerKind};

/// Which engine each part is, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engines {
    ledger: String,
    log: String,
    queue: String,
    objects: String,
    signer: &'static str,
}

impl Engines {
    /// The chosen engine. Names hosts, never keys.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let embedded = |folder: &str| format!("embedded ({})", config.data_dir.join(folder).display());
        let queue = &config.queue;
        let named = if queue.url.is_empty() { &queue.name } else { &queue.url };
        let objects = &config.objects;
        Self {
            ledger: match config.ledger.kind {
                LedgerKind::Embedded => embedded("store"),
                LedgerKind::Scylla => {
                    let scylla = &config.ledger.scylla;
                    format!("scylla ({} on {})", scylla.keyspace, scylla.nodes.join(", "))
                }
            },
            log: match config.log.kind {
                LogKind::Embedded => embedded("store"),
                LogKind::Nats => format!("nats ({})", config.log.nats.urls.join(", ")),
            },
            queue: match queue.kind {
                QueueKind::Embedded => embedded("store"),
                QueueKind::Sqs => format!("sqs ({})", at(named, &queue.endpoint)),
            },
            objects: match objects.kind {
                BucketKind::Embedded => embedded("bucket"),
                BucketKind::S3 => {
                    format!("s3 ({} in {})", at(&objects.bucket, &objects.endpoint), objects.region)
                }
            },
            signer: match config.signer.kind {
                SignerKind::Embedded => "embedded",
                SignerKind::S3 => "s3",
            },
        }
    }

    pub(super) fn ledger(&self) -> &str {
        &self.ledger
    }

    pub(super) fn log(&self) -> &str {
        &self.log
    }

    pub(super) fn queue(&self) -> &str {
        &self.queue
    }

    pub(super) fn objects(&self) -> &str {
        &self.objects
    }

    pub(super) const fn signer(&self) -> &'static str {
        self.signer
    }

    /// Logs in one line that the service is ready: version, addresses, and the engine of each part.
    pub fn log_ready(&self, addresses: &Addresses) {
        let Self { ledger, log, queue, objects, signer } = self;
        let version = env!("CARGO_PKG_VERSION");
        let Addresses { api, admin, s3 } = addresses;
        let bucket = s3.map(|s3| format!(", bucket on http://{s3}")).unwrap_or_default();
        tracing::info!(
            version, api = %api, admin = %admin, ledger, log, queue, objects, signer,
            "wharfinger {version} is ready: API on http://{api}, health and metrics on http://{admin}{bucket}; \
             ledger {ledger}, log {log}, queue {queue}, objects {objects}, signer {signer}"
        );
    }
}

/// A name, and where it is if that is not AWS.
fn at(name: &str, endpoint: &str) -> String {
    if endpoint.is_empty() { name.to_owned() } else { format!("{name} at {endpoint}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_named_with_its_place() {
        let mut config = Config { data_dir: "data".into(), ..Config::default() };
        let engines = Engines::of(&config);
        assert_eq!((engines.ledger.as_str(), engines.signer), ("embedded (data/store)", "embedded"));
        assert_eq!(engines.objects, "embedded (data/bucket)");
        config.ledger.kind = LedgerKind::Scylla;
        config.log.kind = LogKind::Nats;
        config.queue.kind = QueueKind::Sqs;
        config.queue.name = "wharf".to_owned();
        config.queue.endpoint = "http://127.0.0.1:9324".to_owned();
        (config.objects.kind, config.signer.kind) = (BucketKind::S3, SignerKind::S3);
        let engines = Engines::of(&config);
        assert_eq!(engines.ledger, "scylla (wharfinger on 127.0.0.1:9042)");
        assert_eq!(engines.log, "nats (nats://127.0.0.1:4222)");
        assert_eq!(engines.queue, "sqs (wharf at http://127.0.0.1:9324)");
        assert_eq!((engines.objects.as_str(), engines.signer), ("s3 (wharf in us-east-1)", "s3"));
    }
}
