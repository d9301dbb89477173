//! Acknowledged answers of clients, which must still be true at the end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wharfinger::domain::time::Timestamp;

/// What its owner wants of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Kept,
    Trashed,
    Deleted,
}

/// One file whose presign was acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) user: usize,
    /// When the bucket acknowledged its bytes.
    pub(crate) landed: Option<(Instant, Timestamp)>,
    /// The last that was asked, and whether it was acknowledged.
    pub(crate) wish: Wish,
    pub(crate) is_sure: bool,
    /// A client is at it.
    pub(crate) is_busy: bool,
}

/// All files, and what happened to requests.
#[derive(Default)]
pub(crate) struct Told {
    stories: Mutex<BTreeMap<String, Story>>,
    /// When a presign was acknowledged, since the start of the load.
    acks: Mutex<Vec<Instant>>,
    pub(crate) presigns: AtomicU64,
    pub(crate) repeats: AtomicU64,
    pub(crate) puts: AtomicU64,
    pub(crate) deletes: AtomicU64,
    pub(crate) trashes: AtomicU64,
    pub(crate) restores: AtomicU64,
    pub(crate) refused_for_quota: AtomicU64,
    pub(crate) failed_tries: AtomicU64,
    pub(crate) given_up: AtomicU64,
    /// What may never happen, in words.
    violations: Mutex<Vec<String>>,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Told {
    pub(crate) fn stories(&self) -> MutexGuard<'_, BTreeMap<String, Story>> {
        self.stories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A presign was acknowledged.
    pub(crate) fn presigned(&self, user: usize, file: &str) {
        count(&self.presigns);
        self.acks.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
        let story = Story { user, landed: None, wish: Wish::Kept, is_sure: true, is_busy: true };
        if self.stories().insert(file.to_owned(), story).is_some() {
            self.violation(format!("{file} was presigned twice"));
        }
    }

    /// Changes a story.
    pub(crate) fn edit(&self, file: &str, edit: impl FnOnce(&mut Story)) {
        edit(self.stories().get_mut(file).expect("it was presigned"));
    }

    pub(crate) fn violation(&self, text: String) {
        println!("chaos: VIOLATION: {text}");
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Operations that were acknowledged, uploads to the bucket too.
    pub(crate) fn acknowledged(&self) -> u64 {
        [&self.presigns, &self.puts, &self.deletes, &self.trashes, &self.restores].into_iter().map(read).sum()
    }

    /// From `since` to the next acknowledged presign.
    pub(crate) fn next_ack(&self, since: Instant) -> Option<Duration> {
        let acks = self.acks.lock().unwrap_or_else(PoisonError::into_inner);
        let at = acks.partition_point(|at| *at < since);
        acks.get(at).map(|at| at.duration_since(since))
    }
}
