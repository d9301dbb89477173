//! The outbox: notifications not yet sent to the queue. A file for each, which outlives a crash.
//!
//! The mark of a new object is a link to the object's own file, made before the object can be seen. So the number of
//! links and the object in its place show whether that happened; no state is kept in memory.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use metrics::counter;
use tokio_util::sync::CancellationToken;
use tracing::field::display;

use super::blocking::blocking;
use super::layout::{self, Layout};
use super::notice;
use super::record::{self, Cause, Record};
use super::store::Store;
use crate::domain::ids::ObjectKey;
use crate::ports::QueuePort;
use crate::telemetry::names::BUCKET_NOTIFICATIONS_TOTAL;
use crate::telemetry::{STORY, millis};

/// News that are read in one go.
const ROUND_MAX: usize = 1024;
/// News on their way at the same time.
const SENDS_MAX: usize = 32;
/// How long the queue may take.
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// The first pause after the queue failed; it doubles up to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LAST: Duration = Duration::from_secs(5);
/// The pause after a panic.
const PAUSE_AFTER_PANIC: Duration = Duration::from_secs(1);
/// A look at the folder without having been woken, in case a wake was lost.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// One thing that happened.
struct News {
    marker: PathBuf,
    record: Record,
}

/// What a mark in the outbox means.
enum Mark {
    /// It happened.
    Happened(Box<Record>),
    /// It is under way; or, if nobody writes, a crash ended it before it could be seen.
    Unfinished,
    /// Another process removed the mark.
    Gone,
    /// The disk lost what stood in it.
    Damaged,
}

/// Removes marks of what a crash ended. Only before anything is written, and before `tmp/` is emptied.
pub(super) fn forget_unfinished(layout: &Layout) -> io::Result<()> {
    for marker in markers(layout)? {
        match read(layout, &marker)? {
            Mark::Unfinished => layout::remove(&marker)?,
            Mark::Happened(_) | Mark::Gone | Mark::Damaged => {}
        }
    }
    Ok(())
}

/// Sends the queue what happened, in order of the sequence as far as possible, until it is stopped. After a panic it
/// starts again: what is not sent yet is on disk.
pub(super) async fn tell<Q: QueuePort>(store: Arc<Store>, queue: Q, stop: CancellationToken) {
    while AssertUnwindSafe(send_until(&store, &queue, &stop)).catch_unwind().await.is_err() {
        tracing::error!("the outbox of the bucket panicked; it starts again in {PAUSE_AFTER_PANIC:?}");
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE_AFTER_PANIC) => {}
        }
    }
}

async fn send_until<Q: QueuePort>(store: &Arc<Store>, queue: &Q, stop: &CancellationToken) {
    let (mut pause, mut is_away) = (PAUSE_FIRST, false);
    loop {
        let round = {
            let store = Arc::clone(store);
            blocking("read the outbox", move || due(&store.layout))
        };
        let outcome = match round.await {
            Ok(news) if news.is_empty() => {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = store.news.notified() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
                continue;
            }
            Ok(news) => tokio::select! {
                () = stop.cancelled() => return,
                outcome = send_all(store, queue, news) => outcome,
            },
            Err(_) => Err(Stuck::Disk),
        };
        let Err(stuck) = outcome else {
            (pause, is_away) = (PAUSE_FIRST, false);
            continue;
        };
        if let Stuck::Queue(reason) = stuck
            && !std::mem::replace(&mut is_away, true)
        {
            tracing::warn!("the queue does not take news of the bucket, they will be sent again: {reason}");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE_LAST),
        }
    }
}

/// Why some news stay in the outbox for now.
enum Stuck {
    /// The queue did not take them.
    Queue(String),
    /// Their marks could not be read or removed; the failure was logged there.
    Disk,
}

/// Sends what it can; the last failure, if there was one.
async fn send_all<Q: QueuePort>(store: &Store, queue: &Q, news: Vec<News>) -> Result<(), Stuck> {
    let sends = stream::iter(news).map(|news| send(store, queue, news)).buffer_unordered(SENDS_MAX);
    sends.fold(Ok(()), async |all, sent| sent.and(all)).await
}

/// Sends one; its mark goes only after the queue has it.
async fn send<Q: QueuePort>(store: &Store, queue: &Q, news: News) -> Result<(), Stuck> {
    let body = notice::body(&store.options, &news.record);
    let refused = match tokio::time::timeout(SEND_WITHIN, queue.send(body)).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.reason),
        Err(_) => Some("no answer in time".to_owned()),
    };
    if let Some(reason) = refused {
        counter!(BUCKET_NOTIFICATIONS_TOTAL, "outcome" => "failed").increment(1);
        return Err(Stuck::Queue(reason));
    }
    counter!(BUCKET_NOTIFICATIONS_TOTAL, "outcome" => "sent").increment(1);
    let after_ms = millis(store.clock.now().since(news.record.landed_at));
    let (key, cause) = (&news.record.key, &news.record.cause);
    let named = ObjectKey::parse(key).ok();
    let (user_id, file_id) = (named.map(|key| display(key.user)), named.map(|key| display(key.file)));
    tracing::info!(target: STORY, { user_id, file_id, object.key = key, object.cause = ?cause, after_ms }, "object landed, the queue knows");
    let removed = blocking("remove a mark from the outbox", move || layout::remove(&news.marker)).await;
    removed.map_err(|_| Stuck::Disk)
}

/// Some of the unsent notifications, oldest first.
fn due(layout: &Layout) -> io::Result<Vec<News>> {
    let mut due = Vec::new();
    for marker in markers(layout)? {
        if due.len() == ROUND_MAX {
            break;
        }
        match read(layout, &marker)? {
            Mark::Happened(record) => due.push(News { marker, record: *record }),
            Mark::Unfinished | Mark::Gone => {}
            Mark::Damaged => {
                // It must not hold up the others. The object itself is found by the next look at the bucket.
                tracing::error!("the mark {} in the outbox is damaged, its news is lost", marker.display());
                layout::remove(&marker)?;
            }
        }
    }
    Ok(due)
}

fn markers(layout: &Layout) -> io::Result<BTreeSet<PathBuf>> {
    fs::read_dir(layout.outbox())?.map(|entry| entry.map(|entry| entry.path())).collect()
}

fn read(layout: &Layout, marker: &Path) -> io::Result<Mark> {
    let file = match File::open(marker) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Mark::Gone),
        Err(error) => return Err(error),
    };
    let record = match record::read::<Record>(&file) {
        Ok((record, _)) => record,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(Mark::Damaged),
        Err(error) => return Err(error),
    };
    let in_place = match layout.object(&record.key).map(|place| record::open(&place)) {
        Ok(Ok(Some((_, found)))) => Some(found.sequence),
        Ok(Ok(None)) | Err(_) => None,
        // Damaged: removing it gives 0 as its sequence.
        Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => Some(0),
        Ok(Err(error)) => return Err(error),
    };
    let happened = match record.cause {
        Cause::Delete { removes } => in_place != Some(removes),
        // The only link that is left: the object was put in its place, and replaced or removed there since.
        Cause::Put | Cause::CompleteMultipartUpload => {
            in_place == Some(record.sequence) || file.metadata()?.nlink() == 1
        }
    };
    Ok(if happened { Mark::Happened(Box::new(record)) } else { Mark::Unfinished })
}
