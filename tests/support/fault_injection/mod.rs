//! Backends that fail on purpose. For tests and simulations only: no setting leads here.
//!
//! Each wraps an embedded backend and asks a [`Plan`] before every call how it is to go. A plan is either
//! scripted, switched by a test, or seeded, decided by a seed in the order of calls; neither reads a clock.

#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]

mod fault;
mod dice;
mod plan;
mod call;
mod ledger;
mod log;
mod queue;
mod objects;
mod signer;

pub(crate) use fault::{Fault, Op, Port, REASON};
pub(crate) use ledger::FaultyLedger;
pub(crate) use log::{FaultyConsumer, FaultyLog, FaultyReplay};
pub(crate) use objects::FaultyObjects;
pub(crate) use plan::Plan;
pub(crate) use queue::FaultyQueue;
pub(crate) use signer::FaultySigner;
