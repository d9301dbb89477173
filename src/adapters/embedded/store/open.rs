//! The door of the store: open it, hand out its three uses, close it.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::batch::Heads;
use super::committer::Committer;
use super::folder::{FolderLock, OpenError};
use super::identity;
use super::job::{Job, Reply, Unsent};
use super::room::StoreRoom;
use super::tables::{ReadError, Tables};
use super::tidy::tidy;
use crate::adapters::embedded::log::{self, LogShared};
use crate::adapters::embedded::queue::QueueShared;
use crate::adapters::embedded::{EmbeddedLedger, EmbeddedLog, EmbeddedQueue, FreeSpace, QueuePolicy};
use crate::ports::Clock;

/// Jobs that wait for the committer.
const JOBS_MAX: usize = 1024;
/// How long a caller waits for its answer. Below what callers of the ledger are given.
const ANSWER_WITHIN: Duration = Duration::from_secs(6);
/// The shape of the whole store. 2: publish ids in a row a batch, short keys in the log's index. 3: remembered requests
/// in a table of their own, accounts name their last write, rows know when their uploads end.
const FORMAT: u8 = 3;
const FORMAT_KEY: &str = "format";
/// How long a drop waits for the committer of a store whose engine has failed: it may be stuck in the engine.
const STUCK_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The engine's own folder inside the data folder.
const ENGINE_DIR: &str = "engine";

/// What may be chosen about a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Bytes of the INGEST stream before it refuses more.
    pub ingest_bytes_max: u64,
    /// How long a writer waits for its turn while too many others do.
    pub turn_within: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { ingest_bytes_max: 4 << 30, turn_within: Duration::from_secs(2) }
    }
}

/// One folder on disk that holds ledger, log and queue. Cheap to clone.
///
/// Everything written is on disk before the writer gets `Ok`. When the last clone, and everything made from
/// one, is dropped, what was accepted is finished, and the folder is free again.
#[derive(Clone)]
pub struct EmbeddedStore(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    /// None once the store is being dropped.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the committer and the readers both see.
pub(crate) struct Shared {
    pub(crate) tables: Tables,
    /// Of the ledger.
    identity: Uuid,
    pub(crate) clock: Clock,
    pub(crate) options: StoreOptions,
    pub(crate) log: LogShared,
    pub(crate) queue: QueueShared,
    pub(crate) room: StoreRoom,
    trouble: OnceLock<String>,
    /// Cancelled when there is trouble.
    pub(super) is_broken: CancellationToken,
    #[cfg(test)]
    pub(crate) is_sync_broken: std::sync::atomic::AtomicBool,
    #[cfg(test)]
    pub(crate) is_panicking: std::sync::atomic::AtomicBool,
    /// Last, so that the folder is given back when all else is gone.
    _lock: FolderLock,
}

impl Shared {
    /// Why nothing is written any more, if a write has failed.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.get().cloned()
    }

    /// Refuses all writes from now on, and logs why, once. Returns the first reason.
    pub(super) fn poison(&self, reason: &str) -> String {
        if self.trouble.set(reason.to_owned()).is_ok() {
            tracing::error!(reason, "the embedded store takes no more writes: {reason}");
        }
        self.is_broken.cancel();
        self.trouble().unwrap_or_default()
    }
}

impl EmbeddedStore {
    /// Opens the store in `dir`, which is made if it is not there.
    ///
    /// Blocks for as long as it takes to read back what was not yet in files; call it before serving.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(dir: &Path, clock: Clock) -> Result<Self, OpenError> {
        Self::open_with(dir, clock, StoreOptions::default())
    }

    /// Opens the store with other options than usual.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_with(dir: &Path, clock: Clock, options: StoreOptions) -> Result<Self, OpenError> {
        Self::open_on(dir, clock, options, FreeSpace::of(dir.to_path_buf()))
    }

    /// Opens the store on a disk with this much room.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_on(
        dir: &Path,
        clock: Clock,
        options: StoreOptions,
        space: FreeSpace,
    ) -> Result<Self, OpenError> {
        let lock = FolderLock::take(dir)?;
        let window = log::Window::default();
        let engine_fails = |error| OpenError::from_engine(dir, error);
        let tables = Tables::open(&dir.join(ENGINE_DIR), tidy(clock.clone())).map_err(engine_fails)?;
        check_format(dir, &tables)?;
        let identity = identity::of(&tables).map_err(engine_fails)?;
        let corrupt =
            |error: ReadError| OpenError::Corrupt { dir: dir.to_path_buf(), reason: error.to_string() };
        let heads = Heads::load(&tables, clock.now()).map_err(corrupt)?;
        let shared = Arc::new(Shared {
            log: LogShared::new(window),
            queue: QueueShared::default(),
            room: StoreRoom::new(space),
            tables,
            identity,
            clock,
            options,
            trouble: OnceLock::new(),
            is_broken: CancellationToken::new(),
            #[cfg(test)]
            is_sync_broken: std::sync::atomic::AtomicBool::new(false),
            #[cfg(test)]
            is_panicking: std::sync::atomic::AtomicBool::new(false),
            _lock: lock,
        });
        shared.log.show(&heads, &[]);
        shared.queue.show(&heads.queue, &std::collections::HashSet::new());
        let (sender, receiver) = mpsc::channel(JOBS_MAX);
        let committer = Committer::new(Arc::clone(&shared), heads, receiver);
        let thread = std::thread::Builder::new()
            .name("store-committer".to_owned())
            .spawn(move || committer.run())
            .map_err(|source| OpenError::from_io(dir, source))?;
        Ok(Self(Arc::new(Inner { shared, jobs: Some(sender), thread: Mutex::new(Some(thread)) })))
    }

    /// The process that has the store in `dir` open, if one has. Opens and makes nothing.
    #[must_use]
    pub fn holder(dir: &Path) -> Option<String> {
        super::folder::holder_of(dir)
    }

    /// The identity of the ledger in this store, made with it.
    #[must_use]
    pub fn identity(&self) -> Uuid {
        self.shared().identity
    }

    /// The ledger in this store.
    #[must_use]
    pub fn ledger(&self) -> EmbeddedLedger {
        EmbeddedLedger::new(self)
    }

    /// The log in this store.
    #[must_use]
    pub fn log(&self) -> EmbeddedLog {
        EmbeddedLog::new(self)
    }

    /// The queue in this store.
    #[must_use]
    pub fn queue(&self, policy: QueuePolicy) -> EmbeddedQueue {
        EmbeddedQueue::new(self, policy)
    }

    /// Finishes what was accepted and takes nothing more. Reads go on. Repeating it is harmless.
    ///
    /// The folder is free for others when everything made from this store has been dropped.
    pub async fn close(&self) {
        let (reply, done) = oneshot::channel();
        let Some(jobs) = &self.0.jobs else { return };
        if jobs.send_timeout(Job::Close(reply), self.shared().options.turn_within).await.is_ok() {
            // An error is the committer's end, which is what we wait for.
            drop(tokio::time::timeout(ANSWER_WITHIN, done).await);
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// Hands a job to the committer and waits for its answer.
    ///
    /// Dropping the future before the committer took the job writes nothing; afterwards it may be written.
    pub(crate) async fn submit<T, E>(
        &self,
        job: impl FnOnce(Reply<T, E>) -> Job,
    ) -> Result<Result<T, E>, Unsent> {
        if let Some(trouble) = self.shared().trouble() {
            return Err(Unsent::Refused(trouble));
        }
        let Some(jobs) = &self.0.jobs else { return Err(closed()) };
        let (reply, answer) = oneshot::channel();
        jobs.send_timeout(job(reply), self.shared().options.turn_within).await.map_err(
            |error| match error {
                SendTimeoutError::Timeout(_) => {
                    Unsent::Refused("too many writes wait for the disk".to_owned())
                }
                SendTimeoutError::Closed(_) => closed(),
            },
        )?;
        match tokio::time::timeout(ANSWER_WITHIN, answer).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(_)) => Err(Unsent::Lost("the store stopped in the middle of a write".to_owned())),
            Err(_) => Err(Unsent::Lost("the disk takes too long".to_owned())),
        }
    }

    /// A place for a job, if there is one at once.
    pub(crate) fn room(&self) -> Option<mpsc::Permit<'_, Job>> {
        self.0.jobs.as_ref().and_then(|jobs| jobs.try_reserve().ok())
    }

    /// Hands over a job that nobody waits for. Returns whether there was room.
    pub(crate) fn submit_quietly(&self, job: Job) -> bool {
        self.room().map(|room| room.send(job)).is_some()
    }
}

fn closed() -> Unsent {
    Unsent::Refused("the store is closed".to_owned())
}

fn check_format(dir: &Path, tables: &Tables) -> Result<(), OpenError> {
    let engine_fails = |error| OpenError::from_engine(dir, error);
    let found = tables.meta.get(FORMAT_KEY).map_err(engine_fails)?;
    match found.as_deref() {
        Some([FORMAT]) => Ok(()),
        Some([found, ..]) => {
            let (dir, found, known) = (dir.to_path_buf(), *found, FORMAT);
            Err(if found < FORMAT {
                OpenError::Older { dir, found, known }
            } else {
                OpenError::Newer { dir, found, known }
            })
        }
        Some([]) => {
            Err(OpenError::Corrupt { dir: dir.to_path_buf(), reason: "its format is not said".to_owned() })
        }
        None => {
            let mut rows = tables.db.batch().durability(Some(fjall::PersistMode::SyncAll));
            rows.insert(&tables.meta, FORMAT_KEY, [FORMAT]);
            rows.commit().map_err(engine_fails)
        }
    }
}

impl Drop for Inner {
    /// Waits for the committer to finish what was accepted: a few syncs.
    fn drop(&mut self) {
        self.jobs = None;
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        let deadline = Instant::now() + STUCK_WITHIN;
        while self.shared.trouble().is_some() && !thread.is_finished() {
            if Instant::now() >= deadline {
                tracing::error!("the committer of the store did not end; left as it was");
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        if thread.join().is_err() {
            tracing::error!("the committer of the store panicked");
        }
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore").field("trouble", &self.shared().trouble()).finish_non_exhaustive()
    }
}
