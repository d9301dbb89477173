//! Time and chance. The only place that reads the wall clock or draws random ids.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use crate::domain::ids::{FileId, OpId};
use crate::domain::time::Timestamp;

/// Where time and ids come from. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock and its random source.
    #[default]
    System,
    /// A clock that only a test moves, with ids in a row.
    Manual(Arc<ManualClock>),
}

/// A clock that only a test advances.
#[derive(Debug)]
pub struct ManualClock {
    millis: AtomicU64,
    ids: AtomicU64,
}

impl ManualClock {
    /// Starts at `now`; ids count from `seed`.
    #[must_use]
    pub const fn new(now: Timestamp, seed: u64) -> Self {
        Self { millis: AtomicU64::new(now.as_millis()), ids: AtomicU64::new(seed) }
    }

    /// Sets the time; it may go back.
    pub fn set(&self, now: Timestamp) {
        self.millis.store(now.as_millis(), Ordering::SeqCst);
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::SeqCst))
    }

    fn uuid_v7(&self) -> Uuid {
        let id = self.ids.fetch_add(1, Ordering::SeqCst).to_be_bytes();
        let mut random = [0_u8; 10];
        random[2..].copy_from_slice(&id);
        uuid::Builder::from_unix_timestamp_millis(self.now().as_millis(), &random).into_uuid()
    }
}

impl Clock {
    /// A clock for tests, at `now`.
    #[must_use]
    pub fn manual(now: Timestamp) -> (Self, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(now, 1));
        (Self::Manual(Arc::clone(&clock)), clock)
    }

    /// The time now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                let millis = since_1970.map_or(0, |span| span.as_millis());
                Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
            }
            Self::Manual(clock) => clock.now(),
        }
    }

    /// A new file's id: UUIDv7, so that later files sort later.
    #[must_use]
    pub fn file_id(&self) -> FileId {
        FileId::from_uuid(self.uuid_v7())
    }

    /// A new attempt's id.
    #[must_use]
    pub fn op_id(&self) -> OpId {
        OpId::from_uuid(self.uuid_v7())
    }

    /// A number that spreads loops that act together. Not a secret, and in a row on a clock for tests.
    #[must_use]
    pub fn chance(&self) -> u64 {
        self.uuid_v7().as_u64_pair().1
    }

    fn uuid_v7(&self) -> Uuid {
        match self {
            Self::System => Uuid::now_v7(),
            Self::Manual(clock) => clock.uuid_v7(),
        }
    }
}
