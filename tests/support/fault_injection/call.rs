//! Carries out one call under a fault.

use std::future::Future;

use super::fault::Fault;

/// An error, to be translated into the error of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Unavailable,
    Corrupt,
    Unknown,
}

/// Carries out a call under a fault. `claimed` is the answer of a call that is only claimed to be done; none: such a call
/// must return data.
pub(super) async fn carry_out<T, E, F>(
    fault: Fault,
    claimed: Option<T>,
    error: impl Fn(Trouble) -> E,
    run: impl Fn() -> F,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    match fault {
        Fault::Fine => run().await,
        Fault::Unavailable => Err(error(Trouble::Unavailable)),
        Fault::Corrupt => Err(error(Trouble::Corrupt)),
        Fault::Lost | Fault::Late => Err(error(Trouble::Unknown)),
        Fault::Unanswered => {
            drop(run().await);
            Err(error(Trouble::Unknown))
        }
        Fault::Twice => {
            let first = run().await;
            drop(run().await);
            first
        }
        Fault::Dropped => claimed.ok_or_else(|| error(Trouble::Unavailable)),
        Fault::Hang => std::future::pending().await,
        Fault::Panic => panic!("a faulty backend panics as planned"),
    }
}

/// The same for deliveries, which can arrive twice or be lost on the way.
pub(super) async fn deliver<T, E, F>(
    fault: Fault,
    error: impl Fn(Trouble) -> E,
    run: impl Fn() -> F,
) -> Result<Vec<T>, E>
where
    T: Clone,
    F: Future<Output = Result<Vec<T>, E>>,
{
    match fault {
        Fault::Twice => {
            let mut deliveries = run().await?;
            deliveries.extend(deliveries.clone().into_iter().rev());
            Ok(deliveries)
        }
        Fault::Dropped => run().await.map(|_| Vec::new()),
        Fault::Fine
        | Fault::Unavailable
        | Fault::Corrupt
        | Fault::Lost
        | Fault::Late
        | Fault::Unanswered
        | Fault::Hang
        | Fault::Panic => carry_out(fault, None, error, run).await,
    }
}
