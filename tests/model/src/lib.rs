//! The protocol of the ledger as a model, and a search that tries everything that can happen to it.
//!
//! Three models share the search. [`quota`] is one user's account, the bucket and upload URLs: are bytes counted
//! exactly, and does everything settle? [`history`] is the entries of that account and the log of events: is each
//! published once and in order, and is a write whose answer was lost resolved rightly? [`upkeep`] is the writes that make no
//! version: is nothing forgotten or trimmed that is still needed, and does no write undo another? All have two nodes
//! that may act at the same time, may die at any moment, and may leave a write behind that lands any time later.
//!
//! A model takes a protocol with every defence, or with one of them switched off. `tests/model.rs` has the
//! variants and what must come out: the whole holds, and each defence is needed.

mod bits;
mod seen;
mod search;
pub mod quota;
pub mod history;
pub mod upkeep;

pub use search::{Model, Report, Verdict, search};
