//! Parses notifications. Pure: text in, a parse result out; nothing here fails or panics.
//!
//! Read by path and not into structs, because every sender adds fields of its own and gets some wrong:
//! what one record lacks must not cost its neighbours.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::domain::arrival::{Arrival, ArrivalKind};
use crate::domain::ids::ObjectKey;
use crate::domain::time::Timestamp;
use crate::limits::NOTIFICATION_BYTES_MAX;

/// Bytes of an `ETag` or a sequencer; S3 writes 35 and 18.
const TOKEN_BYTES_MAX: usize = 128;

/// The result of parsing a notification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParsedNotification {
    /// Facts about our objects, in the order of the notification.
    pub forward: Vec<(ObjectKey, Arrival)>,
    /// What is not understood or not ours; to be kept, never dropped.
    pub rejected: Vec<Rejection>,
    /// What is understood and of no use here, with how often it was there.
    pub ignored: BTreeMap<Ignored, u64>,
}

/// An event that this service has no use for. A closed set: it is a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ignored {
    /// The message that a bucket sends when its notifications are set up.
    TestEvent,
    /// A notification without records.
    Empty,
    /// Tags were set or removed.
    Tagging,
    /// Access rights were set.
    Acl,
    /// An archived object is restored, for a while.
    Restore,
    /// An object moved to another storage class or access tier.
    StorageClass,
    /// Replication to another bucket.
    Replication,
    /// A reduced-redundancy object was lost. The sweep finds out what is missing.
    Lost,
    /// Any other name, those that are not known yet included.
    Other,
}

impl Ignored {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::TestEvent,
        Self::Empty,
        Self::Tagging,
        Self::Acl,
        Self::Restore,
        Self::StorageClass,
        Self::Replication,
        Self::Lost,
        Self::Other,
    ];

    /// Its word in metrics. Frozen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TestEvent => "test",
            Self::Empty => "empty",
            Self::Tagging => "tagging",
            Self::Acl => "acl",
            Self::Restore => "restore",
            Self::StorageClass => "storage_class",
            Self::Replication => "replication",
            Self::Lost => "lost",
            Self::Other => "other",
        }
    }
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
    /// A schema other than 1.x and 2.x.
    UnknownVersion,
    /// Another bucket's.
    ForeignBucket,
    /// A key that we did not make.
    ForeignKey,
    /// Ours, but something needed is missing or cannot be read.
    Malformed,
}

impl RejectReason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::TooLarge,
        Self::NotJson,
        Self::NotANotification,
        Self::UnknownVersion,
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
            Self::ForeignBucket => "foreign_bucket",
            Self::ForeignKey => "foreign_key",
            Self::Malformed => "malformed",
        }
    }
}

/// Parses a notification about `bucket`, read at `seen_at`; every record by itself.
///
/// Understands S3's JSON, its records as a bare array, the same wrapped once by SNS, and EventBridge's, of S3 and of
/// servers that imitate it.
#[must_use]
pub fn parse_notification(body: &str, bucket: &str, seen_at: Timestamp) -> ParsedNotification {
    if body.len() > NOTIFICATION_BYTES_MAX {
        return ParsedNotification::whole(RejectReason::TooLarge);
    }
    let message = match serde_json::from_str(body).map_err(|_| RejectReason::NotJson).and_then(unwrapped) {
        Ok(message) => message,
        Err(reason) => return ParsedNotification::whole(reason),
    };
    let parser = RecordParser { bucket, seen_at };
    if text(&message, "/Event") == Some("s3:TestEvent") {
        return ParsedNotification::ignoring(Ignored::TestEvent);
    }
    let records = message.get("Records").unwrap_or(&message).as_array();
    match (records, text(&message, "/detail-type")) {
        (Some(records), _) if !records.is_empty() => {
            let outcomes = records.iter().map(|record| parser.s3(record)).enumerate();
            ParsedNotification::of(outcomes.map(|(place, outcome)| (Some(place), outcome)))
        }
        (_, Some(event)) => ParsedNotification::of([(None, parser.event_bridge(event, &message))]),
        (Some(_), None) => ParsedNotification::ignoring(Ignored::Empty),
        (None, None) => ParsedNotification::whole(RejectReason::NotANotification),
    }
}

/// One record: an arrival, or an event of no use here.
enum ParsedRecord {
    Arrival(ObjectKey, Arrival),
    Ignored(Ignored),
}

type RecordResult = Result<ParsedRecord, RejectReason>;

impl ParsedNotification {
    fn whole(reason: RejectReason) -> Self {
        Self { rejected: vec![Rejection { reason, record: None }], ..Self::default() }
    }

    fn ignoring(event: Ignored) -> Self {
        Self { ignored: BTreeMap::from([(event, 1)]), ..Self::default() }
    }

    fn of(outcomes: impl IntoIterator<Item = (Option<usize>, RecordResult)>) -> Self {
        let mut parsed = Self::default();
        for (record, outcome) in outcomes {
            match outcome {
                Ok(ParsedRecord::Arrival(key, arrival)) => parsed.forward.push((key, arrival)),
                Ok(ParsedRecord::Ignored(event)) => *parsed.ignored.entry(event).or_default() += 1,
                Err(reason) => parsed.rejected.push(Rejection { reason, record }),
            }
        }
        parsed
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

/// Parses the records of one notification.
struct RecordParser<'a> {
    bucket: &'a str,
    seen_at: Timestamp,
}

/// The fields of an arrival as one sender writes them.
struct RawRecord<'a> {
    bucket: Option<&'a str>,
    /// Decoded.
    key: Option<String>,
    object: Option<&'a Value>,
    time: Option<&'a str>,
}

impl RecordParser<'_> {
    fn s3(&self, record: &Value) -> RecordResult {
        let version = text(record, "/eventVersion").and_then(|version| version.split('.').next());
        if version.is_some_and(|major| !matches!(major, "1" | "2")) {
            return Err(RejectReason::UnknownVersion);
        }
        let raw = RawRecord {
            bucket: text(record, "/s3/bucket/name"),
            key: text(record, "/s3/object/key").and_then(form_decoded),
            object: record.pointer("/s3/object"),
            time: text(record, "/eventTime"),
        };
        let event = text(record, "/eventName").ok_or(RejectReason::Malformed)?;
        match s3_event(event) {
            Ok(kind) => self.arrival(kind, &raw),
            Err(ignored) => Ok(ParsedRecord::Ignored(ignored)),
        }
    }

    fn event_bridge(&self, event: &str, message: &Value) -> RecordResult {
        let kind = match event {
            "Object Created" => ArrivalKind::Created,
            "Object Deleted" => ArrivalKind::Removed,
            "Object Tags Added" | "Object Tags Deleted" => {
                return Ok(ParsedRecord::Ignored(Ignored::Tagging));
            }
            "Object ACL Updated" => return Ok(ParsedRecord::Ignored(Ignored::Acl)),
            "Object Storage Class Changed" | "Object Access Tier Changed" => {
                return Ok(ParsedRecord::Ignored(Ignored::StorageClass));
            }
            _ if event.starts_with("Object Restore ") => return Ok(ParsedRecord::Ignored(Ignored::Restore)),
            _ => return Ok(ParsedRecord::Ignored(Ignored::Other)),
        };
        let raw = RawRecord {
            bucket: text(message, "/detail/bucket/name"),
            key: text(message, "/detail/object/key").map(str::to_owned),
            object: message.pointer("/detail/object"),
            time: text(message, "/time"),
        };
        self.arrival(kind, &raw)
    }

    fn arrival(&self, kind: ArrivalKind, raw: &RawRecord<'_>) -> RecordResult {
        if raw.bucket.ok_or(RejectReason::Malformed)? != self.bucket {
            return Err(RejectReason::ForeignBucket);
        }
        let key = raw.key.as_deref().ok_or(RejectReason::ForeignKey)?;
        let key = ObjectKey::parse(key).map_err(|_| RejectReason::ForeignKey)?;
        let object = raw.object.ok_or(RejectReason::Malformed)?;
        // Only a figure rests on the time, so an odd one costs no file.
        let sent_at = raw.time.and_then(|time| Timestamp::parse(time).ok());
        let arrival = Arrival {
            kind,
            bucket: self.bucket.to_owned(),
            key: key.to_string(),
            size_bytes: object.get("size").and_then(size),
            etag: token(object, &["eTag", "etag"])?.map(|etag| etag.trim_matches('"').to_owned()),
            sequencer: token(object, &["sequencer"])?.unwrap_or_default().to_owned(),
            happened_at: sent_at.unwrap_or(self.seen_at),
            seen_at: self.seen_at,
        };
        Ok(ParsedRecord::Arrival(key, arrival))
    }
}

/// The kind of an event by its name, `ObjectCreated:Put`; some senders put `s3:` before it.
fn s3_event(event: &str) -> Result<ArrivalKind, Ignored> {
    let family = event.strip_prefix("s3:").unwrap_or(event).split(':').next();
    match family {
        Some("ObjectCreated") => Ok(ArrivalKind::Created),
        Some("ObjectRemoved" | "LifecycleExpiration") => Ok(ArrivalKind::Removed),
        Some("TestEvent") => Err(Ignored::TestEvent),
        Some("ObjectTagging") => Err(Ignored::Tagging),
        Some("ObjectAcl") => Err(Ignored::Acl),
        Some("ObjectRestore") => Err(Ignored::Restore),
        Some("LifecycleTransition" | "IntelligentTiering") => Err(Ignored::StorageClass),
        Some("Replication") => Err(Ignored::Replication),
        Some("ReducedRedundancyLostObject") => Err(Ignored::Lost),
        Some(_) | None => Err(Ignored::Other),
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
