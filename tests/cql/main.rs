//! The ledger on a real CQL server: the suite of the port, and what only this backend promises.
//!
//! `WHARFDEV_TEST_CQL=host:port[,host:port,host:port]` names the servers; three of them: three copies of everything.

/// Makes one test of each case of a suite, in a world of its own.
macro_rules! cases {
    ($suite:ident, $world:expr, $($case:ident)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                if let Some(world) = $world {
                    $crate::$suite::$case(&world).await;
                }
            }
        )*
    };
}

mod world;
#[path = "../contract/ledger.rs"]
mod ledger;
#[path = "../support/columns.rs"]
mod columns;
mod suite;
mod shapes;
mod rows;
mod fight;
mod proxy;
mod faults;
mod schema;
mod tombstones;
