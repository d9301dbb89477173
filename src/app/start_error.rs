//! Why it did not start. One clear line each.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;

#[cfg(feature = "aws")]
use super::aws::IdentityError;
use super::bucket_stamp::BucketStampError;
use super::cursor_key::CursorKeyError;
use super::folder_owner::ForeignFolder;
use super::shards_note::ShardsNoteError;
use crate::actors::TreeError;
#[cfg(feature = "aws")]
use crate::adapters::aws::SecretError;
use crate::adapters::embedded::OpenError;
use crate::adapters::embedded::bucket;
#[cfg(feature = "nats")]
use crate::adapters::jetstream;
use crate::adapters::sigv4::AddressError;
use crate::bridge::BridgeError;
use crate::domain::shard::ShardCountError;
use crate::http::AuthConfigError;

/// Why it did not start. An unreachable server is no such reason: see [`crate::telemetry::health`].
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("{key}: cannot listen on {}", listen_advice(*address, source))]
    Listen {
        /// The setting.
        key: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The data folder cannot be made.
    #[error("data_dir: cannot make {}: {}", dir.display(), folder_advice(source))]
    DataDir {
        /// Which.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The data folder holds files of others.
    #[error("data_dir: {0}")]
    ForeignFolder(#[from] ForeignFolder),
    /// The data folder has another number of shards.
    #[error("shards: {0}")]
    ShardsNote(#[from] ShardsNoteError),
    /// Ledger, log and queue do not open.
    #[error("data_dir: {0}")]
    Store(#[from] OpenError),
    /// The bucket does not open.
    #[error("data_dir: {0}")]
    Bucket(#[from] bucket::OpenError),
    /// The bucket is not the one of the ledger.
    #[error("data_dir: {0}")]
    BucketStamp(#[from] BucketStampError),
    /// The bucket's address cannot be signed for.
    #[error("objects.public_endpoint: {0}")]
    Endpoint(#[from] AddressError),
    /// A secret cannot be read.
    #[cfg(feature = "aws")]
    #[error("{key}: {source}")]
    Secret {
        /// The setting.
        key: &'static str,
        /// Why.
        source: SecretError,
    },
    /// What seals cursors cannot be read or made.
    #[error("http.cursor_key_file: {0}")]
    CursorKey(#[from] CursorKeyError),
    /// The client of the log cannot be made from the settings.
    #[cfg(feature = "nats")]
    #[error("log.nats: {0}")]
    Nats(#[from] jetstream::ConnectError),
    /// No caller can be authenticated.
    #[error("auth.issuers: {0}")]
    Auth(#[from] AuthConfigError),
    /// Bucket or queue belong to another ledger.
    #[cfg(feature = "aws")]
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The settings choose what this build was made without.
    #[cfg(not(all(feature = "aws", feature = "cql", feature = "nats")))]
    #[error("this build has no {engine}: build it with `--features {feature}`")]
    Absent {
        /// The missing engine.
        engine: &'static str,
        /// The feature of the package that brings it.
        feature: &'static str,
    },
    /// The shards cannot be.
    #[error("shards: {0}")]
    Shards(#[from] ShardCountError),
    /// A bug.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A bug.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
}

/// Why an address cannot be listened on, and what to do about it.
pub(super) fn listen_advice(address: SocketAddr, error: &std::io::Error) -> String {
    let kind = error.kind();
    let advice = if kind == ErrorKind::AddrInUse {
        "another process listens there; stop it, or choose another port".to_owned()
    } else if kind == ErrorKind::PermissionDenied {
        "ports below 1024 need a privilege (CAP_NET_BIND_SERVICE); choose another port".to_owned()
    } else if kind == ErrorKind::AddrNotAvailable {
        "no interface of this machine has this address; 0.0.0.0 listens on all of them".to_owned()
    } else {
        error.to_string()
    };
    format!("{address}: {advice}")
}

/// The same for a folder.
pub(super) fn folder_advice(error: &std::io::Error) -> String {
    let kind = error.kind();
    if kind == ErrorKind::PermissionDenied {
        "permission denied; give this user write access to the folder above, or choose another data_dir"
            .to_owned()
    } else if kind == ErrorKind::ReadOnlyFilesystem {
        "the file system is read-only; choose another data_dir".to_owned()
    } else if kind == ErrorKind::NotADirectory || kind == ErrorKind::AlreadyExists {
        "a file with this name, or the name of a folder above it, is in the way; choose another data_dir"
            .to_owned()
    } else {
        format!("{error}; choose another data_dir")
    }
}

impl StartError {
    /// The exit code of the process.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        // The settings name what is not theirs; everything else may be mended outside of them.
        #[cfg(feature = "aws")]
        if matches!(self, Self::Identity(_)) {
            return 2;
        }
        if matches!(self, Self::ForeignFolder(_) | Self::ShardsNote(ShardsNoteError::Changed { .. })) {
            return 2;
        }
        1
    }
}
