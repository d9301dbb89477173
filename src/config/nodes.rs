//! Whether a deployment of these settings can have more than one process.
//!
//! An embedded part is seen by its own process alone. Beside a part that processes share, a second process started
//! from the same settings would take notifications of accounts it does not have, or miss objects that are there.

use super::backends::{BucketKind, LedgerKind, LogKind, QueueKind};
use super::check::SettingsCheck;
use super::settings::Config;

/// The parts, as the settings that choose them: those of this process, and those that processes share.
struct ChosenParts {
    alone: Vec<&'static str>,
    shared: Vec<&'static str>,
}

fn parts(config: &Config) -> ChosenParts {
    let all = [
        (config.ledger.kind == LedgerKind::Embedded, "ledger.kind", "ledger.kind = \"scylla\""),
        (config.log.kind == LogKind::Embedded, "log.kind", "log.kind = \"nats\""),
        (config.queue.kind == QueueKind::Embedded, "queue.kind", "queue.kind = \"sqs\""),
        (config.objects.kind == BucketKind::Embedded, "objects.kind", "objects.kind = \"s3\""),
    ];
    // Only the embedded bucket sends to the embedded queue: beside another bucket the queue holds nothing.
    let holds_nothing = |key: &str| key == "queue.kind" && config.objects.kind == BucketKind::S3;
    let alone = all.iter().filter(|(is_alone, key, _)| *is_alone && !holds_nothing(key));
    let shared = all.iter().filter(|(is_alone, ..)| !is_alone);
    ChosenParts {
        alone: alone.map(|(_, key, _)| *key).collect(),
        shared: shared.map(|(.., choice)| *choice).collect(),
    }
}

/// Embedded parts beside shared ones are a mistake, unless the settings say that there is only one process.
pub(super) fn check(config: &Config, findings: &mut SettingsCheck<'_>) {
    let ChosenParts { alone, shared } = parts(config);
    let (Some(first), false) = (alone.first(), shared.is_empty()) else { return };
    findings.expect(config.single_node, first, || {
        let (verb, shared) = (if shared.len() == 1 { "is" } else { "are" }, shared.join(", "));
        format!(
            "{} = \"embedded\" is seen by one process alone, and {shared} {verb} shared: a second process would lose \
             track of files; choose shared parts throughout, or say single_node = true if only one process ever runs",
            alone.join(", ")
        )
    });
}

#[cfg(test)]
mod tests {
    use super::super::backends::SignerKind;
    use super::super::check::assert_found;
    use super::*;

    fn check(change: impl FnOnce(&mut Config), expected: &str) {
        assert_found(super::check, change, expected);
    }

    fn shared(config: &mut Config) {
        config.ledger.kind = LedgerKind::Scylla;
        config.log.kind = LogKind::Nats;
        config.queue.kind = QueueKind::Sqs;
        (config.objects.kind, config.signer.kind) = (BucketKind::S3, SignerKind::S3);
    }

    #[test]
    fn all_embedded_or_all_shared_needs_no_word() {
        check(|_| (), "");
        check(shared, "");
    }

    #[test]
    fn a_shared_part_beside_an_embedded_ledger_is_refused() {
        check(
            |c| c.queue.kind = QueueKind::Sqs,
            "ledger.kind, log.kind, objects.kind = \"embedded\" is seen by one process alone, and queue.kind = \"sqs\" \
             is shared",
        );
        check(|c| c.log.kind = LogKind::Nats, "single_node = true");
        check(|c| c.objects.kind = BucketKind::S3, "objects.kind = \"s3\" is shared");
        let beside = |c: &mut Config| {
            shared(c);
            c.ledger.kind = LedgerKind::Embedded;
        };
        check(beside, "log.kind = \"nats\", queue.kind = \"sqs\", objects.kind = \"s3\" are shared");
    }

    #[test]
    fn an_embedded_part_beside_a_shared_ledger_is_refused_too() {
        let log = |c: &mut Config| {
            shared(c);
            c.log.kind = LogKind::Embedded;
        };
        check(log, "log.kind: log.kind = \"embedded\" is seen by one process alone");
        let bucket = |c: &mut Config| {
            shared(c);
            c.objects.kind = BucketKind::Embedded;
        };
        check(bucket, "objects.kind: ");
        // Nothing is ever sent to it.
        let queue = |c: &mut Config| {
            shared(c);
            c.queue.kind = QueueKind::Embedded;
        };
        check(queue, "");
    }

    #[test]
    fn one_process_may_have_any_parts() {
        check(|c| (c.queue.kind, c.single_node) = (QueueKind::Sqs, true), "");
    }
}
