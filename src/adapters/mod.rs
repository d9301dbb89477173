//! Everything that speaks to storage: closed sets of backends behind the ports.
//!
//! Other rooms name the enums only. `embedded` needs nothing installed.

pub mod embedded;
mod ledger;
mod log;
mod queue;

pub use ledger::Ledger;
pub use log::{Log, LogConsumer, LogReplay};
pub use queue::Queue;
