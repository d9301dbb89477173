//! The watch over one connection: what moved last, and whether it is stuck.
//!
//! hyper's own head timeout would also end idle connections, and it guards neither a connection that never
//! sends a byte nor half-sent HTTP/2 heads nor a reader that never reads. The watch covers all of them.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

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
    /// Until when the bytes that the client moved pay for its place, at [`limits::TRANSFER_RATE_MIN`].
    paid_ms: AtomicU64,
    /// Since when the server has to do the next step of a request; 0: it does not.
    working_ms: AtomicU64,
    /// When the connection was last asked to give up its place; 0: never.
    asked_ms: AtomicU64,
    /// The first byte of a head that is not complete yet; 0: none.
    head_ms: AtomicU64,
    /// Since when a write waits for the client; 0: none does.
    blocked_ms: AtomicU64,
    /// How long writes of this request have waited for the client, the current one not included.
    waited_ms: AtomicU64,
    /// Bytes that the client took of the answer in flight.
    written_bytes: AtomicU64,
    in_flight: AtomicU32,
    /// Requests in flight of which the server, not the client, has to do the next step.
    working: AtomicU32,
    /// The client took nothing of its last answer, and no request came since.
    is_given_up: AtomicBool,
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
            paid_ms: AtomicU64::new(0),
            working_ms: AtomicU64::new(0),
            asked_ms: AtomicU64::new(0),
            head_ms: AtomicU64::new(0),
            blocked_ms: AtomicU64::new(0),
            waited_ms: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            working: AtomicU32::new(0),
            is_given_up: AtomicBool::new(false),
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

    pub(super) fn moved(&self) {
        self.moved_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// The client took or sent bytes of a request: they pay for the place, for as long as a slow client may take for them.
    pub(super) fn pays(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.pays_for(bytes.saturating_mul(1000) / limits::TRANSFER_RATE_MIN);
    }

    fn pays_for(&self, ms: u64) {
        let paid = self.paid_ms.load(Ordering::Relaxed).saturating_add(ms);
        self.paid_ms.store(paid.min(self.now_ms()), Ordering::Relaxed);
    }

    /// The client took bytes of an answer that the protocol gives it in frames.
    pub(super) fn took_frame(&self, bytes: usize) {
        if self.is_http2.load(Ordering::Relaxed) {
            self.pays(bytes);
        }
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
        // On HTTP/2, bytes also leave that are no part of an answer; before the first request, the version is not known.
        let has_request = self.in_flight.load(Ordering::Relaxed) > 0;
        if count > 0 && self.served() > 0 && !self.is_http2.load(Ordering::Relaxed) {
            self.pays(count);
            if has_request {
                self.moved();
            }
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
        if !self.is_idle() {
            let has_request = self.in_flight.load(Ordering::Relaxed) > 0;
            return match self.stall {
                Stall::Frames => {
                    let rest = if has_request { rest } else { Duration::ZERO };
                    rest.max(self.blocked_for()) > limits::ANSWER_STALL_MAX
                }
                Stall::Writes { within } => self.is_taken_too_slowly(within),
            };
        }
        if self.is_given_up.load(Ordering::Relaxed) {
            return true;
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

    /// How long the connection has waited for its client, if it does: for a request, for the rest of one, or for the client
    /// to take an answer. Others may then need its place more. None while the server has work for it to do.
    pub(super) fn waits_for(&self) -> Option<Duration> {
        let since_moved = self.since(self.moved_ms.load(Ordering::Relaxed));
        if self.is_idle() {
            return Some(since_moved);
        }
        let is_working = self.working.load(Ordering::Relaxed) > 0;
        // A client that trickles waits, too: it is as far behind as its bytes do not pay for.
        let behind =
            if is_working { Duration::ZERO } else { self.since(self.paid_ms.load(Ordering::Relaxed)) };
        let is_blocked = self.blocked_ms.load(Ordering::Relaxed) != 0;
        if is_blocked {
            return Some(self.blocked_for().max(behind));
        }
        (!is_working).then(|| since_moved.max(behind))
    }

    /// Whether no request is in flight, and nothing of an answer waits to be taken.
    pub(super) fn is_idle(&self) -> bool {
        let has_work =
            self.in_flight.load(Ordering::Relaxed) > 0 || self.blocked_ms.load(Ordering::Relaxed) != 0;
        self.is_lingering() || !has_work
    }

    /// A request begins, and the server has to do its next step.
    pub(super) fn begins(&self, is_http2: bool) {
        self.moved();
        self.pays_for(u64::MAX);
        self.head_ms.store(0, Ordering::Relaxed);
        self.waited_ms.store(0, Ordering::Relaxed);
        self.written_bytes.store(0, Ordering::Relaxed);
        self.is_given_up.store(false, Ordering::Relaxed);
        self.works_more();
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let is_first = self.served.fetch_add(1, Ordering::Relaxed) == 0;
        if is_first && is_http2 {
            self.is_http2.store(true, Ordering::Relaxed);
        }
        self.gauge.increment(1.0);
    }

    /// A request has ended.
    pub(super) fn ends(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.moved();
        self.pays_for(u64::MAX);
        self.gauge.decrement(1.0);
    }

    /// The server has to do the next step of one more request.
    pub(super) fn works_more(&self) {
        if self.working.fetch_add(1, Ordering::Relaxed) == 0 {
            self.working_ms.store(self.now_ms().max(1), Ordering::Relaxed);
        }
    }

    /// And of one less. The client does not pay for the time in which the server worked.
    pub(super) fn works_less(&self) {
        if self.working.fetch_sub(1, Ordering::Relaxed) == 1 {
            let since_ms = self.working_ms.swap(0, Ordering::Relaxed);
            self.pays_for(self.now_ms().saturating_sub(since_ms));
        }
    }

    /// The client took nothing of an answer for too long. Without another request, the connection ends.
    pub(super) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    /// Asks the connection to give up its place.
    pub(super) fn ask_to_yield(&self) {
        self.asked_ms.store(self.now_ms().max(1), Ordering::Relaxed);
        self.yielding.notify_one();
    }

    /// Whether the connection was asked just now to give up its place, and is about to.
    pub(super) fn is_leaving(&self) -> bool {
        let asked_ms = self.asked_ms.load(Ordering::Relaxed);
        asked_ms != 0 && self.since(asked_ms) < limits::LEAVE_WITHIN
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hyper::Version;

    use super::super::in_flight::RequestInFlight;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_that_come_do_not_hide_a_client_that_takes_no_bytes() {
        let watch = Arc::new(Watch::new(Stall::Frames, Gauge::noop()));
        let check = async |is_blocked: bool, expected: bool| {
            let _first = RequestInFlight::start(&watch, Version::HTTP_2);
            if is_blocked {
                watch.blocked();
            }
            tokio::time::sleep(limits::ANSWER_STALL_MAX + Duration::from_secs(1)).await;
            let _second = RequestInFlight::start(&watch, Version::HTTP_2);
            assert_eq!(watch.is_stuck(), expected);
        };
        check(false, false).await;
        check(true, true).await;
        watch.wrote(1);
        assert!(!watch.is_stuck(), "it took something");
    }
}
