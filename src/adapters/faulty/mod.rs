//! Backends that fail on purpose. For tests and simulations only: no setting leads here.
//!
//! Each wraps an embedded backend and asks a [`Plan`] before every call how it is to go. A plan is either
//! scripted, switched by a test, or seeded, decided by a seed in the order of calls; neither reads a clock.

mod fault;
mod dice;
mod plan;
mod call;
mod ledger;
mod log;
mod queue;
mod objects;
mod signer;

pub use fault::{Fault, Op, Port, REASON};
pub use ledger::FaultyLedger;
pub use log::{FaultyConsumer, FaultyLog, FaultyReplay};
pub use objects::FaultyObjects;
pub use plan::Plan;
pub use queue::FaultyQueue;
pub use signer::FaultySigner;
