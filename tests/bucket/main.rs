//! The embedded bucket through its S3 endpoint: what signed requests may do, what the SDK sees, what a crash leaves.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

mod world;
mod sign;
mod signed;
mod sdk;
mod table;
mod streams;
mod refusals;
mod completion;
mod races;
mod crash;
mod news;
mod connections;
mod crowd;
mod intake;
mod room;
mod logs;

/// Says that a test did not run, past the capture of its output.
fn say_skipped(test: &str, why: &str) {
    use std::io::Write as _;

    drop(std::io::stderr().lock().write_all(format!("skipped: {test}: {why}\n").as_bytes()));
}
