//! The backends that need nothing installed. One folder, one process, one thread that writes.
//!
//! `store` owns the folder and the thread; ledger, log and queue are three ways to use it.

mod store;
mod ledger;
mod log;
mod queue;

pub use ledger::EmbeddedLedger;
pub use log::{EmbeddedConsumer, EmbeddedLog, EmbeddedReplay};
pub use queue::{DeadLetter, EmbeddedQueue, QueuePolicy};
pub use store::{EmbeddedStore, OpenError, StoreOptions};
