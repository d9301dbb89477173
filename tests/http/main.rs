//! The HTTP front from outside: a whole server on loopback, spoken to by real clients.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../inside/mod.rs"]
mod inside;
mod world;
mod uploads;
mod batches;
mod chunks;
mod history;
mod files;
mod lists;
mod downloads;
mod events;
mod callers;
mod admin;
mod front;
mod framing;
mod outages;
mod logs;
mod schemas;
mod stopping;
