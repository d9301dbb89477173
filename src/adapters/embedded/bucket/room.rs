//! Room for uploads: what the disk has, what is promised to those in flight, and what is never given away.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::adapters::embedded::free_space::{FreeSpace, is_full};
use crate::limits;

/// How long nothing is promised after the file system refused a write for want of room.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(5);

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoRoom {
    /// The disk has not enough beside its reserve.
    #[error("the disk has no room for {asked_bytes} bytes more")]
    Disk {
        /// What was asked for.
        asked_bytes: u64,
    },
    /// Other uploads in flight have taken the budget.
    #[error("too many bytes are being uploaded")]
    Busy,
}

/// How much may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RoomLimits {
    /// Bytes of the disk that uploads leave free.
    pub(super) reserve_bytes: u64,
    /// Bytes of uploads in flight.
    pub(super) in_flight_bytes_max: u64,
    /// Bytes of one object.
    pub(super) object_bytes_max: u64,
}

/// Room for uploads.
#[derive(Debug)]
pub(super) struct Room {
    free: FreeSpace,
    limits: RoomLimits,
    taken: Mutex<TakenBytes>,
}

#[derive(Debug, Default)]
struct TakenBytes {
    /// Bytes of uploads in flight, as they were declared.
    in_flight: u64,
    /// Those of them that are not on the disk yet.
    promised: u64,
    /// The file system refused a write; nothing is promised before this time.
    refused_until: Option<Instant>,
}

impl Room {
    pub(super) fn new(free: FreeSpace, limits: RoomLimits) -> Arc<Self> {
        Arc::new(Self { free, limits, taken: Mutex::default() })
    }

    /// Promises room for bytes that will be written, until the promise is dropped. May wait for the file system.
    pub(super) fn promise(self: &Arc<Self>, bytes: u64) -> io::Result<Result<Promise, NoRoom>> {
        let free = self.free.bytes()?;
        let mut taken = self.taken();
        let in_flight = taken.in_flight.saturating_add(bytes);
        if taken.in_flight > 0 && in_flight > self.limits.in_flight_bytes_max {
            return Ok(Err(NoRoom::Busy));
        }
        let needed = self.limits.reserve_bytes.saturating_add(taken.promised).saturating_add(bytes);
        let is_refused = taken.refused_until.is_some_and(|until| Instant::now() < until);
        if free < needed || is_refused {
            return Ok(Err(NoRoom::Disk { asked_bytes: bytes }));
        }
        taken.in_flight = in_flight;
        taken.promised += bytes;
        Ok(Ok(Promise { room: Arc::clone(self), bytes, left: bytes }))
    }

    /// Why uploads of usual size are refused now; none if they are not. `is_short` is what it was the last time:
    /// the way back needs a little more, so that it does not flap.
    pub(super) fn shortage(&self, is_short: bool) -> io::Result<Option<String>> {
        let free = self.free.bytes()?;
        let RoomLimits { reserve_bytes, object_bytes_max, .. } = self.limits;
        let needed = reserve_bytes.saturating_add(object_bytes_max.min(limits::FILE_BYTES_DEFAULT));
        let needed = needed.saturating_add(if is_short { reserve_bytes / 8 } else { 0 });
        let is_refused = self.taken().refused_until.is_some_and(|until| Instant::now() < until);
        let reason = || format!("the disk has {free} bytes left, {needed} are needed to take uploads");
        Ok((free < needed || is_refused).then(reason))
    }

    /// Notes that the file system failed; a refusal for want of room pauses all uploads for a while.
    pub(super) fn note(&self, error: &io::Error) {
        if is_full(error) {
            self.taken().refused_until = Some(Instant::now() + PAUSE_AFTER_REFUSAL);
        }
    }

    fn taken(&self) -> MutexGuard<'_, TakenBytes> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room that one upload may fill.
#[derive(Debug)]
pub(super) struct Promise {
    room: Arc<Room>,
    bytes: u64,
    left: u64,
}

impl Promise {
    /// Bytes of it are on the disk now, and missing from what the disk has left.
    pub(super) fn filled(&mut self, bytes: u64) {
        let filled = bytes.min(self.left);
        self.left -= filled;
        self.room.taken().promised -= filled;
    }

    /// Notes that writing into it failed.
    pub(super) fn note(&self, error: &io::Error) {
        self.room.note(error);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        taken.promised -= self.left;
        taken.in_flight -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const MIB: u64 = 1 << 20;

    fn room(free_mib: u64) -> (Arc<Room>, Arc<AtomicU64>) {
        let free = Arc::new(AtomicU64::new(free_mib * MIB));
        let limits = RoomLimits {
            reserve_bytes: 100 * MIB,
            in_flight_bytes_max: 200 * MIB,
            object_bytes_max: 50 * MIB,
        };
        (Room::new(FreeSpace::fixed(Arc::clone(&free)), limits), free)
    }

    #[test]
    fn promises_never_reach_into_the_reserve() {
        let (room, free) = room(200);
        let mut first = room.promise(60 * MIB).unwrap().unwrap();
        assert_eq!(room.promise(50 * MIB).unwrap().unwrap_err(), NoRoom::Disk { asked_bytes: 50 * MIB });
        let second = room.promise(40 * MIB).unwrap().unwrap();
        // What is written moves from the promise to the disk, and counts once.
        first.filled(60 * MIB);
        free.fetch_sub(60 * MIB, Ordering::Relaxed);
        assert!(room.promise(1).unwrap().is_err());
        drop(second);
        assert!(room.promise(40 * MIB).unwrap().is_ok());
        assert!(room.promise(40 * MIB + 1).unwrap().is_err());
    }

    #[test]
    fn bytes_in_flight_are_bounded_whatever_the_disk_has() {
        let (room, _) = room(10_000);
        let first = room.promise(150 * MIB).unwrap().unwrap();
        assert_eq!(room.promise(51 * MIB).unwrap().unwrap_err(), NoRoom::Busy);
        let second = room.promise(50 * MIB).unwrap().unwrap();
        drop(first);
        assert!(room.promise(150 * MIB).unwrap().is_ok());
        drop(second);
        let taken = room.taken();
        assert_eq!((taken.in_flight, taken.promised), (0, 0), "all is given back");
    }

    #[test]
    fn a_shortage_ends_a_little_above_where_it_began() {
        let (room, free) = room(150);
        assert_eq!(room.shortage(false).unwrap(), None);
        free.store(150 * MIB - 1, Ordering::Relaxed);
        assert!(room.shortage(false).unwrap().unwrap().starts_with("the disk has 157286399 bytes left"));
        free.store(150 * MIB, Ordering::Relaxed);
        assert!(room.shortage(true).unwrap().is_some());
        free.store(163 * MIB, Ordering::Relaxed);
        assert_eq!(room.shortage(true).unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_the_disk_refused_pauses_uploads_and_they_resume() {
        let (room, _) = room(10_000);
        let promise = room.promise(MIB).unwrap().unwrap();
        promise.note(&io::Error::from(io::ErrorKind::StorageFull));
        assert!(room.promise(MIB).unwrap().is_err());
        assert!(room.shortage(false).unwrap().is_some());
        tokio::time::advance(PAUSE_AFTER_REFUSAL).await;
        assert!(room.promise(MIB).unwrap().is_ok());
        promise.note(&io::Error::from(io::ErrorKind::PermissionDenied));
        assert_eq!(room.shortage(true).unwrap(), None, "other failures say nothing about room");
    }
}
