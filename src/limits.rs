//! Every bound of the system in one place, and proofs of how they relate.
//!
//! A setting may choose a value below a bound; nothing may choose one above it.

use std::time::Duration;

/// Shards of a new deployment. Fixed for its life: changing it moves users to other owners.
pub const SHARDS_DEFAULT: u16 = 64;
/// The most shards a deployment may have.
pub const SHARDS_MAX: u16 = 1024;

/// Bytes a user may store unless an admin says otherwise (1 GiB).
pub const QUOTA_BYTES_DEFAULT: u64 = 1 << 30;
/// Bytes of one file (50 MiB).
pub const FILE_BYTES_DEFAULT: u64 = 50 << 20;
/// Bytes of one file that no setting may exceed: S3 takes 5 GiB in one PUT.
pub const FILE_BYTES_MAX: u64 = 5 << 30;
/// Files a user may have, trashed and pending ones included. Bounds the partition.
pub const FILES_MAX: u32 = 50_000;
/// File rows of any status that a user may have: those of deleted files stay until no URL of theirs can be used. Bounds
/// the partition, and the rows that a list has to pass over.
pub const ROWS_MAX: u32 = FILES_MAX + 10_000;
/// Reservations of one user that are open at the same time.
pub const PENDING_MAX: usize = 256;

/// Transitions in one commit.
pub const COMMIT_TRANSITIONS_MAX: usize = 32;
/// Bytes of a chunk but the last, at least: S3 takes no smaller part (5 MiB).
pub const CHUNK_BYTES_MIN: u64 = 5 << 20;
/// Bytes of a chunk at most: S3 takes no larger part (5 GiB).
pub const CHUNK_BYTES_MAX: u64 = 5 << 30;
/// Chunks of one file.
pub const CHUNKS_MAX: u16 = 1024;
/// Parts that S3 takes of one upload.
pub const PARTS_MAX: u16 = 10_000;
/// Calls about uploads in chunks that the bucket gets at the same time.
pub const CHUNK_CALLS_MAX: usize = 64;
/// Uploads in one batch presign: all or none, so they share a commit.
pub const BATCH_UPLOADS_MAX: usize = 32;
/// Bytes of an account in any ledger: every write stores the whole account.
pub const ACCOUNT_BYTES_MAX: usize = 64 << 10;
/// Entries that one write trims at most.
pub const TRIMMED_MAX: u64 = 4096;
/// How long an idempotency key is remembered.
pub const IDEMPOTENCY_TTL: Duration = Duration::from_secs(24 * 3600);
/// Entries read from the ledger in one go by the publisher.
pub const ENTRIES_PAGE_MAX: usize = 64;

/// How long a signed upload request may be started.
pub const UPLOAD_URL_TTL: Duration = Duration::from_secs(900);
/// How long an upload that was started in time may take.
pub const UPLOAD_DURATION_MAX: Duration = Duration::from_secs(900);
/// How far our clock and the bucket's may be apart.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(60);
/// The usual upper bound on the delay of a notification.
pub const EVENT_LAG_MAX: Duration = Duration::from_secs(120);
/// How long a signed download may be started, unless a setting says otherwise.
pub const DOWNLOAD_URL_TTL: Duration = Duration::from_secs(300);
/// The longest that a setting may let a download URL live (12 hours): players seek and resume with the same URL.
pub const DOWNLOAD_URL_TTL_MAX: Duration = Duration::from_secs(12 * 3600);
/// The longest that SigV4 lets a URL live (7 days).
pub const URL_TTL_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// The longest that a setting may let an upload URL live (6 days): the row of its file, gone or not, must outlive it.
pub const UPLOAD_URL_TTL_MAX: Duration = Duration::from_secs(6 * 24 * 3600);
/// How long a trashed file can be restored.
pub const TRASH_RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long the row of a file whose bytes are gone is kept, if the row does not say when its uploads end.
pub const GONE_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long the row of a file is kept after the last upload of it should have ended. S3 ends no upload that goes on slowly:
/// one that takes this much longer than [`UPLOAD_DURATION_MAX`] leaves an object without a row, an orphan.
pub const FORGET_MARGIN: Duration = Duration::from_secs(2 * 3600);
/// How long a failed or expired file is shown to its owner, with its reason.
pub const FAILED_RETENTION: Duration = Duration::from_secs(24 * 3600);
/// Rows of an account that count for nothing, from which on the quick pass looks at the account as the slow one does.
pub const DEAD_ROWS_SOON: u32 = 256;
/// Neighbouring rows that one write deletes as a range.
pub const FORGOTTEN_RANGE_MAX: usize = 4096;
/// How long entries are kept.
pub const HISTORY_RETENTION: Duration = Duration::from_secs(90 * 24 * 3600);
/// Days that a setting may keep entries for.
pub const HISTORY_DAYS_MAX: u32 = 7300;
/// Entries of one user that are kept at most, where old ones are trimmed at all. Bounds the partition.
pub const HISTORY_ENTRIES_MAX: u64 = 250_000;
/// Days that a setting may keep trashed files for.
pub const TRASH_DAYS_MAX: u64 = 3650;
/// Between two looks for what is due.
pub const SWEEP_EVERY: Duration = Duration::from_secs(15 * 60);
/// Between two looks at every row and every object, unless a setting says otherwise.
pub const SWEEP_DEEP_EVERY: Duration = Duration::from_secs(6 * 3600);
/// The longest that a setting may make of it.
pub const SWEEP_DEEP_EVERY_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Accounts that one pass of the sweeper reads in a second.
pub const SWEEP_ACCOUNTS_PER_SEC: u32 = 500;
/// Objects that one pass of the sweeper lists or asks for in a second.
pub const SWEEP_OBJECTS_PER_SEC: u32 = 1000;
/// The most that a setting may make of either.
pub const SWEEP_PER_SEC_MAX: u32 = 1_000_000;
/// How old an object without a row must be to count as an orphan: older than any row could be late.
pub const ORPHAN_AGE_MIN: Duration = Duration::from_secs(24 * 3600);
/// How old an upload in chunks without a row must be to count as an orphan: older than any presign could be late.
pub const UPLOAD_AGE_MIN: Duration = Duration::from_secs(3600);
/// Orphans that one pass removes. There should be none: many are a mistake in the settings, not work.
pub const ORPHANS_REMOVED_MAX: u64 = 1000;
/// How long a file must be processed before its missing object counts as missing.
pub const MISSING_AGE_MIN: Duration = Duration::from_secs(3600);
/// Accounts of a deployment whose totals are counted when an operator asks, instead of by the next sweep.
pub const TOTALS_COUNTED_NOW_MAX: u64 = 1000;
/// How old a count of so few accounts may be.
pub const TOTALS_AGE_MAX: Duration = Duration::from_secs(5);
/// Users with the most bytes that the totals of a deployment list.
pub const TOP_USERS_MAX: usize = 10;

/// Requests of one user that wait behind the write in flight.
pub const DESK_QUEUE_MAX: usize = 512;
/// Requests inside the actor tree, over all users.
pub const ADMISSION_MAX: usize = 16_384;
/// Rounds of "reload and decide again" before a request is refused.
pub const COMMIT_ROUNDS_MAX: u32 = 3;
/// How long a caller waits for the ledger.
pub const DESK_REPLY_WITHIN: Duration = Duration::from_secs(8);
/// How old a request may be to be decided still: no caller waits longer, its upload begun before included.
pub const TICKET_AGE_MAX: Duration =
    Duration::from_secs(UPSTREAM_WITHIN.as_secs() + DESK_REPLY_WITHIN.as_secs());
/// How long a stop may take.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// Deliveries one pull takes from the log.
pub const PULL_BATCH_MAX: usize = 64;
/// How long a delivery of the log stays hidden from others while it is worked on.
pub const ACK_WAIT: Duration = Duration::from_secs(30);
/// Deliveries of one consumer that may be open.
pub const ACK_PENDING_MAX: usize = 256;
/// The longest time between two looks whether INGEST needs room. Three quarters of it are free by then, so it fills only if
/// 77 MB a second come into 1 GiB.
pub const TRIM_EVERY: Duration = Duration::from_secs(10);
/// Failures of one delivery, on its own account, before it is kept among the dead instead.
pub const DELIVERIES_MAX: u32 = 10;
/// Object inspections (HEAD and gates) at the same time.
pub const INSPECTIONS_MAX: usize = 64;
/// Bytes of an object that are read to see whether it is what it was declared as.
pub const FIRST_BYTES: usize = 16;

/// Deliveries one SQS receive can return.
pub const QUEUE_BATCH_MAX: usize = 10;
/// Publishes to the log that are waiting for their acknowledgement.
pub const PUBLISHES_IN_FLIGHT_MAX: usize = 256;
/// Bytes of one notification: SQS takes messages of up to 1 MiB.
pub const NOTIFICATION_BYTES_MAX: usize = 1 << 20;

/// Bytes of a request body.
pub const BODY_BYTES_MAX: usize = 64 << 10;
/// Bytes of a request head.
pub const HEAD_BYTES_MAX: usize = 16 << 10;
/// Header fields of a request.
pub const HEADERS_MAX: usize = 100;
/// How long a client may take to send the head of a request.
pub const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long a client may take to send the body of a request.
pub const BODY_WITHIN: Duration = Duration::from_secs(10);
/// How long the rest of an unneeded body is read.
pub const BODY_REST_WITHIN: Duration = Duration::from_secs(1);
/// How long the bytes of a refused client are read after its answer, so that it sees the answer.
pub const LINGER_WITHIN: Duration = Duration::from_secs(30);
/// How long such a client may send nothing before its connection is closed.
pub const LINGER_SILENCE_MAX: Duration = Duration::from_secs(2);
/// Bytes of a refused client that are read at most.
pub const LINGER_BYTES_MAX: usize = 64 << 20;
/// How long a connection that waits for its client keeps its place while another waits for one.
pub const CROWDED_WAIT_MAX: Duration = Duration::from_secs(1);
/// How soon a connection that is asked to give up its place ends, if it does not work for its client.
pub const LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// Refused connections that receive a refusal at the same time; more are closed without one.
pub const FAREWELLS_MAX: usize = 64;
/// How often a place is looked for while a connection waits for one.
pub const CROWDED_LOOK_EVERY: Duration = Duration::from_millis(50);
/// Bytes of the disk that uploads to the embedded bucket leave free, unless a setting says otherwise.
pub const DISK_RESERVE_BYTES: u64 = 256 << 20;
/// Bytes of uploads that the embedded bucket takes in at the same time.
pub const UPLOADS_IN_FLIGHT_BYTES_MAX: u64 = 16 << 30;
/// Of the connections of the embedded bucket, one in so many may work for the links of one user at the same time.
pub const USER_SHARE: usize = 8;
/// Of the connections of the embedded bucket, one in so many may work for the links of one object at the same time.
pub const OBJECT_SHARE: usize = 16;
/// Bytes a second that a transfer moves at least, averaged over the time that was spent waiting for its client.
pub const TRANSFER_RATE_MIN: u64 = 8 << 10;
/// How long a transfer may wait for its client before its rate counts.
pub const TRANSFER_GRACE: Duration = Duration::from_secs(20);
/// Characters of a file name, after normalisation.
pub const FILENAME_CHARS_MAX: usize = 255;
/// Bytes of a file name in UTF-8: as many as its characters can have.
pub const FILENAME_BYTES_MAX: usize = 1020;
/// Bytes of a file name in an object's metadata, percent-encoded: S3 takes 2 KB of metadata, names included.
pub const METADATA_NAME_BYTES_MAX: usize = 1800;
/// Bytes of a content type.
pub const CONTENT_TYPE_BYTES_MAX: usize = 127;
/// Items of a page unless asked otherwise.
pub const PAGE_DEFAULT: usize = 50;
/// Items of a page at most.
pub const PAGE_MAX: usize = 200;

/// File rows that their owner may see and that are looked at for one page, however few of them the filters take.
pub const LIST_ROWS_MAX: usize = 2_000;
/// Bytes of an idempotency key.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// How long an idle connection is kept; longer than the usual load balancer keeps its own.
pub const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(75);
/// How long a client may let an answer wait before its stream or its connection is closed.
pub const ANSWER_STALL_MAX: Duration = Duration::from_secs(30);
/// How often a connection's progress is looked at.
pub const CONNECTION_CHECK_EVERY: Duration = Duration::from_secs(5);
/// Requests of one connection, after which it is asked to come again.
pub const REQUESTS_PER_CONNECTION_MAX: u64 = 1_000_000;
/// Streams of one HTTP/2 connection at the same time.
pub const H2_STREAMS_MAX: u32 = 100;
/// Bytes of answers that one HTTP/2 connection keeps before its further requests wait.
pub const UNSENT_BYTES_MAX: usize = 1 << 20;
/// How long a request waits until its client has read earlier answers of the connection.
pub const UNSENT_WITHIN: Duration = Duration::from_secs(5);
/// Bytes that an answer without a list counts for before it is made.
pub const ANSWER_BYTES_ABOUT: usize = 4 << 10;
/// Bytes that a list counts for before it is made.
pub const LIST_BYTES_ABOUT: usize = 128 << 10;
/// Bytes of an answer that are handed to an HTTP/2 stream in one piece.
pub const H2_PIECE_BYTES: usize = 16 << 10;
/// Connections of the admin port at the same time.
pub const ADMIN_CONNECTIONS_MAX: usize = 64;
/// How long a request waits for a single read of the ledger, the log or the signer.
pub const UPSTREAM_WITHIN: Duration = Duration::from_secs(5);
/// Open event streams of this process.
pub const EVENT_STREAMS_MAX: usize = 4_096;
/// Open event streams of one user in this process.
pub const EVENT_STREAMS_PER_USER_MAX: usize = 16;
/// Entries that an event stream reads ahead: what it holds in memory.
pub const EVENT_PAGE_MAX: usize = 16;
/// How long an event stream is silent at most.
pub const EVENT_HEARTBEAT: Duration = Duration::from_secs(15);
/// Bytes of a token.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;
/// Bytes of a token's `kid`.
pub const TOKEN_KID_BYTES_MAX: usize = 128;
/// How far our clock and an issuer's may be apart.
pub const TOKEN_LEEWAY: Duration = Duration::from_secs(10);
/// Verified tokens remembered by this process, at about 200 bytes each: one for each active user of a busy node.
pub const TOKENS_CACHED_MAX: usize = 262_144;
/// Bytes of an HS256 secret at least (RFC 7518 section 3.2).
pub const TOKEN_SECRET_BYTES_MIN: usize = 32;
/// How long a browser may remember what a preflight said.
pub const CORS_MAX_AGE: Duration = Duration::from_secs(600);

const _: () = assert!(SHARDS_DEFAULT <= SHARDS_MAX);
const _: () = assert!(FILENAME_CHARS_MAX * 4 <= FILENAME_BYTES_MAX, "a character has at most four bytes");
const _: () = assert!(METADATA_NAME_BYTES_MAX + 128 < 2048, "the other metadata fits beside the name");
const _: () = assert!(DOWNLOAD_URL_TTL.as_secs() <= DOWNLOAD_URL_TTL_MAX.as_secs());
const _: () = assert!(DOWNLOAD_URL_TTL_MAX.as_secs() <= URL_TTL_MAX.as_secs());
const _: () = assert!(PAGE_MAX < LIST_ROWS_MAX, "a full page fits in one search");
const _: () = assert!(
    EVENT_HEARTBEAT.as_secs() < ANSWER_STALL_MAX.as_secs(),
    "a live event stream never looks stalled"
);
const _: () = assert!(LIST_BYTES_ABOUT * 2 <= UNSENT_BYTES_MAX, "lists do not wait for each other");
const _: () = assert!(CONNECTION_CHECK_EVERY.as_secs() < HEAD_WITHIN.as_secs());
const _: () = assert!(
    CONNECTION_CHECK_EVERY.as_secs() + LINGER_SILENCE_MAX.as_secs() < DRAIN_WITHIN.as_secs(),
    "a stop does not wait for clients that were answered"
);
const _: () = assert!(
    FILE_BYTES_DEFAULT / TRANSFER_RATE_MIN > UPLOAD_DURATION_MAX.as_secs(),
    "the least rate never ends an upload that would be in time"
);
const _: () = assert!(
    UNSENT_WITHIN.as_secs() + BODY_WITHIN.as_secs() + DESK_REPLY_WITHIN.as_secs() + UPSTREAM_WITHIN.as_secs()
        < ANSWER_STALL_MAX.as_secs(),
    "a request that is worked on never looks stalled"
);
const _: () = assert!(FILE_BYTES_DEFAULT <= FILE_BYTES_MAX);
const _: () = assert!(FILE_BYTES_MAX <= UPLOADS_IN_FLIGHT_BYTES_MAX, "any file can be taken in");
const _: () = assert!(FILE_BYTES_DEFAULT <= QUOTA_BYTES_DEFAULT, "a user can store at least one file");
const _: () = assert!(BATCH_UPLOADS_MAX <= COMMIT_TRANSITIONS_MAX, "a batch fits in one commit");
const _: () = assert!(BATCH_UPLOADS_MAX <= PENDING_MAX);
const _: () = assert!(CHUNKS_MAX <= PARTS_MAX);
const _: () = assert!(
    FILE_BYTES_MAX <= CHUNK_BYTES_MIN * 1024 && CHUNKS_MAX == 1024,
    "any file can come in any chunks"
);
const _: () = assert!(BATCH_UPLOADS_MAX <= CHUNK_CALLS_MAX);
const _: () = assert!(
    FILE_BYTES_MAX < i64::MAX.unsigned_abs() / 2 / (1 << 16) && FILES_MAX < (1 << 16),
    "the bytes of a user, and any change of them, fit in a signed number"
);
/// In CQL, the larger encoding: 48 for a reservation; the rest is small.
const ACCOUNT_CELLS_BYTES: usize = PENDING_MAX * 48 + 2048;
const _: () = assert!(ACCOUNT_CELLS_BYTES <= ACCOUNT_BYTES_MAX);
const _: () = assert!(UPLOAD_URL_TTL.as_secs() <= UPLOAD_URL_TTL_MAX.as_secs());
const _: () = assert!(UPLOAD_URL_TTL_MAX.as_secs() <= URL_TTL_MAX.as_secs());
const _: () = assert!(
    UPLOAD_URL_TTL_MAX.as_secs() + UPLOAD_DURATION_MAX.as_secs() + CLOCK_SKEW_MAX.as_secs()
        < GONE_RETENTION.as_secs(),
    "whatever still lands by a URL lands while the row of its file is there"
);
const _: () = assert!(
    IDEMPOTENCY_TTL.as_secs() <= FAILED_RETENTION.as_secs(),
    "who repeats a request learns why its file failed"
);
const _: () = assert!(TICKET_AGE_MAX.as_secs() * 60 < UPLOAD_AGE_MIN.as_secs());
const _: () = assert!(PULL_BATCH_MAX <= ACK_PENDING_MAX);
const _: () =
    assert!(DESK_REPLY_WITHIN.as_secs() < DRAIN_WITHIN.as_secs(), "a stop outlives the longest wait");
const _: () =
    assert!(DESK_REPLY_WITHIN.as_secs() < ACK_WAIT.as_secs(), "an arrival settles inside its ack wait");
