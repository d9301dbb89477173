//! What readers of the log share: what they may see, bells that wake them, and the consumers' places.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::progress::ConsumerProgress;
use super::record::{Part, Window, code, slot};
use crate::adapters::embedded::store::{Appended, Batch, Heads, ReadError, Tables};
use crate::ports::Stream;

/// How far a consumer's progress on disk may be behind. What is lost in a crash is delivered again.
const SAVE_EVERY: Duration = Duration::from_millis(200);

/// A consumer's progress, shared by all its readers.
pub(super) type SharedProgress = Arc<Mutex<ConsumerProgress>>;

/// See the module.
#[derive(Debug)]
pub(crate) struct LogShared {
    pub(super) window: Window,
    bells: [Bells; 3],
    consumers: Mutex<HashMap<(Stream, String), SharedProgress>>,
    born: Instant,
    saved_at_ms: AtomicU64,
}

/// One bell for every part of the subject that a reader waits for, and one for all else.
#[derive(Debug, Default)]
struct Bells {
    any: Arc<Notify>,
    parts: Mutex<Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    bells: HashMap<Part, Weak<Notify>>,
    sweep_at: usize,
}

impl LogShared {
    pub(crate) fn new(window: Window) -> Self {
        Self {
            window,
            bells: Default::default(),
            consumers: Mutex::default(),
            born: Instant::now(),
            saved_at_ms: AtomicU64::new(0),
        }
    }

    /// Lets readers see what is on disk now, and wakes those who wait for it.
    pub(crate) fn show(&self, heads: &Heads, appended: &[Appended]) {
        for stream in Stream::ALL {
            let head = &heads.streams[slot(stream)];
            self.window.set(stream, head.first, head.last);
            let bells = &self.bells[slot(stream)];
            let mut news = appended.iter().filter(|record| record.stream == stream).peekable();
            if news.peek().is_some() {
                bells.any.notify_waiters();
                let parts = locked(&bells.parts);
                if parts.bells.is_empty() {
                    continue;
                }
                for part in news.filter_map(|record| record.part) {
                    if let Some(bell) = parts.bells.get(&part).and_then(Weak::upgrade) {
                        bell.notify_waiters();
                    }
                }
            }
        }
    }

    /// The bell that rings for records with this part in their subject; none: for all of the stream.
    pub(super) fn bell(&self, stream: Stream, part: Option<&str>) -> Arc<Notify> {
        let bells = &self.bells[slot(stream)];
        let Some(part) = part else { return Arc::clone(&bells.any) };
        let (part, mut parts) = (Part::of(part), locked(&bells.parts));
        if let Some(bell) = parts.bells.get(&part).and_then(Weak::upgrade) {
            return bell;
        }
        if parts.bells.len() >= parts.sweep_at {
            parts.bells.retain(|_, bell| bell.strong_count() > 0);
            parts.sweep_at = 64.max(parts.bells.len() * 2);
        }
        let bell = Arc::new(Notify::new());
        parts.bells.insert(part, Arc::downgrade(&bell));
        bell
    }

    /// The progress of a consumer; read from disk, or made, the first time.
    pub(super) fn consumer(
        &self,
        stream: Stream,
        name: &str,
        tables: &Tables,
        make: impl FnOnce() -> ConsumerProgress,
    ) -> Result<SharedProgress, ReadError> {
        let mut consumers = locked(&self.consumers);
        if let Some(found) = consumers.get(&(stream, name.to_owned())) {
            return Ok(Arc::clone(found));
        }
        let saved = tables.consumers.get(consumer_key(stream, name))?;
        let progress = saved.map(|row| ConsumerProgress::load(&row)).transpose()?.unwrap_or_else(make);
        let progress = Arc::new(Mutex::new(progress));
        consumers.insert((stream, name.to_owned()), Arc::clone(&progress));
        Ok(progress)
    }

    /// Up to where a consumer has acknowledged everything; none if it is not there, or reads something else.
    pub(super) fn floor(
        &self,
        stream: Stream,
        name: &str,
        filter: &str,
        tables: &Tables,
    ) -> Result<Option<u64>, ReadError> {
        let of = |progress: &ConsumerProgress| (progress.filter() == filter).then(|| progress.floor());
        if let Some(known) = locked(&self.consumers).get(&(stream, name.to_owned())) {
            return Ok(of(&locked(known)));
        }
        let saved = tables.consumers.get(consumer_key(stream, name))?;
        Ok(saved.map(|row| ConsumerProgress::load(&row)).transpose()?.as_ref().and_then(of))
    }

    /// Whether places that have moved should be saved now. Says yes once, then not for a while.
    pub(crate) fn consumers_are_due(&self) -> bool {
        let now_ms = millis(self.born.elapsed());
        let saved_at_ms = self.saved_at_ms.load(Ordering::Acquire);
        now_ms.saturating_sub(saved_at_ms) >= millis(SAVE_EVERY)
            && self
                .saved_at_ms
                .compare_exchange(saved_at_ms, now_ms, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
    }

    /// Adds the places that have moved to the batch.
    pub(crate) fn save_consumers(&self, tables: &Tables, batch: &mut Batch) {
        for ((stream, name), progress) in locked(&self.consumers).iter() {
            if let Some(row) = locked(progress).save() {
                batch.put(&tables.consumers, consumer_key(*stream, name), row);
            }
        }
    }
}

/// A lock whose holders leave what it guards whole, even when they panic.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn consumer_key(stream: Stream, name: &str) -> Vec<u8> {
    [&[code(stream)], name.as_bytes()].concat()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
