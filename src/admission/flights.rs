//! Flights: identical work in flight runs once, and every caller gets its outcome.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tracing::Instrument as _;

/// Work in flight by key. Cheap to clone.
#[derive(Debug)]
pub struct Flights<K, T>(Arc<Mutex<Board<K, T>>>);

#[derive(Debug)]
struct Board<K, T> {
    started: u64,
    running: HashMap<K, Flight<T>>,
}

/// Work that runs.
#[derive(Debug)]
struct Flight<T> {
    number: u64,
    outcome: watch::Receiver<Option<T>>,
}

impl<T> Clone for Flight<T> {
    fn clone(&self) -> Self {
        Self { number: self.number, outcome: self.outcome.clone() }
    }
}

impl<K, T> Clone for Flights<K, T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Board { started: 0, running: HashMap::new() })))
    }
}

impl<K, T> Flights<K, T>
where
    K: Clone + Debug + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Does the work of `key`, or waits for one that does it already.
    ///
    /// An outcome of work that began before this call counts only if `is_final` says that nothing which happened since
    /// could change it; otherwise the work is done once more, for all who wait. Work that began goes on when its
    /// callers go. If it panics, each of its callers does the work by itself.
    pub async fn run<F>(&self, key: K, is_final: impl Fn(&T) -> bool, work: impl Fn() -> F) -> T
    where
        F: Future<Output = T> + Send + 'static,
    {
        let asked = self.board().started;
        loop {
            let flight = self.join(&key, &work);
            let mut outcome = flight.outcome;
            let landed = outcome.wait_for(Option::is_some).await.ok().and_then(|landed| landed.clone());
            match landed {
                Some(landed) if flight.number > asked || is_final(&landed) => return landed,
                Some(_) => {}
                None => return work().await,
            }
        }
    }

    /// The flight of a key; one is started if there is none.
    fn join<F>(&self, key: &K, work: &impl Fn() -> F) -> Flight<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut board = self.board();
        if let Some(flight) = board.running.get(key) {
            return flight.clone();
        }
        board.started += 1;
        let (tell, outcome) = watch::channel(None);
        let flight = Flight { number: board.started, outcome };
        board.running.insert(key.clone(), flight.clone());
        drop(board);
        let landing = Landing { flights: self.clone(), key: key.clone() };
        let work = work();
        let running = async move {
            let outcome = work.await;
            // Removed from the board first: a call from now on starts a new flight.
            drop(landing);
            tell.send_replace(Some(outcome));
        };
        tokio::spawn(running.in_current_span());
        flight
    }

    fn board(&self) -> MutexGuard<'_, Board<K, T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a flight off the board when its work ends, however it ends.
struct Landing<K: Eq + Hash, T> {
    flights: Flights<K, T>,
    key: K,
}

impl<K: Eq + Hash, T> Drop for Landing<K, T> {
    fn drop(&mut self) {
        let mut board = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        board.running.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    /// Work that counts its runs and waits until it may end.
    #[derive(Clone)]
    struct Work {
        runs: Arc<AtomicU32>,
        gate: Arc<Semaphore>,
    }

    impl Work {
        fn new() -> Self {
            Self { runs: Arc::default(), gate: Arc::new(Semaphore::new(0)) }
        }

        async fn run(self) -> u32 {
            let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
            self.gate.acquire().await.unwrap().forget();
            run
        }
    }

    /// Runs 64 calls of which the first began earlier; returns how often the work was done, and what the calls got.
    async fn check(is_final: fn(&u32) -> bool) -> (u32, Vec<u32>) {
        let (flights, work) = (Flights::<&str, u32>::default(), Work::new());
        let call = || flights.run("a", is_final, || work.clone().run());
        let mut first = std::pin::pin!(call());
        assert!(first.as_mut().now_or_never().is_none());
        let mut others: Vec<_> = (1..64).map(|_| Box::pin(call())).collect();
        for other in &mut others {
            assert!(other.as_mut().now_or_never().is_none());
        }
        work.gate.add_permits(64);
        let first = first.await;
        let mut got = vec![first];
        got.extend(join_all(others).await);
        assert!(flights.board().running.is_empty());
        (work.runs.load(Ordering::SeqCst), got)
    }

    #[tokio::test]
    async fn work_that_is_asked_for_while_it_runs_is_done_once() {
        assert_eq!(check(|_| true).await, (1, vec![1; 64]));
    }

    #[tokio::test]
    async fn an_outcome_that_may_be_old_is_found_once_more_for_all() {
        let (runs, got) = check(|_| false).await;
        assert_eq!((runs, got[0]), (2, 1));
        assert!(got[1..].iter().all(|run| *run == 2), "{got:?}");
    }

    #[tokio::test]
    async fn work_goes_on_when_its_caller_goes() {
        let (flights, work) = (Flights::<&str, u32>::default(), Work::new());
        let mut call = Box::pin(flights.run("a", |_| true, || work.clone().run()));
        assert!(call.as_mut().now_or_never().is_none());
        drop(call);
        work.gate.add_permits(1);
        let again = flights.run("a", |_| true, || work.clone().run());
        assert_eq!(again.await, 1);
        assert_eq!(work.runs.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn keys_do_not_wait_for_each_other() {
        let (flights, work) = (Flights::<&str, u32>::default(), Work::new());
        let mut held = std::pin::pin!(flights.run("a", |_| true, || work.clone().run()));
        assert!(held.as_mut().now_or_never().is_none());
        assert_eq!(flights.run("b", |_| true, || async { 7 }).await, 7);
    }
}
