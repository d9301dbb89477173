//! The log on the store: streams with sequences, durable consumers, replays.
//!
//! `append` writes (on the committer), `select` finds, `consumer` and `replay` read.

mod subject;
mod record;
mod ids;
mod append;
mod trim;
mod shared;
mod select;
mod progress;
mod consumer;
mod replay;
mod port;

pub(super) use append::{StreamHead, append, append_chain, old_ids, put_heads};
pub(super) use ids::KnownIds;
pub(super) use record::{EncodedChain, EncodedRecord, Part, Window};
pub(super) use shared::LogShared;
pub(super) use trim::{Trim, Trimmed, trim};

pub use consumer::EmbeddedConsumer;
pub use port::EmbeddedLog;
pub use replay::EmbeddedReplay;
