//! One suite a port, held against every backend. Below them, what only one backend promises.

/// Makes one test of each case of a suite, in a world of its own.
macro_rules! cases {
    ($suite:ident, $world:expr, $($case:ident)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::$suite::$case(&$world).await;
            }
        )*
    };
}

mod ledger;
mod log;
mod queue;
mod embedded_store;
mod http;
mod objects;
mod signer;
