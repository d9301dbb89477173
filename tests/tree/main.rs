//! The actor tree in one process, over real embedded backends that fail as each test says, with a clock that only
//! the test advances. A test names the invariant or the fault row (`tests/cross/rows.rs`) that it holds.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/fault_injection/mod.rs"]
mod fault_injection;
#[path = "../inside/mod.rs"]
mod inside;
mod world;
mod counted;
mod deadlines;
mod arrivals;
mod writes;
mod chunks;
mod events;
mod removals;
mod republish;
mod sweeps;
mod deaths;
mod memory;
mod load;
