//! A world for whole nodes: ledger, bucket, log and queue in memory, inline, and decided by one seed.
//!
//! Everything happens at a point of simulated time, every call may go wrong as the seed says, and every
//! committed write is held against the invariants where it is made. Nothing here iterates over a hash map,
//! reads a clock of the machine or draws from its random source.

mod rng;
mod trace;
mod fate;
mod ledger;
mod checks;
mod endings;
mod history;
mod bucket;
mod uploads;
mod stream;
mod queue;
mod messages;
mod coming;
mod state;
mod port;
mod ports_ledger;
mod ports_log;
mod ports_queue;
mod ports_bucket;

pub(crate) use checks::Stood;
pub(crate) use coming::Coming;
pub(crate) use fate::{Crooked, Weather};
pub(crate) use history::Request;
pub(crate) use port::{PORT_PANIC, Port};
pub(crate) use rng::Rng;
pub(crate) use state::{BUCKET, START, Shared, State, Watch};
pub(crate) use uploads::PartUrl;
