//! The audit: every kind of disagreement, planted and reported; and the command around it.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on fails")]

#[path = "../support/fault_injection/mod.rs"]
mod fault_injection;
#[path = "../inside/mod.rs"]
mod inside;
#[path = "../support/mod.rs"]
mod support;
mod world;
mod planted;
mod dropped;
mod uploads;
mod faults;
mod command;
mod runbooks;
