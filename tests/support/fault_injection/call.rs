//! One call as a fault has it, whatever the call.

use std::future::Future;

use super::fault::Fault;

/// What is wrong, to be said in the words of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Unavailable,
    Corrupt,
    Unknown,
}

/// Carries a call out, or does not. `said` is what a call says that is only said to be done; none: it has to
/// bring something back.
pub(super) async fn carry_out<T, E, F>(
    fault: Fault,
    said: Option<T>,
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
        Fault::Dropped => said.ok_or_else(|| error(Trouble::Unavailable)),
        Fault::Hang => std::future::pending().await,
        Fault::Panic => panic!("a faulty backend was told to panic"),
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
