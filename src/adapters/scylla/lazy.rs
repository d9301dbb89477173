//! A ledger on CQL that may be away when the process starts: it connects when it is asked, until it works.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::ScyllaLedger;
use crate::config::ScyllaSettings;
use crate::domain::account::{Account, Remembered};
use crate::domain::draft::Write;
use crate::domain::entry::Entry;
use crate::domain::file::File;
use crate::domain::ids::{FileId, UserId};
use crate::ports::{CommitError, FilePage, LedgerError, LedgerPort, ScanCursor, ScanPage};

/// How long a failure to connect is reported again before the next try.
const PAUSE: Duration = Duration::from_secs(1);

/// A ledger on CQL that connects when it is first asked. Cheap to clone; all clones share the connection.
#[derive(Clone, Debug)]
pub struct LazyScyllaLedger {
    settings: Arc<ScyllaSettings>,
    ledger: Arc<OnceCell<ScyllaLedger>>,
    failed: Arc<Mutex<Option<(Instant, String)>>>,
}

impl LazyScyllaLedger {
    /// A ledger that is not connected yet.
    #[must_use]
    pub fn new(settings: ScyllaSettings) -> Self {
        Self { settings: Arc::new(settings), ledger: Arc::default(), failed: Arc::default() }
    }

    /// The ledger, connected. One try at a time, in a task: it goes on when who asked no longer waits, and the next
    /// one finds it under way.
    async fn ledger(&self) -> Result<&ScyllaLedger, String> {
        if let Some(ledger) = self.ledger.get() {
            return Ok(ledger);
        }
        let lazy = self.clone();
        let tried =
            tokio::spawn(async move { lazy.ledger.get_or_try_init(|| lazy.connect()).await.map(drop) });
        tried.await.map_err(|error| format!("the connecting ended badly: {error}"))??;
        self.ledger.get().ok_or_else(|| "not connected".to_owned())
    }

    async fn connect(&self) -> Result<ScyllaLedger, String> {
        let last = self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, reason)) = last.filter(|(at, _)| at.elapsed() < PAUSE) {
            return Err(format!("{reason} ({:?} ago)", at.elapsed()));
        }
        ScyllaLedger::connect(&self.settings).await.map_err(|error| {
            let reason = error.to_string();
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((Instant::now(), reason.clone()));
            reason
        })
    }

    async fn reader(&self) -> Result<&ScyllaLedger, LedgerError> {
        self.ledger().await.map_err(|reason| LedgerError::Unavailable { reason })
    }

    /// The identity of this ledger, made with its tables.
    pub(in crate::adapters) async fn identity(&self) -> Result<uuid::Uuid, LedgerError> {
        let ask = async {
            self.reader().await?.identity().await.map_err(|reason| LedgerError::Unavailable { reason })
        };
        ask.boxed().await
    }
}

// The driver's futures are deep: behind a box they do not grow those of every caller up to a request.
impl LedgerPort for LazyScyllaLedger {
    async fn load(&self, user: UserId) -> Result<Option<Account>, LedgerError> {
        async { self.reader().await?.load(user).await }.boxed().await
    }

    async fn file(&self, user: UserId, file: FileId) -> Result<Option<File>, LedgerError> {
        async { self.reader().await?.file(user, file).await }.boxed().await
    }

    async fn request(&self, user: UserId, key: u64) -> Result<Option<Remembered>, LedgerError> {
        async { self.reader().await?.request(user, key).await }.boxed().await
    }

    async fn files(&self, user: UserId, page: FilePage) -> Result<Vec<File>, LedgerError> {
        async { self.reader().await?.files(user, page).await }.boxed().await
    }

    async fn entry(&self, user: UserId, version: u64) -> Result<Option<Entry>, LedgerError> {
        async { self.reader().await?.entry(user, version).await }.boxed().await
    }

    async fn entries_after(&self, user: UserId, after: u64, limit: usize) -> Result<Vec<Entry>, LedgerError> {
        async { self.reader().await?.entries_after(user, after, limit).await }.boxed().await
    }

    async fn entries_before(
        &self,
        user: UserId,
        between: (u64, u64),
        limit: usize,
    ) -> Result<Vec<Entry>, LedgerError> {
        async { self.reader().await?.entries_before(user, between, limit).await }.boxed().await
    }

    async fn commit(&self, write: Write) -> Result<(), CommitError> {
        let commit = async {
            match self.ledger().await {
                Ok(ledger) => ledger.commit(write).await,
                Err(reason) => Err(CommitError::Unavailable { reason }),
            }
        };
        commit.boxed().await
    }

    async fn scan(&self, after: Option<ScanCursor>, limit: usize) -> Result<ScanPage, LedgerError> {
        async { self.reader().await?.scan(after, limit).await }.boxed().await
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;
    use uuid::Uuid;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    async fn accepted(listener: &TcpListener) -> TcpStream {
        timeout(SOON, listener.accept()).await.expect("somebody connects").expect("accept").0
    }

    #[tokio::test]
    async fn a_try_goes_on_when_nobody_waits_and_is_shared_by_who_asks_next() {
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let nodes = vec![silent.local_addr().expect("bound").to_string()];
        let ledger = LazyScyllaLedger::new(ScyllaSettings { nodes, ..ScyllaSettings::default() });
        let nobody = UserId::from_uuid(Uuid::nil());
        // Polled once each: who is in a hurry goes away at once.
        let hurried = || timeout(Duration::ZERO, ledger.load(nobody));
        assert!(hurried().await.is_err());
        let first = accepted(&silent).await;
        for _ in 0..5 {
            assert!(hurried().await.is_err());
        }
        let patient = tokio::spawn({
            let ledger = ledger.clone();
            async move { ledger.load(nobody).await }
        });
        tokio::task::yield_now().await;
        assert!(!patient.is_finished());
        drop(first);
        let told = timeout(SOON, patient).await.expect("it is told").expect("no panic");
        assert!(matches!(told, Err(LedgerError::Unavailable { .. })), "{told:?}");
        assert!(silent.accept().now_or_never().is_none(), "there was another try");
    }
}
