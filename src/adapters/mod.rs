//! Everything that speaks to storage or an outside protocol: closed sets of backends behind the ports.
//!
//! Other rooms name the enums only. `embedded` needs nothing installed. In the enums what speaks over a wire is boxed: its futures
//! are of many kilobytes, and every caller, whatever was chosen, would have room for them and move them about.

#[cfg(feature = "aws")]
pub mod aws;
pub mod embedded;
#[cfg(feature = "aws")]
pub mod s3;
#[cfg(feature = "aws")]
pub mod sqs;
pub mod sigv4;
#[cfg(feature = "cql")]
pub mod scylla;
#[cfg(feature = "nats")]
pub mod jetstream;
#[cfg(feature = "aws")]
mod stamp;
mod backends;
mod ledger;
mod log;
mod objects;
mod pages;
mod queue;
mod signer;

pub use ledger::Ledger;
pub use log::{Log, LogConsumer, LogReplay};
pub use objects::Objects;
pub use queue::Queue;
pub use signer::Signer;
#[cfg(feature = "aws")]
pub use stamp::{Stamp, StampError};
