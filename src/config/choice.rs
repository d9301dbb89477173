//! Settings that count only with one backend, and how backends go together.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::Path;

use super::backends::{
    BucketKind, BucketSettings, LedgerKind, LogKind, QueueKind, QueueSettings, SignerKind,
};
use super::check::{SettingsCheck, is_origin, is_origin_and_path, is_region};
use super::nats::{ManageStreams, NatsSettings};
use super::nodes;
use super::settings::Config;
use crate::limits;

/// Each poller has a batch under way, and nothing else bounds publishes.
const POLLERS_MAX: usize = limits::PUBLISHES_IN_FLIGHT_MAX / limits::QUEUE_BATCH_MAX;
/// From what the bridge needs before it asks for more time, to the most that SQS allows.
const VISIBILITY_SECS: RangeInclusive<u64> = 30..=12 * 3600;
/// Copies of a stream, by the rules of NATS.
const REPLICAS: RangeInclusive<u8> = 1..=5;
/// The least a stream may hold: some of the largest notifications.
const STREAM_BYTES_MIN: u64 = 16 << 20;
/// Characters of a queue's name, by the rules of SQS.
const QUEUE_NAME_CHARS: RangeInclusive<usize> = 1..=80;

/// A choice that some settings have an effect with, and without which they have none.
struct Choice {
    /// How it is made.
    text: &'static str,
    is_made: fn(&Config) -> bool,
    /// The settings; with a dot at the end: all that begin so.
    keys: &'static [&'static str],
}

/// All of them.
const CHOICES: &[Choice] = &[
    Choice {
        text: "ledger.kind = \"scylla\"",
        is_made: |config| config.ledger.kind == LedgerKind::Scylla,
        keys: &["ledger.scylla."],
    },
    Choice {
        text: "log.kind = \"nats\"",
        is_made: |config| config.log.kind == LogKind::Nats,
        keys: &["log.nats."],
    },
    Choice {
        text: "log.nats.manage_streams = \"create\" or \"check\"",
        is_made: |config| config.log.nats.manage_streams != ManageStreams::Off,
        keys: &["log.nats.replicas"],
    },
    Choice {
        text: "queue.kind = \"sqs\"",
        is_made: |config| config.queue.kind == QueueKind::Sqs,
        keys: &[
            "queue.url",
            "queue.name",
            "queue.region",
            "queue.endpoint",
            "queue.access_key_id",
            "queue.secret_key_file",
            "queue.visibility_secs",
        ],
    },
    Choice {
        text: "objects.kind = \"s3\"",
        is_made: |config| config.objects.kind == BucketKind::S3,
        keys: &["objects.endpoint", "objects.path_style", "objects.access_key_id", "objects.secret_key_file"],
    },
    Choice {
        text: "objects.kind = \"embedded\"",
        is_made: |config| config.objects.kind == BucketKind::Embedded,
        keys: &["s3."],
    },
    Choice {
        text: "signer.kind = \"s3\"",
        is_made: |config| config.signer.kind == SignerKind::S3,
        keys: &["signer.access_key_id", "signer.secret_key_file"],
    },
];

impl Choice {
    fn is_about(&self, key: &str) -> bool {
        self.keys.iter().any(|ours| if ours.ends_with('.') { key.starts_with(ours) } else { key == *ours })
    }
}

/// The choice without which a setting has no effect, if it was not made.
pub(super) fn missing_choice(config: &Config, key: &str) -> Option<&'static str> {
    CHOICES.iter().find(|choice| choice.is_about(key) && !(choice.is_made)(config)).map(|choice| choice.text)
}

/// Settings that some source says and that have no effect, and backends that do not go together.
pub(super) fn check(config: &Config, findings: &mut SettingsCheck<'_>) {
    for key in findings.configured() {
        let missing = missing_choice(config, &key);
        findings.expect(missing.is_none(), &key, || {
            format!("counts only with {}; remove it, or choose that", missing.unwrap_or_default())
        });
    }
    built(config, findings);
    nodes::check(config, findings);
    let (objects, signer) = (config.objects.kind, config.signer.kind);
    let (is_pair, word) = match (objects, signer) {
        (BucketKind::Embedded, SignerKind::Embedded) | (BucketKind::S3, SignerKind::S3) => (true, ""),
        (BucketKind::S3, SignerKind::Embedded) => (false, "s3"),
        (BucketKind::Embedded, SignerKind::S3) => (false, "embedded"),
    };
    findings.expect(is_pair, "signer.kind", || {
        format!("must be {word:?}: it signs for the bucket that objects.kind chooses")
    });
    if let Err(error) = config.ledger.scylla.check() {
        findings.expect(false, "ledger.scylla", || error.to_string());
    }
    if config.log.kind == LogKind::Nats {
        nats(&config.log.nats, findings);
    }
    queue(&config.queue, findings);
    bucket(&config.objects, findings);
    reachable(config, findings);
    keys(findings, "signer", (&config.signer.access_key_id, &config.signer.secret_key_file));
}

/// Refuses the engines that this build was made without.
fn built(config: &Config, findings: &mut SettingsCheck<'_>) {
    let aws = cfg!(feature = "aws");
    for (key, is_built, word, feature) in [
        ("ledger.kind", cfg!(feature = "cql") || config.ledger.kind == LedgerKind::Embedded, "scylla", "cql"),
        ("log.kind", cfg!(feature = "nats") || config.log.kind == LogKind::Embedded, "nats", "nats"),
        ("queue.kind", aws || config.queue.kind == QueueKind::Embedded, "sqs", "aws"),
        ("objects.kind", aws || config.objects.kind == BucketKind::Embedded, "s3", "aws"),
        ("signer.kind", aws || config.signer.kind == SignerKind::Embedded, "s3", "aws"),
    ] {
        findings.expect(is_built, key, || {
            format!("{word:?} is not in this build; build it with `--features {feature}`, or with the default features")
        });
    }
}

fn nats(nats: &NatsSettings, findings: &mut SettingsCheck<'_>) {
    let replicas = nats.replicas;
    findings.expect(REPLICAS.contains(&replicas), "log.nats.replicas", || {
        format!("{replicas} must be 1 to 5; odd, and at least 3 to survive the loss of a server")
    });
    let prefix = &nats.inbox_prefix;
    findings.expect(is_subject(prefix), "log.nats.inbox_prefix", || {
        format!("{prefix:?} must be a subject without wildcards, like _INBOX")
    });
    for (key, bytes) in [
        ("log.nats.ingest_bytes_max", nats.ingest_bytes_max),
        ("log.nats.events_bytes_max", nats.events_bytes_max),
        ("log.nats.dlq_bytes_max", nats.dlq_bytes_max),
    ] {
        findings.expect((STREAM_BYTES_MIN..=i64::MAX.unsigned_abs()).contains(&bytes), key, || {
            format!("{bytes} must be at least {STREAM_BYTES_MIN} (16 MiB); NATS takes 0 as no bound")
        });
    }
}

/// Words with dots between them.
fn is_subject(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'*' | b'>');
    text.split('.').all(|word| !word.is_empty() && word.bytes().all(is_plain))
}

fn queue(queue: &QueueSettings, findings: &mut SettingsCheck<'_>) {
    let pollers = queue.pollers;
    findings.expect((1..=POLLERS_MAX).contains(&pollers), "queue.pollers", || {
        format!("{pollers} must be 1 to {POLLERS_MAX}")
    });
    if queue.kind != QueueKind::Sqs {
        return;
    }
    let (url, name) = (&queue.url, &queue.name);
    let key = if url.is_empty() { "queue.name" } else { "queue.url" };
    findings.expect(url.is_empty() != name.is_empty(), key, || {
        let has_none = url.is_empty();
        let text = if has_none {
            "kind = \"sqs\" needs queue.name or queue.url"
        } else {
            "say either queue.url or queue.name, not both"
        };
        text.to_owned()
    });
    let is_url =
        url.is_empty() || (is_origin_and_path(url) && url.rsplit('/').next().is_some_and(is_queue_name));
    findings.expect(is_url, "queue.url", || {
        format!("{url:?} must be like https://sqs.eu-west-1.amazonaws.com/123456789012/wharf")
    });
    findings.expect(name.is_empty() || is_queue_name(name), "queue.name", || {
        format!("{name:?} must be 1 to 80 letters, digits, - and _ (a bucket cannot notify a .fifo queue)")
    });
    let region = &queue.region;
    findings.expect(region.is_empty() || is_region(region), "queue.region", || {
        format!("{region:?} must be like us-east-1")
    });
    endpoint(findings, "queue.endpoint", &queue.endpoint);
    keys(findings, "queue", (&queue.access_key_id, &queue.secret_key_file));
    let visibility = queue.visibility_secs;
    findings.expect(VISIBILITY_SECS.contains(&visibility), "queue.visibility_secs", || {
        let (min, max) = (VISIBILITY_SECS.start(), VISIBILITY_SECS.end());
        format!("{visibility} must be {min} to {max}")
    });
}

fn bucket(objects: &BucketSettings, findings: &mut SettingsCheck<'_>) {
    endpoint(findings, "objects.public_endpoint", &objects.public_endpoint);
    if objects.kind != BucketKind::S3 {
        return;
    }
    endpoint(findings, "objects.endpoint", &objects.endpoint);
    keys(findings, "objects", (&objects.access_key_id, &objects.secret_key_file));
    let fits_host = objects.path_style || !objects.bucket.contains('.');
    findings.expect(fits_host, "objects.bucket", || {
        "a name with dots fits no certificate; choose another, or set objects.path_style = true".to_owned()
    });
}

/// Clients must be able to follow what is signed for them.
fn reachable(config: &Config, findings: &mut SettingsCheck<'_>) {
    let objects = &config.objects;
    match objects.kind {
        BucketKind::Embedded => {
            let is_somewhere = !config.s3.listen.ip().is_unspecified() || !objects.public_endpoint.is_empty();
            findings.expect(is_somewhere, "objects.public_endpoint", || {
                format!("say how clients reach the embedded endpoint, which listens on {}", config.s3.listen)
            });
        }
        BucketKind::S3 => {
            let by_number =
                [&objects.endpoint, &objects.public_endpoint].into_iter().find(|url| is_by_number(url));
            findings.expect(objects.path_style || by_number.is_none(), "objects.path_style", || {
                format!(
                    "must be true: no name can precede the address of {}",
                    by_number.map_or("", |url| url)
                )
            });
        }
    }
}

/// Whether a URL names its host by an address.
fn is_by_number(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let is_socket = authority.parse::<SocketAddr>().is_ok();
    is_socket || authority.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

fn endpoint(findings: &mut SettingsCheck<'_>, key: &str, url: &str) {
    findings.expect(url.is_empty() || is_origin(url), key, || {
        format!("{url:?} must be like https://s3.example.com, without a path")
    });
}

/// Both halves of a pair of keys, or none.
fn keys(findings: &mut SettingsCheck<'_>, section: &str, (id, secret): (&str, &Path)) {
    let has_secret = !secret.as_os_str().is_empty();
    let (has, lacks) =
        if has_secret { ("secret_key_file", "access_key_id") } else { ("access_key_id", "secret_key_file") };
    findings.expect(id.is_empty() != has_secret, &format!("{section}.{has}"), || {
        format!("needs {section}.{lacks} too; without both, the credential chain of AWS is asked")
    });
}

fn is_queue_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    QUEUE_NAME_CHARS.contains(&name.len()) && name.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::super::check::assert_found;
    use super::*;

    fn check(change: impl FnOnce(&mut Config), expected: &str) {
        assert_found(super::check, change, expected);
    }

    fn sqs(config: &mut Config) -> &mut QueueSettings {
        config.single_node = true;
        config.queue.kind = QueueKind::Sqs;
        config.queue.name = "wharf".to_owned();
        &mut config.queue
    }

    fn s3(config: &mut Config) -> &mut BucketSettings {
        config.single_node = true;
        (config.objects.kind, config.signer.kind) = (BucketKind::S3, SignerKind::S3);
        &mut config.objects
    }

    fn nats(config: &mut Config) -> &mut NatsSettings {
        config.single_node = true;
        config.log.kind = LogKind::Nats;
        &mut config.log.nats
    }

    #[test]
    fn streams_have_copies_and_room() {
        check(|c| _ = nats(c), "");
        for bad in [0, 6] {
            check(|c| nats(c).replicas = bad, "log.nats.replicas: ");
        }
        check(|c| nats(c).replicas = 5, "");
        for bad in [0, (16 << 20) - 1, u64::MAX] {
            check(|c| nats(c).ingest_bytes_max = bad, "log.nats.ingest_bytes_max: ");
            check(|c| nats(c).events_bytes_max = bad, "log.nats.events_bytes_max: ");
            check(|c| nats(c).dlq_bytes_max = bad, "log.nats.dlq_bytes_max: ");
        }
        check(|c| nats(c).dlq_bytes_max = 16 << 20, "");
    }

    #[test]
    fn answers_come_to_a_plain_subject() {
        for bad in ["", ".", "_INBOX.", "_INBOX.>", "a b", "a..b", "*"] {
            check(|c| nats(c).inbox_prefix = bad.to_owned(), "log.nats.inbox_prefix: ");
        }
        check(|c| nats(c).inbox_prefix = "_INBOX_worker.a".to_owned(), "");
    }

    #[test]
    fn a_queue_has_one_name() {
        check(|c| _ = sqs(c), "");
        check(|c| sqs(c).name = String::new(), "queue.name: kind = \"sqs\" needs queue.name or queue.url");
        check(|c| sqs(c).url = "https://sqs/1/wharf".to_owned(), "queue.url: say either");
        for bad in ["wharf.fifo", "a b", &"x".repeat(81)] {
            check(|c| sqs(c).name = bad.to_owned(), "queue.name: ");
        }
        for bad in ["wharf", "https://sqs/1/", "https://sqs/1/a?b", "sqs://1/wharf"] {
            let url = |c: &mut Config| (sqs(c).name, c.queue.url) = (String::new(), bad.to_owned());
            check(url, "queue.url: ");
        }
    }

    #[test]
    fn numbers_of_a_queue_have_ends() {
        for bad in [0, 26] {
            check(|c| c.queue.pollers = bad, "queue.pollers: ");
        }
        check(|c| c.queue.pollers = 25, "");
        check(|c| sqs(c).visibility_secs = 29, "queue.visibility_secs: 29 must be 30 to 43200");
        check(|c| sqs(c).visibility_secs = 43_200, "");
    }

    #[test]
    fn endpoints_are_plain() {
        for bad in ["s3.example.com", "https://s3.example.com/", "https://s3.example.com/wharf"] {
            check(|c| s3(c).endpoint = bad.to_owned(), "objects.endpoint: ");
            check(|c| sqs(c).endpoint = bad.to_owned(), "queue.endpoint: ");
            check(|c| c.objects.public_endpoint = bad.to_owned(), "objects.public_endpoint: ");
        }
        check(|c| s3(c).endpoint = "http://storage:7070".to_owned(), "");
        check(|c| sqs(c).region = "Ireland".to_owned(), "queue.region: ");
    }

    #[test]
    fn clients_can_follow_what_is_signed() {
        for address in ["http://127.0.0.1:7070", "http://127.0.0.1", "http://[::1]:7070", "https://[::1]"] {
            check(|c| s3(c).endpoint = address.to_owned(), "objects.path_style: must be true");
            check(|c| s3(c).public_endpoint = address.to_owned(), address);
            check(|c| (s3(c).endpoint, c.objects.path_style) = (address.to_owned(), true), "");
        }
        let everywhere = |c: &mut Config| c.s3.listen = "0.0.0.0:9000".parse().unwrap();
        check(everywhere, "objects.public_endpoint: say how clients reach");
        let named = |c: &mut Config| {
            everywhere(c);
            c.objects.public_endpoint = "https://s3.example.com".to_owned();
        };
        check(named, "");
    }

    #[test]
    fn keys_come_in_pairs() {
        check(
            |c| sqs(c).access_key_id = "AKID".to_owned(),
            "queue.access_key_id: needs queue.secret_key_file",
        );
        check(|c| s3(c).secret_key_file = "f".into(), "objects.secret_key_file: needs objects.access_key_id");
        let both = |c: &mut Config| {
            s3(c);
            (c.signer.access_key_id, c.signer.secret_key_file) = ("AKID".to_owned(), "f".into());
        };
        check(both, "");
    }

    fn s3_without_signer(config: &mut Config) {
        s3(config);
        config.signer.kind = SignerKind::Embedded;
    }

    #[test]
    fn a_signer_signs_for_the_bucket_that_is_chosen() {
        check(|c| _ = s3(c), "");
        check(s3_without_signer, "signer.kind: must be \"s3\"");
        check(|c| c.signer.kind = SignerKind::S3, "signer.kind: must be \"embedded\"");
    }

    #[test]
    fn a_name_with_dots_stands_in_the_path() {
        check(|c| s3(c).bucket = "my.files".to_owned(), "objects.bucket: ");
        check(|c| (s3(c).bucket, c.objects.path_style) = ("my.files".to_owned(), true), "");
    }
}
