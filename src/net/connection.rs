//! One connection, driven to its end: by its client, a stop, the watch, or the need of others.

use hyper_util::server::graceful::GracefulConnection;
use metrics::Counter;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::debug;

use super::stop::Stop;
use super::watch::Watch;
use crate::limits;

/// Drives a connection to its end. `cut` counts connections that end because their client made no progress.
pub async fn serve<C>(connection: C, watch: &Watch, stop: Stop, cut: &Counter)
where
    C: GracefulConnection,
    C::Error: std::fmt::Display,
{
    let mut connection = std::pin::pin!(connection);
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
            () = watch.is_asked_to_yield() => {
                // Asked before: what is left is a client that does not close its side.
                if is_ending || watch.is_lingering() || watch.served() == 0 {
                    return;
                }
                // An answer or a body that the client leaves alone has no better end to wait for.
                if !watch.is_idle() && watch.waits_for().is_some_and(|rest| rest >= limits::CROWDED_WAIT_MAX) {
                    cut.increment(1);
                    return;
                }
                // A request that came meanwhile is the last one.
                true
            }
            _ = check.tick() => {
                if watch.is_stuck() {
                    cut.increment(1);
                    return;
                }
                if is_ending && watch.is_lingering() {
                    return;
                }
                watch.served() > limits::REQUESTS_PER_CONNECTION_MAX && !is_ending
            }
        };
        if ends {
            is_ending = true;
            connection.as_mut().graceful_shutdown();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;
    use futures_util::stream;
    use http_body_util::{Full, StreamBody};
    use hyper::body::{Frame, Incoming};
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    use hyper_util::rt::TokioIo;
    use metrics::Gauge;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::super::in_flight::RequestInFlight;
    use super::super::stream::Watched;
    use super::super::watch::Stall;
    use super::*;

    const ANSWER_BYTES: usize = 1 << 20;
    const WITHIN: Duration = Duration::from_secs(30);

    /// Serves one answer over a pipe without room for it.
    async fn serve_answer(pipe: tokio::io::DuplexStream) {
        let watch = Arc::new(Watch::new(Stall::Writes { within: WITHIN }, Gauge::noop()));
        let begun = Arc::clone(&watch);
        let service = service_fn(move |request: Request<Incoming>| {
            let in_flight = RequestInFlight::start(&begun, request.version());
            let pieces = stream::unfold((0, in_flight), async |(sent, in_flight)| {
                let piece = Frame::data(Bytes::from(vec![0; 1 << 10]));
                (sent < ANSWER_BYTES).then(|| (Ok::<_, Infallible>(piece), (sent + (1 << 10), in_flight)))
            });
            async { Ok::<_, Infallible>(Response::new(StreamBody::new(Box::pin(pieces)))) }
        });
        let io = TokioIo::new(Watched::new(pipe, Arc::clone(&watch)));
        let connection = http1::Builder::new().max_buf_size(8 << 10).serve_connection(io, service);
        serve(connection, &watch, Stop::default(), &Counter::noop()).await;
    }

    /// Reads `bytes` of the answer every ten seconds. Returns how many came in all, and when it ended.
    async fn read(bytes: usize) -> (usize, Duration) {
        let (mut client, server) = tokio::io::duplex(1 << 10);
        let served = tokio::spawn(serve_answer(server));
        let began = Instant::now();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let (mut read, mut piece) = (0, vec![0; bytes]);
        while !served.is_finished() {
            tokio::time::sleep(Duration::from_secs(10)).await;
            let mut left = bytes;
            while left > 0 {
                match client.read(&mut piece[..left]).await {
                    Ok(count) if count > 0 => (read, left) = (read + count, left - count),
                    Ok(_) | Err(_) => break,
                }
            }
        }
        (read, began.elapsed())
    }

    // proves: F50
    #[tokio::test(start_paused = true)]
    async fn an_answer_that_the_service_is_done_with_ends_in_time_if_nothing_of_it_is_taken() {
        // Of a transfer of which nothing is taken, the least rate is the sooner bound.
        let transfer = (Stall::Writes { within: WITHIN }, limits::TRANSFER_GRACE);
        for (stall, at_least) in [(Stall::Frames, limits::ANSWER_STALL_MAX), transfer] {
            let (mut client, pipe) = tokio::io::duplex(1 << 10);
            let watch = Arc::new(Watch::new(stall, Gauge::noop()));
            let begun = Arc::clone(&watch);
            let service = service_fn(move |request: Request<Incoming>| {
                drop(RequestInFlight::start(&begun, request.version()));
                async { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![0; ANSWER_BYTES])))) }
            });
            let io = TokioIo::new(Watched::new(pipe, Arc::clone(&watch)));
            let connection = http1::Builder::new().serve_connection(io, service);
            client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            let began = Instant::now();
            serve(connection, &watch, Stop::default(), &Counter::noop()).await;
            let slack = limits::CONNECTION_CHECK_EVERY * 2;
            let took = began.elapsed();
            assert!(took >= at_least && took < at_least + slack, "{took:?}");
        }
    }

    // proves: I25
    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_taken_below_the_least_rate_ends_although_bytes_move() {
        let (taken, after) = read(512).await;
        assert!(taken < ANSWER_BYTES / 10, "{taken} bytes in {after:?}");
        let soon = limits::TRANSFER_GRACE + limits::CONNECTION_CHECK_EVERY * 4;
        assert!(after > limits::TRANSFER_GRACE && after < soon, "{after:?}");
        let (taken, after) = read(100 << 10).await;
        assert!(taken > ANSWER_BYTES, "{taken} bytes in {after:?}: it is slow, but not too slow");
    }
}
