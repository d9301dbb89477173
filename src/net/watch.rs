//! The watch over one connection: what moved last, and whether it is stuck.
//!
//! hyper's own head timeout would also end idle connections, and it guards neither a connection that never
//! sends a byte nor half-sent HTTP/2 heads nor a reader that never reads. The watch covers all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use hyper::Version;
use metrics::Gauge;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::limits;

/// When a request in flight counts as stuck because of its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stall {
    /// No request began or ended and no answer took a frame for [`limits::ANSWER_STALL_MAX`], or the client took none of
    /// the written bytes for as long.
    ///
    /// For short requests, and for HTTP/2, whose connections also carry bytes that move no answer.
    Frames,
    /// The client takes none of the written bytes for this long, or takes them more slowly than
    /// [`limits::TRANSFER_RATE_MIN`]. Time in which nothing waits for the client does not count.
    Writes {
        /// How long.
        within: Duration,
    },
}

/// What a connection did last, in milliseconds since it began.
#[derive(Debug)]
pub struct Watch {
    began: Instant,
    stall: Stall,
    /// A request began or ended, or a stream took a frame.
    moved_ms: AtomicU64,
    /// The first byte of a head that is not complete yet; 0: none.
    head_ms: AtomicU64,
    /// Since when a write waits for the client; 0: none does.
    blocked_ms: AtomicU64,
    /// How long writes of this request have waited for the client, the current one not included.
    waited_ms: AtomicU64,
    /// Bytes that the client took of the answer in flight.
    written_bytes: AtomicU64,
    in_flight: AtomicU32,
    served: AtomicU64,
    is_http2: AtomicBool,
    is_lingering: AtomicBool,
    gauge: Gauge,
    /// Asks the connection to give up its place.
    yielding: Notify,
}

impl Watch {
    /// The watch over a connection that begins now. `gauge` counts requests in flight.
    #[must_use]
    pub fn new(stall: Stall, gauge: Gauge) -> Self {
        Self {
            began: Instant::now(),
            stall,
            moved_ms: AtomicU64::new(0),
            head_ms: AtomicU64::new(0),
            blocked_ms: AtomicU64::new(0),
            waited_ms: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            served: AtomicU64::new(0),
            is_http2: AtomicBool::new(false),
            is_lingering: AtomicBool::new(false),
            gauge,
            yielding: Notify::new(),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn since(&self, at_ms: u64) -> Duration {
        Duration::from_millis(self.now_ms().saturating_sub(at_ms))
    }

    fn moved(&self) {
        self.moved_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// Bytes came while no request was running: on HTTP/1 they begin a head.
    pub(super) fn received(&self) {
        let is_between = self.in_flight.load(Ordering::Relaxed) == 0;
        if is_between && self.head_ms.load(Ordering::Relaxed) == 0 {
            self.head_ms.store(self.now_ms().max(1), Ordering::Relaxed);
        }
    }

    /// The client took bytes.
    pub(super) fn wrote(&self, count: usize) {
        self.written_bytes.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
        let since_ms = self.blocked_ms.swap(0, Ordering::Relaxed);
        if since_ms != 0 {
            self.waited_ms.fetch_add(self.now_ms().saturating_sub(since_ms), Ordering::Relaxed);
        }
    }

    /// A write waits for the client.
    pub(super) fn blocked(&self) {
        if self.blocked_ms.load(Ordering::Relaxed) == 0 {
            self.blocked_ms.store(self.now_ms().max(1), Ordering::Relaxed);
        }
    }

    /// Our side is closed; what the client still sends is thrown away.
    pub(super) fn lingers(&self) {
        self.is_lingering.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_lingering(&self) -> bool {
        self.is_lingering.load(Ordering::Relaxed)
    }

    /// Requests that began.
    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Whether the client keeps the connection from going on.
    pub(super) fn is_stuck(&self) -> bool {
        if self.is_lingering() {
            // That has bounds of its own.
            return false;
        }
        let rest = self.since(self.moved_ms.load(Ordering::Relaxed));
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            return match self.stall {
                Stall::Frames => rest.max(self.blocked_for()) > limits::ANSWER_STALL_MAX,
                Stall::Writes { within } => self.is_taken_too_slowly(within),
            };
        }
        let head_ms = self.head_ms.load(Ordering::Relaxed);
        let is_first = self.served() == 0;
        // HTTP/2 clients also send frames that begin no request; theirs is the idle limit.
        let in_head = head_ms != 0 && !self.is_http2.load(Ordering::Relaxed);
        (in_head && self.since(head_ms) >= limits::HEAD_WITHIN)
            || (is_first && rest >= limits::HEAD_WITHIN)
            || rest > limits::KEEP_ALIVE_IDLE
    }

    /// How long a write has been waiting for the client.
    fn blocked_for(&self) -> Duration {
        let blocked_ms = self.blocked_ms.load(Ordering::Relaxed);
        if blocked_ms == 0 { Duration::ZERO } else { self.since(blocked_ms) }
    }

    fn is_taken_too_slowly(&self, within: Duration) -> bool {
        let now = self.blocked_for();
        let waited = now + Duration::from_millis(self.waited_ms.load(Ordering::Relaxed));
        now > within || is_too_slow(self.written_bytes.load(Ordering::Relaxed), waited)
    }

    /// How long the connection has had nothing to do, if it has none: a place that others need more.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        let is_idle = self.is_lingering() || self.in_flight.load(Ordering::Relaxed) == 0;
        is_idle.then(|| self.since(self.moved_ms.load(Ordering::Relaxed)))
    }

    /// Asks the connection to give up its place.
    pub(super) fn ask_to_yield(&self) {
        self.yielding.notify_one();
    }

    /// Waits until the connection is asked to give up its place.
    pub(super) async fn is_asked_to_yield(&self) {
        self.yielding.notified().await;
    }
}

/// Whether so many bytes are too few for the time that was spent waiting for the peer.
#[must_use]
pub fn is_too_slow(bytes: u64, waited: Duration) -> bool {
    let expected = waited.saturating_sub(limits::TRANSFER_GRACE).as_secs() * limits::TRANSFER_RATE_MIN;
    bytes < expected
}

/// A request in flight, until it is dropped.
#[derive(Debug)]
pub struct InFlight(Arc<Watch>);

impl InFlight {
    /// A request of this connection begins.
    #[must_use]
    pub fn start(watch: &Arc<Watch>, version: Version) -> Self {
        watch.moved();
        watch.head_ms.store(0, Ordering::Relaxed);
        watch.waited_ms.store(0, Ordering::Relaxed);
        watch.written_bytes.store(0, Ordering::Relaxed);
        watch.in_flight.fetch_add(1, Ordering::Relaxed);
        let is_first = watch.served.fetch_add(1, Ordering::Relaxed) == 0;
        if is_first && version == Version::HTTP_2 {
            watch.is_http2.store(true, Ordering::Relaxed);
        }
        watch.gauge.increment(1.0);
        Self(Arc::clone(watch))
    }

    /// The client took something of it.
    pub fn moved(&self) {
        self.0.moved();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.moved();
        self.0.gauge.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_that_come_do_not_hide_a_client_that_takes_no_bytes() {
        let watch = Arc::new(Watch::new(Stall::Frames, Gauge::noop()));
        let check = async |is_blocked: bool, expected: bool| {
            let _first = InFlight::start(&watch, Version::HTTP_2);
            if is_blocked {
                watch.blocked();
            }
            tokio::time::sleep(limits::ANSWER_STALL_MAX + Duration::from_secs(1)).await;
            let _second = InFlight::start(&watch, Version::HTTP_2);
            assert_eq!(watch.is_stuck(), expected);
        };
        check(false, false).await;
        check(true, true).await;
        watch.wrote(1);
        assert!(!watch.is_stuck(), "it took something");
    }
}
