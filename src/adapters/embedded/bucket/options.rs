//! What an embedded bucket is opened with, and why it does not open.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::adapters::embedded::FreeSpace;
use crate::domain::decide::Rules;
use crate::limits;

/// What an embedded bucket is opened with.
#[derive(Clone, Debug)]
pub struct BucketOptions {
    /// Its name.
    pub bucket: String,
    /// Its region, as signatures name it.
    pub region: String,
    /// Bytes of one object, in one PUT or in parts.
    pub object_bytes_max: u64,
    /// Origins of pages that may call the endpoint, `https://app.example.com`.
    pub allowed_origins: Vec<String>,
    /// Bytes of the disk that uploads leave free: for removals, and for what else is on it.
    pub reserve_bytes: u64,
    /// Bytes of uploads in flight, as they were declared.
    pub in_flight_bytes_max: u64,
    /// What tells how much room the disk has; none: the file system does.
    pub free_space: Option<FreeSpace>,
    /// How long a key whose object the service deleted takes no upload, at least: as long as a signed upload of it may
    /// run. Zero: not at all, as on S3.
    pub tombstones_kept_for: Duration,
    /// Connections at the same time; more wait to be accepted.
    pub connections_max: usize,
    /// Those of one address; none: as many.
    pub per_address_max: Option<usize>,
    /// How long a connection may move no byte while a request or an answer is on its way.
    pub progress_within: Duration,
    /// How long an upload may take from its request's beginning.
    pub upload_within: Duration,
    /// How long a stop waits for requests in flight.
    pub drain_within: Duration,
}

impl Default for BucketOptions {
    fn default() -> Self {
        Self {
            bucket: "wharf".to_owned(),
            region: "us-east-1".to_owned(),
            object_bytes_max: limits::FILE_BYTES_DEFAULT,
            allowed_origins: Vec::new(),
            reserve_bytes: limits::DISK_RESERVE_BYTES,
            in_flight_bytes_max: limits::UPLOADS_IN_FLIGHT_BYTES_MAX,
            free_space: None,
            tombstones_kept_for: limits::UPLOAD_URL_TTL + Rules::GRACE,
            connections_max: 1024,
            per_address_max: None,
            progress_within: Duration::from_secs(30),
            upload_within: limits::UPLOAD_DURATION_MAX,
            drain_within: limits::DRAIN_WITHIN,
        }
    }
}

/// Why a bucket does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the bucket at {} is open in another process; stop it, or name another folder (data_dir, or --data)", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A file that we wrote cannot be read back.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file system refused.
    #[error("cannot open the bucket at {}: {source}", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl OpenError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
