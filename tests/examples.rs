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
fn aws_has_every_part_shared_by_all_processes() {
    let config = example("aws.toml");
    assert_eq!((config.ledger.kind, config.log.kind), (LedgerKind::Scylla, LogKind::Nats));
    assert!(!config.single_node && !config.http.cursor_key_file.as_os_str().is_empty());
    let kinds = (config.queue.kind, config.objects.kind, config.signer.kind);
    assert_eq!(kinds, (QueueKind::Sqs, BucketKind::S3, SignerKind::S3));
    assert!(config.objects.endpoint.is_empty() && config.objects.access_key_id.is_empty());
}

/// Two processes started from the example must not keep accounts of their own beside a queue that they share.
#[test]
fn aws_without_its_ledger_or_its_log_is_refused() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/aws.toml");
    let text = std::fs::read_to_string(file).expect("a file");
    for section in ["ledger", "log"] {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("aws.toml");
        let whole: toml::Table = text.parse().expect("TOML");
        let rest: toml::Table = whole.into_iter().filter(|(name, _)| name != section).collect();
        std::fs::write(&file, rest.to_string()).expect("a file");
        let error =
            load(&Sources { file: Some(file), ..Sources::default() }).expect_err("is refused").to_string();
        assert!(
            error.starts_with(&format!("{section}.kind: ")) && error.contains("single_node = true"),
            "{error}"
        );
    }
}

#[test]
fn native_has_every_engine_real() {
    let config = example("native.toml");
    assert_eq!((config.ledger.kind, config.log.kind), (LedgerKind::Scylla, LogKind::Nats));
    assert_eq!((config.queue.kind, config.objects.kind), (QueueKind::Sqs, BucketKind::Embedded));
}

/// What the service asks of AWS, by the SDK's name, and what it must be allowed for that.
const ASKED: [(&str, &str); 18] = [
    ("get_object", "s3:GetObject"),
    ("put_object", "s3:PutObject"),
    ("list_queue_tags", "sqs:ListQueueTags"),
    ("tag_queue", "sqs:TagQueue"),
    ("head_bucket", "s3:ListBucket"),
    ("list_objects_v2", "s3:ListBucket"),
    ("list_multipart_uploads", "s3:ListBucketMultipartUploads"),
    ("head_object", "s3:GetObject"),
    ("delete_object", "s3:DeleteObject"),
    ("create_multipart_upload", "s3:PutObject"),
    ("complete_multipart_upload", "s3:PutObject"),
    ("abort_multipart_upload", "s3:AbortMultipartUpload"),
    ("list_parts", "s3:ListMultipartUploadParts"),
    ("receive_message", "sqs:ReceiveMessage"),
    ("delete_message_batch", "sqs:DeleteMessage"),
    ("change_message_visibility", "sqs:ChangeMessageVisibility"),
    ("get_queue_url", "sqs:GetQueueUrl"),
    ("get_queue_attributes", "sqs:GetQueueAttributes"),
];
/// Only the embedded bucket sends.
const NEVER_ON_AWS: &str = "send_message";

#[test]
fn aws_allows_all_that_the_service_asks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = std::fs::read_to_string(root.join("examples/aws.toml")).expect("a file");
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == ':';
    let allowed: Vec<&str> = example.split(|c| !is_word(c)).collect();
    let mut asked = 0;
    for file in [
        "s3/port.rs",
        "s3/multipart.rs",
        "sqs/client.rs",
        "sqs/port.rs",
        "sqs/depth.rs",
        "s3/stamp.rs",
        "sqs/stamp.rs",
    ] {
        let text = std::fs::read_to_string(root.join("src/adapters").join(file)).expect("a file");
        let text: String = text.split_whitespace().collect();
        let calls = [".s3.", ".sqs."].map(|client| text.split(client).skip(1));
        for call in calls.into_iter().flatten().filter_map(|rest| Some(rest.split_once("()")?.0)) {
            let is_name = call.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'2'));
            if is_name && call != NEVER_ON_AWS {
                let action = ASKED.iter().find(|(name, _)| *name == call);
                let (_, action) = action.unwrap_or_else(|| panic!("{file} asks {call}: what allows it?"));
                assert!(allowed.contains(action), "{call} needs {action}");
                asked += 1;
            }
        }
    }
    assert!(asked >= ASKED.len(), "only {asked} calls were found");
}
