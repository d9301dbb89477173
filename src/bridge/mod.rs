//! The bridge: moves the notifications of the bucket from the queue into the log.
//!
//! It knows neither accounts nor quota, and keeps nothing: killed at any line it loses nothing and repeats
//! at most what it held (invariant 19). Start with `handle`; `in_flight` is the order of things in one type.

mod handle;
mod notification;
mod in_flight;
mod forwarder;
mod pace;
mod poller;
mod supervisor;
#[cfg(test)]
mod doubles;

pub use handle::{Bridge, BridgeError, BridgeParts, POLLERS_DEFAULT, POLLERS_MAX};
pub use notification::{Ignored, ParsedNotification, RejectReason, Rejection, parse_notification};
pub use supervisor::{Child, Restart, restart_policy};
