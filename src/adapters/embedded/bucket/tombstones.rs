//! Keys whose objects were deleted for good. A signed upload may outlive its file, and must not bring the key back.
//!
//! A tombstone is an empty file, named by the hash of its key, in the folder of its period. A period lasts as long as
//! a tombstone is needed, so this period and the one before hold all that count, and older folders go as a whole.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use super::draft::hex;
use super::layout;
use crate::domain::time::Timestamp;

/// The tombstones of one bucket.
#[derive(Debug)]
pub(super) struct Tombstones {
    root: PathBuf,
    period_ms: u64,
    /// The starts of the periods that have a folder, in milliseconds since 1970.
    periods: Mutex<Vec<u64>>,
}

impl Tombstones {
    /// Opens the folder, makes it if there is none, and removes what is not needed any more. With a zero `kept_for`
    /// no key gets a tombstone.
    pub(super) fn open(root: PathBuf, kept_for: Duration, now: Timestamp) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        let mut periods = Vec::new();
        for entry in fs::read_dir(&root)? {
            periods.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
        }
        let period_ms = u64::try_from(kept_for.as_millis()).unwrap_or(u64::MAX);
        let this = Self { root, period_ms, periods: Mutex::new(periods) };
        this.prune(now)?;
        Ok(this)
    }

    /// Adds a tombstone for a key, durably.
    pub(super) fn add(&self, key: &str, now: Timestamp) -> io::Result<()> {
        if self.period_ms == 0 {
            return Ok(());
        }
        let start = now.as_millis() - now.as_millis() % self.period_ms;
        let folder = self.folder(start);
        if !self.periods().contains(&start) {
            fs::create_dir_all(&folder)?;
            layout::sync_folder(&self.root)?;
            let mut periods = self.periods();
            if !periods.contains(&start) {
                periods.push(start);
            }
            drop(periods);
            self.prune(now)?;
        }
        File::options().write(true).create(true).truncate(false).mode(0o600).open(folder.join(name(key)))?;
        layout::sync_folder(&folder)
    }

    /// Whether a key has a tombstone that counts.
    pub(super) fn contains(&self, key: &str, now: Timestamp) -> io::Result<bool> {
        let name = name(key);
        let counted: Vec<u64> =
            self.periods().iter().copied().filter(|start| !self.is_over(*start, now)).collect();
        for start in counted {
            if fs::exists(self.folder(start).join(&name))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes the folders of periods whose tombstones are all too old.
    fn prune(&self, now: Timestamp) -> io::Result<()> {
        let mut old = Vec::new();
        self.periods().retain(|start| {
            let is_over = self.is_over(*start, now);
            old.extend(is_over.then_some(*start));
            !is_over
        });
        old.into_iter().try_for_each(|start| layout::remove(&self.folder(start)))
    }

    /// Whether the last tombstone of a period has been kept for long enough.
    const fn is_over(&self, start: u64, now: Timestamp) -> bool {
        start.saturating_add(self.period_ms.saturating_mul(2)) <= now.as_millis()
    }

    fn folder(&self, start: u64) -> PathBuf {
        self.root.join(start.to_string())
    }

    fn periods(&self) -> MutexGuard<'_, Vec<u64>> {
        self.periods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(key: &str) -> PathBuf {
    Path::new(&hex(digest(&SHA256, key.as_bytes()).as_ref())).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT_FOR: Duration = Duration::from_secs(100);

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    fn open(root: &Path, now: Timestamp) -> Tombstones {
        Tombstones::open(root.to_owned(), KEPT_FOR, now).unwrap()
    }

    #[test]
    fn a_tombstone_counts_for_as_long_as_it_is_kept_also_after_a_restart() {
        for second in [1000, 1050, 1099] {
            let dir = tempfile::tempdir().unwrap();
            open(dir.path(), at(second)).add("a", at(second)).unwrap();
            for later in [0, 1, 50, 99, 100] {
                let now = at(second + later);
                let known = open(dir.path(), now);
                assert!(known.contains("a", now).unwrap(), "{second} + {later}");
                assert!(!known.contains("b", now).unwrap());
            }
            let now = at(second + 200);
            assert!(!open(dir.path(), now).contains("a", now).unwrap(), "{second}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded_by_time() {
        let dir = tempfile::tempdir().unwrap();
        let known = open(dir.path(), at(0));
        for second in 0..1000 {
            known.add(&second.to_string(), at(second)).unwrap();
        }
        let folders: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        let files = folders.iter().map(|folder| fs::read_dir(folder).unwrap().count());
        assert_eq!((folders.len(), files.sum::<usize>()), (2, 200));
    }

    #[test]
    fn a_clock_that_goes_back_forgets_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let known = open(dir.path(), at(1000));
        known.add("a", at(1000)).unwrap();
        assert!(known.contains("a", at(10)).unwrap());
        assert!(open(dir.path(), at(10)).contains("a", at(10)).unwrap());
    }

    #[test]
    fn without_a_time_to_keep_there_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let known = Tombstones::open(dir.path().to_owned(), Duration::ZERO, at(5)).unwrap();
        known.add("a", at(5)).unwrap();
        assert!(!known.contains("a", at(5)).unwrap());
    }
}
