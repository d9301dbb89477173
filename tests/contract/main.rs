//! One suite a port, held against every backend. Below them, what only one backend promises.

/// Makes one test of each case of a suite, in a world of its own.
///
/// `(where WORLD)` is a world that may not be had on this machine: then the case is skipped, aloud.
macro_rules! cases {
    ($suite:ident, (where $world:expr), $($case:ident)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                let Some(world) = $world else { return };
                $crate::$suite::$case(&world).await;
            }
        )*
    };
    ($suite:ident, $world:expr, $($case:ident)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::$suite::$case(&$world).await;
            }
        )*
    };
}

#[path = "../support/fault_injection/mod.rs"]
mod fault_injection;
#[path = "../support/servers.rs"]
mod servers;
#[path = "../sim/world/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    reason = "the simulation uses all of it, and fails aloud"
)]
mod simulated_world;
mod canned;
mod ledger;
mod log;
mod queue;
mod embedded_store;
mod http;
mod objects;
mod signer;
mod sqs;
mod s3;
mod faulty;
mod simulated;
