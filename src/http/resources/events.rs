//! The caller's events as they happen, as server-sent events. The id of an event is the user's version, so
//! `Last-Event-ID` goes on after it whatever happened to the log since; a stream ends with the token that opened it.

mod frame;
mod feed;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::feed::EventFeed;
use self::frame::GREETING;
use crate::http::error::{FieldFault, Problem};
use crate::http::event_slots::EventSlot;
use crate::http::request::AuthorizedRequest;
use crate::http::wire::answers::HandlerResult;
use crate::http::wire::body::Body;
use crate::telemetry::Counted;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// `GET /v1/events`. What happens after the answer is in it.
pub(in crate::http) async fn follow(request: &AuthorizedRequest<'_>) -> HandlerResult {
    let last_id = last_id_of(&request.head.headers)?;
    let slot = request.api.event_slots.take(request.user())?;
    let until = Instant::now() + request.until.since(request.now);
    let feed = EventFeed::open(&request.api.services, request.user(), last_id).await?;
    let (stop, counted) = (request.api.stop.clone(), request.api.meters.event_stream());
    let body = Body::stream(stream_of(Follower { feed, stop, until, _slot: slot, _counted: counted }));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}

/// The version of the last event that the client saw; an empty one is none.
fn last_id_of(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let text = headers.get(LAST_EVENT_ID).map(|value| value.to_str().map(str::trim));
    match text {
        None | Some(Ok("")) => Ok(None),
        Some(Ok(text)) if text.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(Some(text.parse().unwrap_or(u64::MAX)))
        }
        Some(Ok(_) | Err(_)) => {
            let detail = "This must be the id of an event.".into();
            let fault = FieldFault { pointer: "last-event-id".into(), code: "malformed", detail };
            Err(Problem::fields(vec![fault]))
        }
    }
}

/// One open stream.
struct Follower {
    feed: EventFeed,
    stop: CancellationToken,
    /// When the token ends.
    until: Instant,
    _slot: EventSlot,
    _counted: Counted,
}

fn stream_of(follower: Follower) -> impl futures_util::Stream<Item = Bytes> + Send {
    let greeting = stream::iter([Bytes::from_static(GREETING)]);
    greeting.chain(stream::unfold(follower, |mut follower| async move {
        let frame = next_frame(&mut follower).await?;
        Some((frame, follower))
    }))
}

/// The next frame; none when the stream ends, and the client reconnects by itself.
async fn next_frame(follower: &mut Follower) -> Option<Bytes> {
    tokio::select! {
        biased;
        () = follower.stop.cancelled() => None,
        () = tokio::time::sleep_until(follower.until) => None,
        frame = follower.feed.next() => frame,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::error::ErrorCode;

    fn check(last: Option<&str>, expected: Result<Option<u64>, ErrorCode>) {
        let headers = last.map(|last| (LAST_EVENT_ID, HeaderValue::from_str(last).unwrap()));
        let place = last_id_of(&headers.into_iter().collect());
        assert_eq!(place.map_err(|problem| problem.code()), expected, "{last:?}");
    }

    #[test]
    fn the_last_id_is_a_version() {
        check(None, Ok(None));
        check(Some(""), Ok(None));
        check(Some("7"), Ok(Some(7)));
        check(Some("0"), Ok(Some(0)));
        check(Some("18446744073709551616"), Ok(Some(u64::MAX)));
        check(Some("-1"), Err(ErrorCode::ValidationFailed));
        check(Some("7.1"), Err(ErrorCode::ValidationFailed));
        check(Some("x"), Err(ErrorCode::ValidationFailed));
    }
}
