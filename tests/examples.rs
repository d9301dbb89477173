//! The settings files under `examples` can be used as they are.

use std::path::Path;

use wharfinger::config::{BucketKind, Config, LedgerKind, LogKind, QueueKind, SignerKind, Sources, load};

fn example(name: &str) -> Config {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    load(&Sources { file: Some(file), ..Sources::default() })
        .unwrap_or_else(|error| panic!("{name}: {error}"))
        .config
}

#[test]
fn one_box_needs_nothing_but_itself() {
    let config = example("one-box.toml");
    assert_eq!((config.ledger.kind, config.log.kind), (LedgerKind::Embedded, LogKind::Embedded));
    assert_eq!((config.queue.kind, config.objects.kind), (QueueKind::Embedded, BucketKind::Embedded));
    assert!(
        config.objects.public_endpoint.starts_with("https://"),
        "clients elsewhere follow what is signed"
    );
}

#[test]
fn aws_has_bucket_queue_and_signer_on_aws() {
    let config = example("aws.toml");
    let kinds = (config.queue.kind, config.objects.kind, config.signer.kind);
    assert_eq!(kinds, (QueueKind::Sqs, BucketKind::S3, SignerKind::S3));
    assert!(config.objects.endpoint.is_empty() && config.objects.access_key_id.is_empty());
}

#[test]
fn native_has_every_engine_real() {
    let config = example("native.toml");
    assert_eq!((config.ledger.kind, config.log.kind), (LedgerKind::Scylla, LogKind::Nats));
    assert_eq!((config.queue.kind, config.objects.kind), (QueueKind::Sqs, BucketKind::Embedded));
}
