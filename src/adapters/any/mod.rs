//! Backends that a test brings along, each as one type. For tests and simulations only: no setting leads here.
//!
//! So a world that exists for the tests' sake, be it deterministic, crooked or both, stays out of the product.
//! It is held to the same suites as every backend, where it is made.

mod ledger;
mod log;
mod queue;
mod objects;
mod signer;

pub use ledger::AnyLedger;
pub use log::{AnyConsumer, AnyLog, AnyReplay};
pub use objects::AnyObjects;
pub use queue::AnyQueue;
pub use signer::AnySigner;
