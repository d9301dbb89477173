//! The log on real NATS servers.
//!
//! Runs when `WHARFDEV_TEST_NATS` names a server (`nats://127.0.0.1:4222`) that holds nothing of worth. Faults are
//! tried on servers that the tests start themselves from `WHARFDEV_TEST_NATS_BIN` or `target/servers/bin`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests stop at the first surprise, and say what they skip"
)]

/// Makes one test of each case of a suite, if there is a server.
macro_rules! cases {
    ($suite:ident, $world:expr, $($case:ident)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                if let Some(world) = $world.await {
                    $crate::$suite::$case(&world).await;
                }
            }
        )*
    };
}

#[path = "contract/log.rs"]
mod log;
#[path = "nats/server.rs"]
mod server;
#[path = "nats/tools.rs"]
mod tools;
#[path = "nats/suite.rs"]
mod suite;
#[path = "nats/faults.rs"]
mod faults;
#[path = "nats/batches.rs"]
mod batches;
#[path = "nats/cluster.rs"]
mod cluster;
#[path = "nats/tls.rs"]
mod tls;
#[path = "nats/streams.rs"]
mod streams;
#[path = "nats/accounts.rs"]
mod accounts;
#[path = "nats/deleted.rs"]
mod deleted;
#[path = "nats/room.rs"]
mod room;
#[path = "nats/poison.rs"]
mod poison;
#[path = "nats/credentials.rs"]
mod credentials;
#[path = "nats/health.rs"]
mod health;
#[path = "nats/facts.rs"]
mod facts;
mod support;
