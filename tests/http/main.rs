//! The HTTP front from outside: a whole server on loopback, spoken to by real clients.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/fault_injection/mod.rs"]
mod fault_injection;
#[path = "../inside/mod.rs"]
mod inside;
#[path = "../nats/server.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod server;
#[path = "../nats/tools.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod tools;
mod world;
mod uploads;
mod batches;
mod chunks;
mod history;
mod files;
mod lists;
mod crowd;
mod downloads;
mod events;
mod nats_events;
mod callers;
mod admin;
mod front;
mod http2;
mod framing;
mod error_pages;
mod outages;
mod logs;
mod schemas;
mod stopping;
