//! The business rules: ids, accounts, files, entries, events. Pure: no async, no I/O, no clock.
//!
//! Read in this order. `account` decides and applies; `draft` turns decisions into the one write.

pub mod time;
pub mod ids;
pub mod shard;
pub mod file;
pub mod chunks;
pub mod metadata;
pub mod entry;
pub mod account;
pub mod decide;
pub mod transitions;
pub mod draft;
pub mod invariant;
pub mod arrival;
pub mod event;
pub mod history;
pub mod policy;
pub mod backoff;
pub mod origins;
#[cfg(test)]
mod samples;
