//! What a notification says. Pure: text in, a verdict out; nothing here fails or panics.
//!
//! Read by path and not into structs, because every sender adds fields of its own and gets some wrong:
//! what one record lacks must not cost its neighbours.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::domain::arrival::{Arrival, ArrivalKind};
use crate::domain::ids::ObjectKey;
use crate::domain::time::Timestamp;
use crate::limits::NOTIFICATION_BYTES_MAX;

/// Bytes of an `ETag` or a sequencer; S3 writes 35 and 18.
const TOKEN_BYTES_MAX: usize = 128;

/// What a notification comes to. Nothing at all: there was nothing in it for us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Facts about our objects, in the order of the notification.
    pub forward: Vec<(ObjectKey, Arrival)>,
    /// What is not understood or not ours; to be kept, never dropped.
    pub rejected: Vec<Rejection>,
    /// It was the bucket's test message.
    pub ignored: bool,
}

/// A record, or a whole notification, that goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Why.
    pub reason: RejectReason,
    /// Its place in the notification, from 0; none: the whole notification.
    pub record: Option<usize>,
}

/// Why a record goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectReason {
    /// More than [`NOTIFICATION_BYTES_MAX`]; not read.
    TooLarge,
    /// Not JSON, or what SNS wrapped is not.
    NotJson,
    /// JSON, but none of the shapes that a bucket's news comes in.
    NotANotification,
    /// A schema other than 2.x.
    UnknownVersion,
    /// An event that is neither an object's beginning nor its end.
    UnknownEvent,
    /// Another bucket's.
    ForeignBucket,
    /// A key that we did not make.
    ForeignKey,
    /// Ours, but something needed is missing or cannot be read.
    Malformed,
}

impl RejectReason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::TooLarge,
        Self::NotJson,
        Self::NotANotification,
        Self::UnknownVersion,
        Self::UnknownEvent,
        Self::ForeignBucket,
        Self::ForeignKey,
        Self::Malformed,
    ];

    /// Its word in headers and metrics. Frozen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::NotJson => "not_json",
            Self::NotANotification => "not_a_notification",
            Self::UnknownVersion => "unknown_version",
            Self::UnknownEvent => "unknown_event",
            Self::ForeignBucket => "foreign_bucket",
            Self::ForeignKey => "foreign_key",
            Self::Malformed => "malformed",
        }
    }
}

/// Judges a notification about `bucket`, read at `seen_at`; every record by itself.
///
/// Understands S3's JSON, the same wrapped once by SNS, and EventBridge's, of S3 and of what imitates it.
#[must_use]
pub fn judge(body: &str, bucket: &str, seen_at: Timestamp) -> Verdict {
    if body.len() > NOTIFICATION_BYTES_MAX {
        return Verdict::whole(RejectReason::TooLarge);
    }
    let message = match serde_json::from_str(body).map_err(|_| RejectReason::NotJson).and_then(unwrapped) {
        Ok(message) => message,
        Err(reason) => return Verdict::whole(reason),
    };
    let judge = Judge { bucket, seen_at };
    if text(&message, "/Event") == Some("s3:TestEvent") {
        return Verdict { ignored: true, ..Verdict::default() };
    }
    match (message.get("Records").and_then(Value::as_array), text(&message, "/detail-type")) {
        (Some(records), _) if !records.is_empty() => {
            let outcomes = records.iter().map(|record| judge.s3(record)).enumerate();
            Verdict::of(outcomes.map(|(place, outcome)| (Some(place), outcome)))
        }
        (_, Some(event)) => Verdict::of([(None, judge.event_bridge(event, &message))]),
        (Some(_) | None, None) => Verdict::whole(RejectReason::NotANotification),
    }
}

type Outcome = Result<(ObjectKey, Arrival), RejectReason>;

impl Verdict {
    fn whole(reason: RejectReason) -> Self {
        Self { rejected: vec![Rejection { reason, record: None }], ..Self::default() }
    }

    fn of(outcomes: impl IntoIterator<Item = (Option<usize>, Outcome)>) -> Self {
        let mut verdict = Self::default();
        for (record, outcome) in outcomes {
            match outcome {
                Ok(fact) => verdict.forward.push(fact),
                Err(reason) => verdict.rejected.push(Rejection { reason, record }),
            }
        }
        verdict
    }
}

/// Takes SNS's envelope off, once.
fn unwrapped(message: Value) -> Result<Value, RejectReason> {
    if text(&message, "/Type") != Some("Notification") {
        return Ok(message);
    }
    let inner = text(&message, "/Message").ok_or(RejectReason::NotANotification)?;
    serde_json::from_str(inner).map_err(|_| RejectReason::NotJson)
}

/// What every record is held against.
struct Judge<'a> {
    bucket: &'a str,
    seen_at: Timestamp,
}

/// Where the parts of a fact stand in one sender's shape.
struct Told<'a> {
    bucket: Option<&'a str>,
    /// Decoded.
    key: Option<String>,
    object: Option<&'a Value>,
    time: Option<&'a str>,
}

impl Judge<'_> {
    fn s3(&self, record: &Value) -> Outcome {
        let version = text(record, "/eventVersion");
        if version.is_some_and(|version| version != "2" && !version.starts_with("2.")) {
            return Err(RejectReason::UnknownVersion);
        }
        let told = Told {
            bucket: text(record, "/s3/bucket/name"),
            key: text(record, "/s3/object/key").and_then(form_decoded),
            object: record.pointer("/s3/object"),
            time: text(record, "/eventTime"),
        };
        let event = text(record, "/eventName").ok_or(RejectReason::Malformed)?;
        self.arrival(s3_kind(event)?, &told)
    }

    fn event_bridge(&self, event: &str, message: &Value) -> Outcome {
        let kind = match event {
            "Object Created" => ArrivalKind::Created,
            "Object Deleted" => ArrivalKind::Removed,
            _ => return Err(RejectReason::UnknownEvent),
        };
        let told = Told {
            bucket: text(message, "/detail/bucket/name"),
            key: text(message, "/detail/object/key").map(str::to_owned),
            object: message.pointer("/detail/object"),
            time: text(message, "/time"),
        };
        self.arrival(kind, &told)
    }

    fn arrival(&self, kind: ArrivalKind, told: &Told<'_>) -> Outcome {
        if told.bucket.ok_or(RejectReason::Malformed)? != self.bucket {
            return Err(RejectReason::ForeignBucket);
        }
        let key = told.key.as_deref().ok_or(RejectReason::ForeignKey)?;
        let key = ObjectKey::parse(key).map_err(|_| RejectReason::ForeignKey)?;
        let object = told.object.ok_or(RejectReason::Malformed)?;
        let time = told.time.ok_or(RejectReason::Malformed)?;
        let arrival = Arrival {
            kind,
            bucket: self.bucket.to_owned(),
            key: key.to_string(),
            size_bytes: object.get("size").and_then(size),
            etag: token(object, &["eTag", "etag"])?.map(|etag| etag.trim_matches('"').to_owned()),
            sequencer: token(object, &["sequencer"])?.unwrap_or_default().to_owned(),
            happened_at: Timestamp::parse(time).map_err(|_| RejectReason::Malformed)?,
            seen_at: self.seen_at,
        };
        Ok((key, arrival))
    }
}

/// The kind that an event's name stands for, `ObjectCreated:Put`; some senders put `s3:` before it.
fn s3_kind(event: &str) -> Result<ArrivalKind, RejectReason> {
    let family = event.strip_prefix("s3:").unwrap_or(event).split(':').next();
    match family {
        Some("ObjectCreated") => Ok(ArrivalKind::Created),
        Some("ObjectRemoved" | "LifecycleExpiration") => Ok(ArrivalKind::Removed),
        Some(_) | None => Err(RejectReason::UnknownEvent),
    }
}

fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path).and_then(Value::as_str)
}

/// The first of these fields that is there; an empty one is not.
fn token<'a>(object: &'a Value, names: &[&str]) -> Result<Option<&'a str>, RejectReason> {
    let found = names.iter().find_map(|name| object.get(name).and_then(Value::as_str));
    match found.filter(|token| !token.is_empty()) {
        Some(token) if token.len() > TOKEN_BYTES_MAX => Err(RejectReason::Malformed),
        found => Ok(found),
    }
}

/// A length, as a number or, as Ceph may write it, as text. Any other is as good as none: the bucket is asked later.
fn size(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Undoes the form encoding of keys in S3's JSON: `+` is a space, `%2F` a slash. None if it is not UTF-8.
fn form_decoded(key: &str) -> Option<String> {
    let spaced = key.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests;
