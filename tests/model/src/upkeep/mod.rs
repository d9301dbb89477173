//! What keeps one user's partition small, beside requests that change it: `published` moves, history is trimmed up to a
//! floor, rows of ended files are forgotten, and remembered requests expire.
//!
//! The writes that do this make no version, so they show what the version alone cannot order. A client asks twice with
//! one Idempotency-Key, and another client reads the history.

mod protocol;
mod state;
mod ledger;
mod step;
mod decide;
mod world;

pub use protocol::{Bounds, Condition, Protocol, RELIABLE};
pub use world::World;
