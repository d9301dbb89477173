//! One connection: HTTP/1.1 or h2c, and a watch over its progress.
//!
//! hyper's own head timeout would also end idle connections, and it guards neither a connection that never
//! sends a byte nor half-sent HTTP/2 heads nor a reader that never reads. The watch covers all of them.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::service::service_fn;
use hyper::{Request, Version, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use metrics::Gauge;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, MissedTickBehavior, Sleep};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::middleware;
use super::services::{Api, Door};
use crate::limits;
use crate::telemetry::names;

/// How a connection is told to end.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop {
    /// Finish what is running, take nothing new.
    pub(super) soon: CancellationToken,
    /// At once.
    pub(super) now: CancellationToken,
}

/// The settings of every connection.
pub(super) fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(limits::HEADERS_MAX)
        .max_buf_size(limits::HEAD_BYTES_MAX);
    let head_bytes_max = u32::try_from(limits::HEAD_BYTES_MAX).expect("a head is small");
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::H2_STREAMS_MAX)
        .max_header_list_size(head_bytes_max)
        .keep_alive_interval(limits::KEEP_ALIVE_IDLE)
        .keep_alive_timeout(limits::HEAD_WITHIN);
    builder
}

/// Serves one connection to its end.
pub(super) async fn serve<S>(stream: S, api: Arc<Api>, door: Door, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let watch = Arc::new(Watch::new(api.meters.in_flight.clone()));
    let io = TokioIo::new(Watched { stream, watch: Arc::clone(&watch), linger: None });
    let service = {
        let watch = Arc::clone(&watch);
        service_fn(move |request: Request<Incoming>| {
            let (api, in_flight) = (Arc::clone(&api), InFlight::start(&watch, request.version()));
            async move { Ok::<_, Infallible>(middleware::answer(&api, door, in_flight, request).await) }
        })
    };
    let builder = builder();
    let mut connection = std::pin::pin!(builder.serve_connection(io, service));
    let every = limits::CONNECTION_CHECK_EVERY;
    let mut check = tokio::time::interval_at(Instant::now() + every, every);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_ending = false;
    loop {
        let ends = tokio::select! {
            biased;
            outcome = connection.as_mut() => {
                if let Err(error) = outcome {
                    debug!(error = %error, "a connection broke");
                }
                return;
            }
            () = stop.now.cancelled() => return,
            () = stop.soon.cancelled(), if !is_ending => true,
            _ = check.tick() => {
                if watch.is_stuck() {
                    metrics::counter!(names::HTTP_CONNECTIONS_CUT_TOTAL).increment(1);
                    return;
                }
                watch.served.load(Ordering::Relaxed) > limits::REQUESTS_PER_CONNECTION_MAX && !is_ending
            }
        };
        if ends {
            is_ending = true;
            connection.as_mut().graceful_shutdown();
        }
    }
}

/// What a connection did last, in milliseconds since it began.
#[derive(Debug)]
struct Watch {
    began: Instant,
    /// A request began or ended, or a stream took a frame.
    moved_ms: AtomicU64,
    /// The first byte of a head that is not complete yet; 0: none.
    head_ms: AtomicU64,
    in_flight: AtomicU32,
    served: AtomicU64,
    is_http2: AtomicBool,
    gauge: Gauge,
}

impl Watch {
    fn new(gauge: Gauge) -> Self {
        Self {
            began: Instant::now(),
            moved_ms: AtomicU64::new(0),
            head_ms: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            served: AtomicU64::new(0),
            is_http2: AtomicBool::new(false),
            gauge,
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn moved(&self) {
        self.moved_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// Bytes came while no request was running: on HTTP/1 they begin a head.
    fn received(&self) {
        let is_between = self.in_flight.load(Ordering::Relaxed) == 0;
        if is_between && self.head_ms.load(Ordering::Relaxed) == 0 {
            self.head_ms.store(self.now_ms().max(1), Ordering::Relaxed);
        }
    }

    fn is_stuck(&self) -> bool {
        let now_ms = self.now_ms();
        let since = |at_ms: u64| Duration::from_millis(now_ms.saturating_sub(at_ms));
        let rest = since(self.moved_ms.load(Ordering::Relaxed));
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            return rest > limits::ANSWER_STALL_MAX;
        }
        let head_ms = self.head_ms.load(Ordering::Relaxed);
        let is_first = self.served.load(Ordering::Relaxed) == 0;
        // HTTP/2 clients also send frames that begin no request; theirs is the idle limit.
        let in_head = head_ms != 0 && !self.is_http2.load(Ordering::Relaxed);
        (in_head && since(head_ms) >= limits::HEAD_WITHIN)
            || (is_first && rest >= limits::HEAD_WITHIN)
            || rest > limits::KEEP_ALIVE_IDLE
    }
}

/// A request that is being worked on, until it is dropped.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Watch>);

impl InFlight {
    fn start(watch: &Arc<Watch>, version: Version) -> Self {
        watch.moved();
        watch.head_ms.store(0, Ordering::Relaxed);
        watch.in_flight.fetch_add(1, Ordering::Relaxed);
        let is_first = watch.served.fetch_add(1, Ordering::Relaxed) == 0;
        if is_first && version == Version::HTTP_2 {
            watch.is_http2.store(true, Ordering::Relaxed);
        }
        watch.gauge.increment(1.0);
        Self(Arc::clone(watch))
    }

    /// The client took something of it.
    pub(super) fn moved(&self) {
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

/// A stream whose received bytes are noted, and that does not end under a client that still sends.
struct Watched<S> {
    stream: S,
    watch: Arc<Watch>,
    /// Our side is closed; how long the client's is waited for.
    linger: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + Unpin> Watched<S> {
    /// Throws away what still comes, until the client closes too or its time is over. Bytes that reach a closed socket
    /// are answered with a reset, which can overtake the last answer (RFC 9112 section 9.6).
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = self.linger.get_or_insert_with(|| Box::pin(tokio::time::sleep(limits::LINGER_WITHIN)));
        while until.as_mut().poll(cx).is_pending() {
            let mut bytes = [0; 4096];
            let mut buf = ReadBuf::new(&mut bytes);
            let read = std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf));
            if read.is_err() || buf.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.watch.received();
        }
        outcome
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            std::task::ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        self.poll_linger(cx).map(Ok)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
