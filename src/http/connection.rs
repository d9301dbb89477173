//! One connection of the front: HTTP/1.1 or h2c.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::service::service_fn;
use hyper::{Request, body::Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use metrics::counter;
use tokio::net::TcpStream;

use super::middleware;
use super::routes::Listener;
use super::services::Api;
use super::wire::exchange::Exchange;
use crate::limits;
use crate::net::{self, Budget, Stop, StreamExecutor, Watch, Watched};
use crate::telemetry::names;

/// The settings of every connection.
pub(super) fn builder() -> auto::Builder<StreamExecutor> {
    let mut builder = auto::Builder::new(StreamExecutor);
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
        .max_send_buf_size(4 * limits::H2_PIECE_BYTES)
        .keep_alive_interval(limits::KEEP_ALIVE_IDLE)
        .keep_alive_timeout(limits::HEAD_WITHIN);
    builder
}

/// Serves one connection to its end.
pub(super) async fn serve(
    stream: TcpStream,
    watch: Arc<Watch>,
    (api, listener): (Arc<Api>, Listener),
    stop: Stop,
) {
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&watch)));
    let service = {
        let (watch, budget) = (Arc::clone(&watch), Arc::new(Budget::default()));
        service_fn(move |request: Request<Incoming>| {
            let (api, exchange) = (Arc::clone(&api), Exchange::start(&watch, &budget, request.version()));
            async move {
                Ok::<_, Infallible>(middleware::answer(&api, listener, exchange.in_stream(), request).await)
            }
        })
    };
    let builder = builder();
    let cut = counter!(names::HTTP_CONNECTIONS_CUT_TOTAL);
    net::serve(builder.serve_connection(io, service), &watch, stop, &cut).await;
}
