//! A bucket in this process: a store on the file system, and an S3 endpoint in front of it.
//!
//! `store` keeps one promise: an object is there whole, with all that is known of it, or not at all, whatever dies
//! when. An object is one file: its bytes, then a record of what is known of them (`record`). It is written and
//! synced under `tmp/`, linked into `outbox/`, and only then linked to its place, which fails if something is there.
//! `outbox` tells the queue what happened; a link is removed after the queue took the news. `endpoint` speaks S3.

mod options;
mod port;
mod signer;
mod keys;
mod layout;
mod parts;
mod record;
mod room;
mod ballast;
mod tombstones;
mod draft;
mod store;
mod list;
mod uploads;
mod assemble;
mod blocking;
mod notice;
mod outbox;
mod api;
mod answers;
mod checksums;
mod failure;
mod query;
mod intake;
mod outgo;
mod lists;
mod conditions;
mod ranges;
mod read;
mod gate;
mod signature;
mod cors;
mod progress;
mod visit;
mod shortage;
mod endpoint;

pub use options::{BucketOptions, OpenError};
pub use port::EmbeddedBucket;
pub use signer::EmbeddedSigner;
