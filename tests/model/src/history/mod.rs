//! The entries of one user and the log of events: two nodes, requests that come once each, a delayed write.
//!
//! The user has one file, and the requests put it into the trash and take it out again, so that doing one of them
//! twice is not the same as doing it once.
//!
//! Writes of the mark alone are ordered by the version here, which allows more than the product does: it also compares
//! the attempt, see [`crate::upkeep`]. What holds here holds there.

mod protocol;
mod state;
mod step;
mod publish;
mod world;

pub use protocol::{Bounds, Judge, Protocol, RELIABLE};
pub use world::World;
