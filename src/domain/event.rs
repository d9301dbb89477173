//! Events: what internal services hear. Each is made from one entry, so a repeat is the same to the byte.
//!
//! The envelope is CloudEvents 1.0 in structured JSON mode (<https://github.com/cloudevents/spec>).

mod data;
mod schema;

use serde::Serialize;

use self::data::{AccountData, Data, FileData};
pub use self::schema::EventSchema;
use super::entry::{Entry, EntryKind};
use super::file::File;
use super::ids::{EventId, UserId};

/// What all events of a deployment have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSource {
    /// The deployment's name, in `source`.
    pub deployment: String,
    /// The bucket that holds the objects.
    pub bucket: String,
    /// Leaves file names out.
    pub redact_names: bool,
}

/// An event, ready for the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its id: the same for every repeat of the same change.
    pub id: EventId,
    /// Its place: `wharf.<domain>.v1.<event>.<user_id>`.
    pub subject: String,
    /// The user's version it reports.
    pub version: u64,
    /// Its short name, `files.processed`.
    pub name: String,
    /// The envelope.
    pub envelope: EventEnvelope,
}

/// The CloudEvents envelope; fields in the order of the contract.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventEnvelope {
    specversion: &'static str,
    /// Same as [`Event::id`].
    pub id: EventId,
    source: String,
    /// `io.wharfinger.files.processed.v1`.
    #[serde(rename = "type")]
    pub event_type: String,
    subject: String,
    /// When the change was decided, RFC 3339.
    pub time: String,
    datacontenttype: &'static str,
    dataschema: String,
    partitionkey: String,
    /// The user's version, 20 digits.
    pub sequence: String,
    /// The W3C trace of the request that reserved the file, if it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    data: Data,
}

/// Every event of one user: `wharf.<domain>.v1.<event>.<user>`.
#[must_use]
pub fn filter_of(user: UserId) -> String {
    format!("wharf.*.v1.*.{user}")
}

/// Domain and name of the event that an entry of this kind becomes.
const fn name_of(kind: EntryKind) -> (&'static str, &'static str) {
    match kind {
        EntryKind::Reserved => ("files", "reserved"),
        EntryKind::Processed => ("files", "processed"),
        EntryKind::Failed | EntryKind::Cancelled => ("files", "failed"),
        EntryKind::Expired => ("files", "expired"),
        EntryKind::Updated => ("files", "updated"),
        EntryKind::Trashed => ("files", "trashed"),
        EntryKind::Restored => ("files", "restored"),
        EntryKind::Deleted => ("files", "deleted"),
        EntryKind::Purged => ("files", "purged"),
        EntryKind::QuotaChanged => ("usage", "quota_changed"),
        EntryKind::StateChanged => ("usage", "state_changed"),
    }
}

/// Name (`files.processed`) and id of the event for an entry's transition.
#[must_use]
pub fn event_of_entry(user: UserId, entry: &Entry) -> (String, EventId) {
    let (domain, name) = name_of(entry.kind);
    let id = EventId::of(user, entry.version, &type_of(domain, name));
    (format!("{domain}.{name}"), id)
}

fn type_of(domain: &str, name: &str) -> String {
    format!("io.wharfinger.{domain}.{name}.v1")
}

/// The events of an entry: the transition's, and a threshold's if it crossed one.
///
/// `file` is the row of the entry's file, which may be newer than the entry or already forgotten.
#[must_use]
pub fn events_of(source: &EventSource, user: UserId, entry: &Entry, file: Option<&File>) -> Vec<Event> {
    let (domain, name) = name_of(entry.kind);
    let data = match entry.file_id {
        Some(_) => Data::File(FileData::of(source, user, entry, file)),
        None => Data::Account(AccountData::of(user, entry, None)),
    };
    let mut events = vec![event(source, user, entry, (domain, name), (data, file))];
    if let Some(percent) = entry.threshold_percent {
        let data = Data::Account(AccountData::of(user, entry, Some(percent)));
        events.push(event(source, user, entry, ("usage", "threshold"), (data, None)));
    }
    events
}

fn event(
    source: &EventSource,
    user: UserId,
    entry: &Entry,
    (domain, name): (&str, &str),
    (data, file): (Data, Option<&File>),
) -> Event {
    let event_type = type_of(domain, name);
    let id = EventId::of(user, entry.version, &event_type);
    let about = match entry.file_id.filter(|_| domain == "files") {
        Some(file) => format!("files/{file}"),
        None => "usage".to_owned(),
    };
    let envelope = EventEnvelope {
        specversion: "1.0",
        id,
        source: format!("/wharfinger/{}/users/{user}", source.deployment),
        event_type,
        subject: about,
        time: entry.at.to_string(),
        datacontenttype: "application/json",
        dataschema: format!("urn:wharfinger:events:{domain}.{name}:1.0"),
        partitionkey: user.to_string(),
        sequence: format!("{:020}", entry.version),
        traceparent: file.and_then(|file| file.traceparent.clone()),
        data,
    };
    Event {
        id,
        subject: format!("wharf.{domain}.v1.{name}.{user}"),
        version: entry.version,
        name: format!("{domain}.{name}"),
        envelope,
    }
}

#[cfg(test)]
mod tests;
