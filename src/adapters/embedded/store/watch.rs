//! The watch over a store: whether the disk has room, whether the engine still writes, and when the process should end.
//!
//! After a failed write or a failure in its background work the engine refuses every write until it is opened again;
//! what was read before can still be read. The process keeps answering reads, is not ready, and ends with an error once
//! the disk has room, so that its supervisor starts it again. A start replays the journal: every acknowledged write is in
//! it, and a batch that was written in part is cut off.

use std::time::Duration;

use fjall::PersistMode;
use tokio::task::JoinHandle;

use super::open::EmbeddedStore;
use super::room::Need;
use crate::ports::Clock;
use crate::telemetry::health::{Health, Part, Reporter};

/// The reason when a write failed for want of room.
pub(super) const DISK_FULL: &str = "a write failed because the disk of data_dir is full; the process ends for a new start once there is room";
/// The reason when the engine stopped in the background.
pub(super) const ENGINE_STOPPED: &str = "the storage engine failed in the background, most likely on a full disk; \
     the process ends for a new start once there is room";
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The source of reports about the disk in the health of each part.
const DISK: Reporter = 1;

impl EmbeddedStore {
    /// Waits until writes have failed and a new start can help, which is when the disk has room; returns the reason.
    ///
    /// Until then reads go on, and every write is refused.
    pub async fn broken(&self) -> String {
        let shared = self.shared();
        shared.is_broken.cancelled().await;
        loop {
            // First a pause: the last look at the room may be older than the failure.
            tokio::time::sleep(LOOK_EVERY).await;
            if shared.room.shortage().is_none() {
                return shared.trouble().unwrap_or_default();
            }
        }
    }

    /// Reports to `health`, until it is dropped, which of `parts` the disk or the engine stops.
    pub async fn watch(self, health: Health, clock: Clock, parts: Vec<Part>) {
        let mut probe = self.probe();
        loop {
            if probe.is_finished() {
                probe = self.probe();
            }
            for part in &parts {
                match self.stopped(*part) {
                    Some(reason) => health.down_from(*part, DISK, &reason, clock.now()),
                    None => health.up_from(*part, DISK),
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Why this part takes no writes; none if it does.
    fn stopped(&self, part: Part) -> Option<String> {
        let shared = self.shared();
        // The ledger is of no use without new files; log and queue must only finish what was begun.
        let need = if part == Part::Ledger { Need::Beginning } else { Need::Finishing };
        match (shared.trouble(), shared.room.refusal(need)) {
            (Some(trouble), Some(shortage)) => Some(format!("{trouble}; {shortage}")),
            (Some(trouble), None) => Some(trouble),
            (None, shortage) => shortage,
        }
    }

    /// Asks the engine whether it still writes. Its background work can fail while nobody writes, and even while a
    /// writer waits for it, which would then wait for ever.
    fn probe(&self) -> JoinHandle<()> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || {
            let shared = store.shared();
            if matches!(shared.tables.db.persist(PersistMode::Buffer), Err(fjall::Error::Poisoned)) {
                shared.poison(ENGINE_STOPPED);
            }
        })
    }
}
