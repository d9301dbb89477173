//! The S3 endpoint: serves connections, lets `s3s` check and read requests, and stops in order.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_SECURITY_POLICY, EXPECT, HeaderMap, HeaderValue, IF_NONE_MATCH,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics::{counter, gauge};
use s3s::Body;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;

use super::api::Api;
use super::cors;
use super::failure::{self, Failure};
use super::gate;
use super::options::BucketOptions;
use super::outbox;
use super::progress::{BodyTimeouts, PacedBody, Rest};
use super::read::Reads;
use super::shortage;
use super::signature::{self, Covered, OneKey};
use super::store::Store;
use super::visit::{AnswerBody, Upload, Visitors};
use crate::adapters::sigv4::Credentials;
use crate::limits::{BODY_REST_WITHIN, HEAD_BYTES_MAX, HEADERS_MAX};
use crate::net::{
    self, Acceptor, AwaitedBody, Listening, RequestInFlight, Serving, Stall, Stop, Watch, Watched,
};
use crate::ports::QueuePort;
use crate::telemetry::health::Health;
use crate::telemetry::names::{
    BUCKET_ACCEPT_ERRORS_TOTAL, BUCKET_CONNECTIONS, BUCKET_CONNECTIONS_CUT_TOTAL,
    BUCKET_CONNECTIONS_REFUSED_TOTAL, BUCKET_REQUESTS_IN_FLIGHT, BUCKET_REQUESTS_TOTAL,
};

/// Bytes that a connection reads ahead.
const READ_AHEAD_BYTES: usize = 256 << 10;
/// Bytes of a refused body that are read so that the connection can be used further; of more it is closed.
const REST_BYTES_MAX: usize = 64 << 10;

/// What a request needs.
struct Endpoint {
    s3: S3Service,
    options: BucketOptions,
    visitors: Visitors,
}

/// Serves until `shutdown`, then lets requests in flight end.
pub(super) async fn serve<Q: QueuePort + 'static>(
    (store, credentials, health): (Arc<Store>, Arc<Credentials>, Health),
    listener: TcpListener,
    queue: Q,
    shutdown: CancellationToken,
) {
    let options = store.options.clone();
    let mut builder = S3ServiceBuilder::new(Api { store: Arc::clone(&store) });
    builder.set_auth(OneKey(credentials));
    builder.set_route(Reads { store: Arc::clone(&store) });
    let visitors = Visitors::new(options.connections_max);
    let acceptor = acceptor(&options, &shutdown);
    let drain_within = options.drain_within;
    let endpoint = Arc::new(Endpoint { s3: builder.build(), options, visitors });

    let last_news = CancellationToken::new();
    let teller = tokio::spawn(outbox::tell(Arc::clone(&store), queue, last_news.clone()));
    let serve =
        |stream, watch, stop| -> Serving { Box::pin(connection(Arc::clone(&endpoint), stream, watch, stop)) };
    tokio::select! {
        () = acceptor.accept(&listener, serve) => {}
        () = shortage::report(&store, &acceptor, &health) => {}
    }
    drop(listener);
    acceptor.drain("the embedded bucket", drain_within).await;
    last_news.cancel();
    if let Err(ended) = teller.await {
        tracing::error!("the bucket's news ended early: {ended}");
    }
}

/// What a connection gets whose address has too many.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Slow Down\r\ncontent-type: application/xml\r\nretry-after: 1\r\n\
    connection: close\r\ncontent-length: 151\r\n\r\n\
    <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SlowDown</Code>\
    <Message>Too many connections of this address are open; try again</Message></Error>\n";

fn acceptor(options: &BucketOptions, shutdown: &CancellationToken) -> Acceptor {
    let listening = Listening {
        connections_max: options.connections_max,
        per_peer_max: options.per_address_max,
        refusal: REFUSAL,
        stall: Stall::Writes { within: options.progress_within },
        connections: gauge!(BUCKET_CONNECTIONS),
        in_flight: gauge!(BUCKET_REQUESTS_IN_FLIGHT),
        accept_failures: counter!(BUCKET_ACCEPT_ERRORS_TOTAL),
        refused: counter!(BUCKET_CONNECTIONS_REFUSED_TOTAL),
    };
    Acceptor::new(listening, Stop { soon: shutdown.clone(), now: CancellationToken::new() })
}

/// One connection to its end. HTTP/1.1 only, like S3.
async fn connection(endpoint: Arc<Endpoint>, stream: TcpStream, watch: Arc<Watch>, stop: Stop) {
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&watch)));
    let service = {
        let watch = Arc::clone(&watch);
        service_fn(move |request: Request<Incoming>| {
            let in_flight = RequestInFlight::start(&watch, request.version());
            answer(Arc::clone(&endpoint), in_flight, request)
        })
    };
    let connection = http1::Builder::new()
        // Without a timer, hyper ignores its timeouts in silence. The watch has the head's.
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(READ_AHEAD_BYTES)
        .serve_connection(io, service);
    net::serve(connection, &watch, stop, &counter!(BUCKET_CONNECTIONS_CUT_TOTAL)).await;
}

async fn answer(
    endpoint: Arc<Endpoint>,
    in_flight: RequestInFlight,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    let (mut head, body) = request.into_parts();
    net::apply_target_host(&mut head);
    let (method, headers) = (head.method.clone(), head.headers.clone());
    let allowed = &endpoint.options.allowed_origins;
    let origin = cors::allowed_origin(allowed, &headers);
    let timeouts = BodyTimeouts {
        began: Instant::now(),
        silence_max: endpoint.options.progress_within,
        within: endpoint.options.upload_within,
    };
    let (body, rest) = PacedBody::new(AwaitedBody::new(body, &in_flight), timeouts);
    if let Some(answer) = cors::preflight(&head, origin.as_ref()) {
        drop(body);
        return Ok(close_unless_read(answer, &headers, &rest)
            .await
            .map(|body| AnswerBody::new(body, in_flight, None)));
    }
    head.extensions.insert(Upload { timeouts, is_conditional: headers.contains_key(IF_NONE_MATCH) });
    let mut held = None;
    let covered = Covered::of(&head);
    let mut enter = || -> Result<(), Failure> {
        gate::check(&head)?;
        signature::check_scope(&head, &endpoint.options.region)?;
        held = endpoint.visitors.enter(&head)?;
        Ok(())
    };
    let checked = enter();
    let answered = match checked {
        Ok(()) => {
            let body = Body::http_body_unsync(body);
            // s3s logs whole requests, signed links among them: it has nobody to log to. What fails in our own
            // code is logged on the threads that do it.
            let call = endpoint.s3.call(Request::from_parts(head, body)).with_subscriber(Dispatch::none());
            call.await.ok().map(|answer| covered.explain(answer))
        }
        Err(refused) => {
            drop(body);
            Some(refused.into_response())
        }
    };
    let mut answer = answered.unwrap_or_else(|| {
        let mut failed = Response::new(Body::empty());
        *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        failed
    });
    let answer_headers = answer.headers_mut();
    // What users stored is never run as a page of ours.
    answer_headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer_headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    if !allowed.is_empty() {
        cors::allow(answer_headers, origin);
    }
    let status = answer.status();
    counter!(BUCKET_REQUESTS_TOTAL, "class" => class(status)).increment(1);
    let request_id = failure::identify(&mut answer);
    tracing::debug!(?request_id, "the bucket answered {status} to a {method}");
    if !status.is_success() {
        // What is left of a refused body is no work for anybody.
        held = None;
    }
    let answer = close_unless_read(answer, &headers, &rest).await;
    Ok(answer.map(|body| AnswerBody::new(body, in_flight, held)))
}

/// Says that the connection ends, unless the body of the request was read to its end, or little enough is left.
async fn close_unless_read<B>(
    mut answer: Response<B>,
    headers: &HeaderMap,
    rest: &Rest<AwaitedBody<Incoming>>,
) -> Response<B> {
    let left = rest.lock().unwrap_or_else(PoisonError::into_inner).take();
    let is_read = match left {
        None => false,
        Some(body) if body.is_end_stream() => true,
        // A client that expects to be asked has not sent its body yet; reading would ask for it.
        Some(_) if headers.contains_key(EXPECT) => false,
        Some(body) if body.size_hint().lower() > u64::try_from(REST_BYTES_MAX).unwrap_or(u64::MAX) => false,
        Some(body) => {
            let rest = Limited::new(body, REST_BYTES_MAX).collect();
            matches!(tokio::time::timeout(BODY_REST_WITHIN, rest).await, Ok(Ok(_)))
        }
    };
    if !is_read {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
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
