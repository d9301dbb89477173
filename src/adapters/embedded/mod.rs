//! The backends that need nothing installed. One process, one folder.
//!
//! `store` owns ledger, log and queue: three ways to use one thread that writes. `bucket` is an S3 endpoint.

mod free_space;
mod held_file;
mod store;
mod ledger;
mod log;
mod queue;
pub mod bucket;

pub(super) use store::CommitCallback;

pub use free_space::FreeSpace;
pub use ledger::EmbeddedLedger;
pub use log::{EmbeddedConsumer, EmbeddedLog, EmbeddedReplay};
pub use queue::{DeadLetter, EmbeddedQueue, QueuePolicy};
pub use store::{EmbeddedStore, OpenError, StoreOptions};
