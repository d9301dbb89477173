//! The folder, its tables, and the one thread that writes them.
//!
//! `open` is the door; `committer` is the heart. Jobs are plain data, applied by plain functions.

mod folder;
mod rows;
mod tables;
mod identity;
mod tidy;
mod job;
mod batch;
mod room;
mod committer;
mod open;
mod watch;

pub(super) use batch::{Appended, Batch, Heads};
pub(crate) use job::CommitCallback;
pub(super) use job::{Job, Unsent, tell};
pub(super) use open::Shared;
pub(super) use rows::{row, split, u64_at, unrow};
pub(super) use tables::{ReadError, Tables};

pub use folder::OpenError;
pub use open::{EmbeddedStore, StoreOptions};

#[cfg(test)]
mod tests;
