//! One user's account with up to two files: the ledger, two nodes, one delayed write, the bucket and upload URLs.

mod protocol;
mod status;
mod state;
mod step;
mod decide;
mod world;

pub use protocol::{Bounds, Check, Protocol, RELIABLE};
pub use world::World;
