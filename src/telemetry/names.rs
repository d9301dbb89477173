//! Every metric: its name, unit and text, in one place. Labels are closed sets, never a user or a file.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name; the unit is the last word.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its labels with every value they can have, where those are known before the first count.
    pub labels: &'static [(&'static str, &'static [&'static str])],
    /// One sentence for an operator.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($konst:ident = $kind:ident $name:literal $([$($label:ident: $($value:literal)|+),+])?, $help:literal;)*) => {
        $(#[doc = $help] pub const $konst: &str = $name;)*
        /// All of them.
        pub const ALL: &[Metric] = &[$(Metric {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($((stringify!($label), &[$($value),+])),+)?],
            help: $help,
        }),*];
    };
}

/// Sets a gauge to a whole number, exact up to 2^53.
pub fn set_gauge(name: &'static str, value: u64) {
    let [high, low] =
        [value >> 32, value & u64::from(u32::MAX)].map(|half| u32::try_from(half).unwrap_or(u32::MAX));
    metrics::gauge!(name).set(f64::from(high) * 4_294_967_296.0 + f64::from(low));
}

// One line a metric, grouped by the room that counts it.
metrics! {
    // telemetry
    BUILD_INFO = Gauge "wharf_build_info", "Always 1; the label has the version.";
    // actors
    DESKS = Gauge "wharf_desks", "Accounts in memory; those that are idle for a minute are dropped.";
    DESK_COMMITS_TOTAL = Counter "wharf_desk_commits_total" [outcome: "applied" | "conflict" | "refused" | "unavailable" | "unknown"], "Conditional writes to the ledger, by outcome.";
    DESK_UNKNOWN_RESOLVED_TOTAL = Counter "wharf_desk_unknown_resolved_total" [by: "ours" | "not_ours" | "in_doubt" | "unanswered"], "Writes whose outcome was unknown, by what the ledger says: ours, not_ours, in_doubt (it may land later), unanswered.";
    DESK_COMMIT_SECONDS = Histogram "wharf_desk_commit_seconds", "Time of one conditional write.";
    DESK_OPS_PER_COMMIT = Histogram "wharf_desk_ops_per_commit", "Requests that shared one write.";
    DESK_INVARIANTS_BROKEN_TOTAL = Counter "wharf_desk_invariants_broken_total", "Writes refused because an invariant would not hold. Any is a bug.";
    EVENTS_PUBLISHED_TOTAL = Counter "wharf_events_published_total", "Events published to the event log.";
    EVENT_LAG_SECONDS = Histogram "wharf_event_lag_seconds", "From a change's decision to its events in the log.";
    INSPECTIONS_TOTAL = Counter "wharf_inspections_total", "Objects that were inspected.";
    OBJECTS_REMOVED_TOTAL = Counter "wharf_objects_removed_total", "Objects of deleted and failed files that were removed.";
    ARRIVALS_TOTAL = Counter "wharf_arrivals_total" [outcome: "bucket_away" | "dead" | "dead_unkept" | "ledger_away" | "log_away" | "no_object" | "removed" | "settled" | "to_remove" | "unknown"], "Arrivals taken from the log, by outcome.";
    INGEST_TRIMMED_TOTAL = Counter "wharf_ingest_trimmed_total", "Acknowledged arrivals that were removed from INGEST to make room.";
    SETTLE_SECONDS = Histogram "wharf_settle_seconds", "From an object's landing to its file's settlement.";
    SWEEP_SECONDS = Histogram "wharf_sweep_seconds", "Time of one pass of the sweeper, by pass: due, deep.";
    SWEEP_FOUND_TOTAL = Counter "wharf_sweep_found_total" [kind: "deleting" | "drift" | "forgettable" | "history" | "late_object" | "missing" | "object" | "orphan" | "reservation" | "trash" | "unpublished" | "upload"], "Findings of sweeps, by kind.";
    SWEEP_FAILURES_TOTAL = Counter "wharf_sweep_failures_total" [what: "a missing object" | "a reservation" | "accounts" | "an account" | "deleting" | "objects" | "reservations" | "uploads"], "Checks that a sweep could not make, by what; the next sweep retries them.";
    SWEEP_DRIFTED_ACCOUNTS = Gauge "wharf_sweep_drifted_accounts", "Accounts whose sums are not those of their rows. Any is a bug.";
    SWEEP_DRIFTED_BYTES = Gauge "wharf_sweep_drifted_bytes", "Bytes by which those sums are wrong.";
    SWEEP_MISSING_OBJECTS = Gauge "wharf_sweep_missing_objects", "Processed files whose object is not in the bucket. Any is a loss.";
    SWEEP_ORPHAN_OBJECTS = Gauge "wharf_sweep_orphan_objects", "Orphans: objects older than a day without a row.";
    SWEEP_ORPHAN_BYTES = Gauge "wharf_sweep_orphan_bytes", "Bytes of those objects.";
    SWEEP_UNREADABLE_ACCOUNTS = Gauge "wharf_sweep_unreadable_accounts", "Unreadable accounts of the last sweep, which went on with the others. Any is a bug or damage.";
    USERS = Gauge "wharf_users", "Accounts, as the last sweep counted them.";
    FILES = Gauge "wharf_files", "Files pending, processed or trashed, as the last sweep counted them.";
    USED_BYTES = Gauge "wharf_used_bytes", "Bytes of processed and trashed files, as the last sweep counted them.";
    RESERVED_BYTES = Gauge "wharf_reserved_bytes", "Bytes set aside for uploads, as the last sweep counted them.";
    TRASHED_BYTES = Gauge "wharf_trashed_bytes", "Bytes of trashed files, as the last sweep counted them.";
    ACTOR_RESTARTS_TOTAL = Counter "wharf_actor_restarts_total" [child: "feed" | "lane" | "remover" | "shard" | "sweeper" | "trimmer"], "Actors that failed and were restarted, by kind.";
    ERRANDS_LOST_TOTAL = Counter "wharf_errands_lost_total", "Background work of an actor that panicked or timed out; its outcome is unknown to the caller. Any panic is a bug.";
    REPLIES_ABANDONED_TOTAL = Counter "wharf_replies_abandoned_total", "Replies whose caller had disconnected.";

    // adapters: the embedded store
    STORE_COMMIT_SECONDS = Histogram "wharf_store_commit_seconds", "Time of one write and sync of the embedded store.";
    STORE_JOBS_PER_COMMIT = Histogram "wharf_store_jobs_per_commit", "Writes that shared one sync of the embedded store.";
    // embedded bucket
    BUCKET_REQUESTS_TOTAL = Counter "wharf_bucket_requests_total" [class: "2xx" | "3xx" | "4xx" | "5xx"], "Requests to the embedded S3 endpoint, by class of status.";
    BUCKET_CONNECTIONS = Gauge "wharf_bucket_connections", "Open connections to the embedded S3 endpoint.";
    BUCKET_CONNECTIONS_CUT_TOTAL = Counter "wharf_bucket_connections_cut_total", "Connections to the embedded S3 endpoint that were closed because the client made no progress.";
    BUCKET_CONNECTIONS_REFUSED_TOTAL = Counter "wharf_bucket_connections_refused_total", "Connections to the embedded S3 endpoint that were closed because their address had too many.";
    BUCKET_REQUESTS_IN_FLIGHT = Gauge "wharf_bucket_requests_in_flight", "Requests to the embedded S3 endpoint whose answer has not left entirely.";
    BUCKET_ACCEPT_ERRORS_TOTAL = Counter "wharf_bucket_accept_errors_total", "Connections to the embedded S3 endpoint that could not be accepted.";
    BUCKET_NOTIFICATIONS_TOTAL = Counter "wharf_bucket_notifications_total" [outcome: "failed" | "sent"], "Notifications sent by the embedded bucket to the queue, by outcome.";
    // adapters: sqs, s3
    QUEUE_WAITING = Gauge "wharf_queue_waiting", "Notifications in SQS that wait to be received, as SQS counts them.";
    QUEUE_IN_FLIGHT = Gauge "wharf_queue_in_flight", "Notifications in SQS that were received and not deleted. At 120,000 it falls silent.";
    QUEUE_DEAD = Gauge "wharf_queue_dead", "Notifications in the dead letter queue of SQS, after too many deliveries; an operator has to look.";
    BUCKET_CLOCK_SKEW_SECONDS = Gauge "wharf_bucket_clock_skew_seconds", "How far our clock and the bucket's are apart. At 15 minutes it refuses us.";
    // bridge
    BRIDGE_DELIVERIES_TOTAL = Counter "wharf_bridge_deliveries_total", "Deliveries taken from the queue.";
    BRIDGE_ARRIVALS_TOTAL = Counter "wharf_bridge_arrivals_total" [kind: "created" | "removed", repeat: "no" | "yes"], "Arrivals that the log confirmed, by kind and by whether it had them already.";
    BRIDGE_REJECTED_TOTAL = Counter "wharf_bridge_rejected_total" [reason: "foreign_bucket" | "foreign_key" | "malformed" | "not_a_notification" | "not_json" | "too_large" | "unknown_version"], "Records kept on the DLQ instead of forwarded, by reason.";
    BRIDGE_IGNORED_TOTAL = Counter "wharf_bridge_ignored_total" [event: "test" | "empty" | "tagging" | "acl" | "restore" | "storage_class" | "replication" | "lost" | "other"], "Events of the bucket that this service has no use for, by family.";
    BRIDGE_LEFT_TOTAL = Counter "wharf_bridge_left_total" [stream: "dlq" | "ingest"], "Deliveries left to the queue because a stream did not take them, by stream; the queue redelivers them and moves them to its dead letters by its own count.";
    BRIDGE_PUBLISH_SECONDS = Histogram "wharf_bridge_publish_seconds", "Time until the log confirmed a record, repeats included.";
    BRIDGE_PUBLISH_FAILURES_TOTAL = Counter "wharf_bridge_publish_failures_total" [cause: "full" | "too_large" | "unavailable" | "unknown"], "Records that the log did not confirm, by cause; they are retried.";
    BRIDGE_DELETE_FAILURES_TOTAL = Counter "wharf_bridge_delete_failures_total", "Deliveries that the queue failed to delete; the delete is retried, or the queue redelivers them.";
    BRIDGE_ARRIVAL_LAG_SECONDS = Histogram "wharf_bridge_arrival_lag_seconds", "From the completion of an object until the bridge reads its notification.";
    BRIDGE_POLLER_FAILURES_TOTAL = Counter "wharf_bridge_poller_failures_total", "Pollers that failed and were restarted. Any is a bug.";
    // http
    HTTP_REQUESTS_TOTAL = Counter "wharf_http_requests_total", "Requests answered, by route, method and class of the status.";
    HTTP_REQUEST_SECONDS = Histogram "wharf_http_request_seconds", "Time from a request's head to its answer's head, by route and method.";
    HTTP_REQUESTS_IN_FLIGHT = Gauge "wharf_http_requests_in_flight", "Requests whose answer has not left entirely; event streams too.";
    HTTP_CONNECTIONS = Gauge "wharf_http_connections", "Open connections, of both ports.";
    HTTP_CONNECTIONS_CUT_TOTAL = Counter "wharf_http_connections_cut_total", "Connections closed because the client made no progress.";
    HTTP_CONNECTIONS_REFUSED_TOTAL = Counter "wharf_http_connections_refused_total", "Connections that were closed because their address had too many.";
    HTTP_STREAMS_RESET_TOTAL = Counter "wharf_http_streams_reset_total", "HTTP/2 streams ended because the client took nothing of their answer.";
    HTTP_ACCEPT_FAILURES_TOTAL = Counter "wharf_http_accept_failures_total", "Connections that could not be accepted.";
    HTTP_PANICS_TOTAL = Counter "wharf_http_panics_total", "Requests that ended in a panic. Any is a bug.";
    HTTP_EVENT_STREAMS = Gauge "wharf_http_event_streams", "Open event streams.";

    // adapters: CQL
    CQL_ERRORS_TOTAL = Counter "wharf_cql_errors_total" [kind: "connection" | "failure" | "other" | "overloaded" | "request" | "timeout" | "unavailable"], "Requests to the CQL servers that failed, by kind.";
    // jetstream
    NATS_CONNECTS_TOTAL = Counter "wharf_nats_connects_total", "Connections made to a NATS server; more than one means that it was unreachable.";
    NATS_DROPPED_TOTAL = Counter "wharf_nats_dropped_total", "Messages that a slow reader dropped; the log redelivers them.";
    NATS_PUBLISHES_TOTAL = Counter "wharf_nats_publishes_total" [stream: "WHARF_INGEST" | "WHARF_EVENTS" | "WHARF_DLQ", outcome: "stored" | "duplicate" | "full" | "too_large" | "unavailable" | "unknown"], "Records given to NATS, by stream and outcome.";
    NATS_PUBLISH_SECONDS = Histogram "wharf_nats_publish_seconds", "Time until the server acknowledged a record.";
    NATS_PUBLISHES_IN_FLIGHT = Gauge "wharf_nats_publishes_in_flight", "Records that wait for the server's acknowledgement.";
    NATS_READERS_REBUILT_TOTAL = Counter "wharf_nats_readers_rebuilt_total" [reason: "gap" | "gone" | "silent" | "stalled"], "Readers rebuilt, by reason: gone, silent, stalled, gap.";
    NATS_BATCHES_TOTAL = Counter "wharf_nats_batches_total" [outcome: "lost" | "split" | "stored"], "Batches of records stored together, by outcome.";
    NATS_BATCH_RECORDS = Histogram "wharf_nats_records_per_batch", "Records in one batch.";
}
