//! The S3 endpoint: accepts connections, lets `s3s` check and read requests, and stops in order.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics::counter;
use s3s::Body;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;

use super::api::Api;
use super::cors;
use super::failure;
use super::gate;
use super::options::BucketOptions;
use super::outbox;
use super::progress::{SteadyBody, SteadyWrites};
use super::read::Reads;
use super::signature::{self, Covered, OneKey};
use super::store::Store;
use crate::adapters::sigv4::Credentials;
use crate::limits::{HEAD_BYTES_MAX, HEAD_WITHIN, HEADERS_MAX};
use crate::ports::QueuePort;
use crate::telemetry::names::{BUCKET_ACCEPT_ERRORS_TOTAL, BUCKET_REQUESTS_TOTAL};

/// Bytes that a connection reads ahead.
const READ_AHEAD_BYTES: usize = 256 << 10;
/// The first pause after an accept failed; it doubles up to the last.
const ACCEPT_PAUSE_FIRST: Duration = Duration::from_millis(5);
const ACCEPT_PAUSE_LAST: Duration = Duration::from_secs(1);

/// What a request needs.
struct Endpoint {
    s3: S3Service,
    options: BucketOptions,
}

/// Serves until `shutdown`, then lets requests in flight end.
pub(super) async fn serve<Q: QueuePort + 'static>(
    store: Arc<Store>,
    credentials: Arc<Credentials>,
    listener: TcpListener,
    queue: Q,
    shutdown: CancellationToken,
) {
    let options = store.options.clone();
    let mut builder = S3ServiceBuilder::new(Api { store: Arc::clone(&store) });
    builder.set_auth(OneKey(credentials));
    builder.set_route(Reads { store: Arc::clone(&store) });
    let endpoint = Arc::new(Endpoint { s3: builder.build(), options });

    let connections = TaskTracker::new();
    let last_news = CancellationToken::new();
    let teller = tokio::spawn(outbox::tell(store, queue, last_news.clone()));
    accept(&endpoint, &listener, &connections, &shutdown).await;
    drop(listener);
    connections.close();
    connections.wait().await;
    last_news.cancel();
    if let Err(ended) = teller.await {
        tracing::error!("the bucket's news ended early: {ended}");
    }
}

/// Accepts until `shutdown`. No error ends it: running out of file descriptors passes.
async fn accept(
    endpoint: &Arc<Endpoint>,
    listener: &TcpListener,
    connections: &TaskTracker,
    shutdown: &CancellationToken,
) {
    let places = Arc::new(Semaphore::new(endpoint.options.connections_max.max(1)));
    let mut pause = ACCEPT_PAUSE_FIRST;
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = next(listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, place)) => {
                pause = ACCEPT_PAUSE_FIRST;
                connections.spawn(connection(Arc::clone(endpoint), stream, place, shutdown.clone()));
            }
            Err(error) => {
                counter!(BUCKET_ACCEPT_ERRORS_TOTAL).increment(1);
                tracing::warn!("the bucket's endpoint could not accept a connection, it goes on: {error}");
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(ACCEPT_PAUSE_LAST),
                }
            }
        }
    }
}

/// The next connection, once there is a place for it.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, place))
}

/// One connection, to its end or to the deadline of the stop. HTTP/1.1 only, like S3.
async fn connection(
    endpoint: Arc<Endpoint>,
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    shutdown: CancellationToken,
) {
    let drain_within = endpoint.options.drain_within;
    let io = TokioIo::new(SteadyWrites::new(stream, endpoint.options.progress_within));
    let service = service_fn(move |request| answer(Arc::clone(&endpoint), request));
    let connection = http1::Builder::new()
        // Without a timer, hyper ignores its timeouts in silence.
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(READ_AHEAD_BYTES)
        .serve_connection(io, service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(drain_within, connection).await {
                Ok(ended) => ended,
                Err(_) => return tracing::warn!("a request to the bucket was cut off by the stop"),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection to the bucket ended: {error}");
    }
}

async fn answer(endpoint: Arc<Endpoint>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let method = head.method.clone();
    let allowed = &endpoint.options.allowed_origins;
    let origin = cors::allowed_origin(allowed, &head.headers);
    if let Some(answer) = cors::preflight(&head, origin.as_ref()) {
        return Ok(answer);
    }
    let covered = Covered::of(&head);
    let checked = gate::check(&head).and_then(|()| signature::check_scope(&head, &endpoint.options.region));
    let answered = match checked {
        Ok(()) => {
            let body = Body::http_body_unsync(SteadyBody::new(body, endpoint.options.progress_within));
            // s3s logs whole requests, signed links among them: it has nobody to log to. What fails in our own
            // code is logged on the threads that do it.
            let call = endpoint.s3.call(Request::from_parts(head, body)).with_subscriber(Dispatch::none());
            call.await.ok().map(|answer| covered.explain(answer))
        }
        Err(refused) => Some(refused.into_response()),
    };
    let mut answer = answered.unwrap_or_else(|| {
        let mut failed = Response::new(Body::empty());
        *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        failed
    });
    let headers = answer.headers_mut();
    // What users stored is never run as a page of ours.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    if !allowed.is_empty() {
        cors::allow(headers, origin);
    }
    let status = answer.status();
    let request_id = failure::identify(&mut answer);
    counter!(BUCKET_REQUESTS_TOTAL, "class" => class(status)).increment(1);
    tracing::debug!(?request_id, "the bucket answered {status} to a {method}");
    Ok(answer)
}

/// The first digit of a status, as a label.
fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
