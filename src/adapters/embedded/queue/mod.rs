//! The queue on the store: notifications with a visibility deadline, redelivery and dead letters.

mod write;
mod state;
mod port;

pub(super) use state::QueueShared;
pub(super) use write::{QueueHead, append, bury, delete, recount};

pub use port::{DeadLetter, EmbeddedQueue, QueuePolicy};
