//! The caller's events as they happen, as server-sent events. `Last-Event-ID` goes on where a stream broke off; a
//! stream ends with the token that opened it.

use std::fmt::Write as _;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::answer::Outcome;
use super::body::Body;
use super::dispatch::OwnCall;
use super::error::{FieldFault, Problem};
use super::event_slots::EventSlot;
use super::meters::Counted;
use super::services::within;
use crate::adapters::LogReplay;
use crate::domain::event;
use crate::limits;
use crate::ports::{LogPort, Record, ReplayFrom, ReplayPort, Stream};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Asks the client to come back after one second when the stream breaks off.
const GREETING: &[u8] = b"retry: 1000\n\n";
/// A comment, so that nobody on the way takes the silence for death.
const HEARTBEAT: &[u8] = b":\n\n";

/// `GET /v1/events`. The place in the log is taken before the answer, so nothing after it is missed.
pub(super) async fn follow(call: &OwnCall<'_>) -> Outcome {
    let from = place_of(&call.head.headers)?;
    let slot = call.api.event_slots.take(call.user())?;
    let until = Instant::now() + call.until.since(call.now);
    let filter = event::filter_of(call.user());
    let replay = within(call.api.services.log.replay(Stream::Events, filter, from)).await?;
    let (stop, counted) = (call.api.stop.clone(), call.api.meters.event_stream());
    let body = Body::stream(stream_of(Follower { replay, stop, until, _slot: slot, _counted: counted }));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}

/// Behind the last event that the client saw, or with the next one.
fn place_of(headers: &HeaderMap) -> Result<ReplayFrom, Problem> {
    let Some(last) = headers.get(LAST_EVENT_ID) else { return Ok(ReplayFrom::New) };
    let last = last.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok());
    last.and_then(|last| last.checked_add(1)).map(ReplayFrom::Sequence).ok_or_else(|| {
        let detail = "This must be the id of an event.".into();
        Problem::fields(vec![FieldFault { pointer: "last-event-id".into(), code: "malformed", detail }])
    })
}

/// One open stream.
struct Follower {
    replay: LogReplay,
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

/// The next event or heartbeat; none when the stream ends, and the client comes back by itself.
async fn next_frame(follower: &mut Follower) -> Option<Bytes> {
    let next = tokio::select! {
        biased;
        () = follower.stop.cancelled() => return None,
        () = tokio::time::sleep_until(follower.until) => return None,
        next = follower.replay.next(limits::EVENT_HEARTBEAT) => next,
    };
    match next {
        Ok(Some(record)) => Some(frame_of(&record)),
        Ok(None) => Some(Bytes::from_static(HEARTBEAT)),
        Err(error) => {
            warn!(error = %error, "an event stream ended early");
            None
        }
    }
}

/// An event on the wire.
fn frame_of(record: &Record) -> Bytes {
    let payload = String::from_utf8_lossy(&record.payload);
    let mut frame = String::with_capacity(payload.len() + 64);
    writeln!(frame, "id: {}", record.sequence).expect("text goes to memory");
    if let Some(name) = name_of(record) {
        writeln!(frame, "event: {name}").expect("text goes to memory");
    }
    for line in payload.lines() {
        frame.push_str("data: ");
        frame.push_str(line);
        frame.push('\n');
    }
    frame.push('\n');
    Bytes::from(frame)
}

/// `files.processed`, of the event's type `io.wharfinger.files.processed.v1`.
fn name_of(record: &Record) -> Option<&str> {
    let (_, event_type) = record.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("ce-type"))?;
    let (name, _) = event_type.strip_prefix("io.wharfinger.")?.rsplit_once(".v")?;
    let is_plain = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'.' || b == b'_');
    is_plain.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;
    use crate::http::error::ErrorCode;

    fn record(event_type: &str, payload: &'static str) -> Record {
        Record {
            sequence: 7,
            stored_at: Timestamp::default(),
            subject: "wharf.files.v1.processed.u".to_owned(),
            id: "id".to_owned(),
            headers: vec![("ce-type".to_owned(), event_type.to_owned())],
            payload: Bytes::from_static(payload.as_bytes()),
        }
    }

    fn check(event_type: &str, payload: &'static str, expected: &str) {
        assert_eq!(frame_of(&record(event_type, payload)), expected.as_bytes());
    }

    #[test]
    fn an_event_is_one_frame() {
        check(
            "io.wharfinger.files.processed.v1",
            "{\"a\":1}",
            "id: 7\nevent: files.processed\ndata: {\"a\":1}\n\n",
        );
        check(
            "io.wharfinger.usage.quota_changed.v1",
            "{}",
            "id: 7\nevent: usage.quota_changed\ndata: {}\n\n",
        );
        check("something else", "{\n}", "id: 7\ndata: {\ndata: }\n\n");
        check("io.wharfinger.a\nid: 9.v1", "{}", "id: 7\ndata: {}\n\n");
    }

    fn check_place(last: Option<&str>, expected: Result<ReplayFrom, ErrorCode>) {
        let headers = last.map(|last| (LAST_EVENT_ID, HeaderValue::from_str(last).unwrap()));
        let place = place_of(&headers.into_iter().collect());
        assert_eq!(place.map_err(|problem| problem.code()), expected, "{last:?}");
    }

    #[test]
    fn a_stream_goes_on_behind_the_last_event() {
        check_place(None, Ok(ReplayFrom::New));
        check_place(Some("7"), Ok(ReplayFrom::Sequence(8)));
        check_place(Some("0"), Ok(ReplayFrom::Sequence(1)));
        check_place(Some(""), Err(ErrorCode::ValidationFailed));
        check_place(Some("-1"), Err(ErrorCode::ValidationFailed));
        check_place(Some("18446744073709551615"), Err(ErrorCode::ValidationFailed));
    }
}
