//! The one thread that writes: it takes what waits, writes it as one batch, syncs once, then answers all.
//!
//! The running sync is the batching window: while it runs, jobs gather. There is no timer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use fjall::OwnedWriteBatch;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::batch::{Batch, Heads};
use super::job::{Answer, Job};
use super::open::Shared;
use super::room::Need;
use super::watch::{DISK_FULL, ENGINE_STOPPED};
use crate::adapters::embedded::free_space::is_full;
use crate::adapters::embedded::log;
use crate::telemetry::names::{STORE_COMMIT_SECONDS, STORE_JOBS_PER_COMMIT};

/// Jobs in one batch.
const BATCH_JOBS_MAX: usize = 1024;
/// Bytes of a batch after which it takes no further job.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// The writing side of the store. Lives on its own thread.
pub(super) struct Committer {
    shared: Arc<Shared>,
    heads: Heads,
    jobs: mpsc::Receiver<Job>,
    closers: Vec<oneshot::Sender<()>>,
    /// Where the callers live, if the store was opened there.
    runtime: Option<Handle>,
}

impl Committer {
    /// Belongs to the runtime it is made in, if any.
    pub(super) fn new(shared: Arc<Shared>, heads: Heads, jobs: mpsc::Receiver<Job>) -> Self {
        Self { shared, heads, jobs, closers: Vec::new(), runtime: Handle::try_current().ok() }
    }

    /// Works until the end. A panic is the end of the store: what it was writing is not known, and a process that cannot
    /// write must say so and stop.
    pub(super) fn run(self) {
        let shared = Arc::clone(&self.shared);
        // Nothing of the committer is used after a panic.
        if catch_unwind(AssertUnwindSafe(|| self.work())).is_err() {
            shared.poison("the thread that writes has panicked; start again, and report it");
        }
    }

    /// Works until no sender is left, or the store is closed; what was accepted is finished.
    fn work(mut self) {
        let mut waiting = Vec::with_capacity(BATCH_JOBS_MAX);
        while self.jobs.blocking_recv_many(&mut waiting, BATCH_JOBS_MAX) > 0 {
            let mut jobs = waiting.drain(..);
            while jobs.len() > 0 {
                self.write_some(&mut jobs);
            }
        }
        self.write_some(&mut std::iter::once(Job::SaveConsumers));
        for closer in self.closers {
            closer.send(()).ok(); // whoever closed the store may have gone
        }
    }

    /// Writes one batch of jobs, and answers them.
    fn write_some(&mut self, jobs: &mut impl Iterator<Item = Job>) {
        let mut batch = Batch::new(&self.shared.tables, self.shared.clock.now());
        let mut answers = Vec::new();
        while batch.bytes < BATCH_BYTES_MAX
            && let Some(job) = jobs.next()
        {
            match (job, self.shared.trouble()) {
                (Job::Close(closer), _) => {
                    self.jobs.close();
                    self.closers.push(closer);
                }
                (job, Some(trouble)) => job.refuse(&trouble),
                (job, None) => match self.shared.room.refusal(job.need()) {
                    Some(reason) => job.refuse(&reason),
                    None => answers.push(job.apply(&self.shared, &mut self.heads, &mut batch)),
                },
            }
        }
        let may_save = self.shared.trouble().is_none() && self.shared.room.refusal(Need::Freeing).is_none();
        if may_save && self.shared.log.consumers_are_due() {
            self.shared.log.save_consumers(&self.shared.tables, &mut batch);
        }
        self.finish(batch, answers);
    }

    fn finish(&mut self, mut batch: Batch, answers: Vec<Answer>) {
        log::put_heads(&self.shared.tables, &mut self.heads, &mut batch);
        let started = Instant::now();
        let is_empty = batch.is_empty();
        let appended = std::mem::take(&mut batch.appended);
        let removed = std::mem::take(&mut batch.removed);
        let outcome = self.write(batch.into_rows());
        if !is_empty {
            metrics::histogram!(STORE_COMMIT_SECONDS).record(started.elapsed());
            metrics::histogram!(STORE_JOBS_PER_COMMIT)
                .record(f64::from(u32::try_from(answers.len()).unwrap_or(u32::MAX)));
        }
        if outcome.is_ok() {
            self.shared.log.show(&self.heads, &appended);
            self.shared.queue.show(&self.heads.queue, &removed);
        }
        self.tell(answers, outcome.err());
    }

    /// Answers all. From here every answer would wake its caller across threads; from the callers' own runtime
    /// only the first does.
    fn tell(&self, answers: Vec<Answer>, failed: Option<String>) {
        let is_one = answers.len() == 1;
        let give_all = move || answers.into_iter().for_each(|answer| answer.give(failed.as_deref()));
        match &self.runtime {
            Some(runtime) if !is_one => drop(runtime.spawn(async move { give_all() })),
            Some(_) | None => give_all(),
        }
    }

    /// Writes and syncs. After a failure the page cache may lie, so nothing is ever written again.
    fn write(&self, rows: OwnedWriteBatch) -> Result<(), String> {
        if rows.is_empty() {
            return Ok(());
        }
        #[cfg(test)]
        assert!(
            !self.shared.is_panicking.load(std::sync::atomic::Ordering::SeqCst),
            "the test wants a panic"
        );
        #[cfg(test)]
        if self.shared.is_sync_broken.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(self.shared.poison("the test broke the disk"));
        }
        rows.commit().map_err(|error| self.shared.poison(&describe(&error)))
    }
}

fn describe(error: &fjall::Error) -> String {
    if let fjall::Error::Io(io) | fjall::Error::Storage(fjall::LsmError::Io(io)) = error
        && is_full(io)
    {
        return DISK_FULL.to_owned();
    }
    if matches!(error, fjall::Error::Poisoned) {
        return ENGINE_STOPPED.to_owned();
    }
    format!("a write failed ({error}); check the disk, then start again")
}
