//! Server-sent events on the wire (HTML, section 9.2).

use std::fmt::Write as _;

use bytes::Bytes;
use serde::Serialize;

use crate::domain::event::Event;

/// Asks the client to reconnect after one second when the stream breaks off.
pub(in crate::http) const GREETING: &[u8] = b"retry: 1000\n\n";
/// A comment that keeps proxies from taking silence for a dead connection.
pub(in crate::http) const HEARTBEAT: &[u8] = b":\n\n";

/// Why some events are not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum Gap {
    /// They are older than the history that is kept.
    HistoryTrimmed,
    /// The client's last id is above the user's version; the stream begins with the oldest event that is kept.
    UnknownId,
}

#[derive(Serialize)]
struct Notice {
    reason: Gap,
    next_version: u64,
}

/// All events of one entry in one piece. Only the last carries the id, so that a client that loses the connection
/// between two of them gets both again.
pub(in crate::http) fn of_entry(version: u64, events: &[Event]) -> Bytes {
    let mut frame = String::with_capacity(events.len() * 1536);
    for (index, event) in events.iter().enumerate() {
        if index + 1 == events.len() {
            writeln!(frame, "id: {version}").expect("text goes to memory");
        }
        // JSON in one line: control characters are escaped in it.
        let data = serde_json::to_string(&event.envelope).expect("an envelope is plain JSON");
        write!(frame, "event: {}\ndata: {data}\n\n", event.name).expect("text goes to memory");
    }
    Bytes::from(frame)
}

/// Says that events are missing before `next_version`. Has no id: it is not part of the history.
pub(in crate::http) fn of_gap(reason: Gap, next_version: u64) -> Bytes {
    let notice = Notice { reason, next_version };
    let data = serde_json::to_string(&notice).expect("a notice is plain JSON");
    Bytes::from(format!("event: stream.gap\ndata: {data}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::account::AccountState;
    use crate::domain::entry::{Entry, EntryKind, Totals};
    use crate::domain::event::{EventSource, events_of};
    use crate::domain::file::{Status, Visibility};
    use crate::domain::ids::{FileId, OpId, UserId};
    use crate::domain::time::Timestamp;

    fn frame(threshold_percent: Option<u8>) -> String {
        let source = EventSource { deployment: "d".to_owned(), bucket: "b".to_owned(), redact_names: false };
        let entry = Entry {
            version: 7,
            kind: EntryKind::Processed,
            file_id: Some(FileId::parse("0199a3c4-0000-7000-8000-000000000001").unwrap()),
            at: Timestamp::default(),
            op: OpId::from_uuid(uuid::Uuid::from_u128(1)),
            size_bytes: 1,
            status: Some(Status::Processed),
            reason: None,
            visibility: Visibility::Private,
            revision: 2,
            totals: Totals::default(),
            limit_bytes: 100,
            state: AccountState::Active,
            threshold_percent,
        };
        let user = UserId::from_subject("issuer", "a").unwrap();
        let frame = of_entry(7, &events_of(&source, user, &entry, None));
        String::from_utf8(frame.to_vec()).unwrap()
    }

    #[test]
    fn an_event_is_one_frame_with_its_version() {
        let text = frame(None);
        assert!(text.starts_with("id: 7\nevent: files.processed\ndata: {"), "{text}");
        assert_eq!(text.matches('\n').count(), 4, "{text}");
        assert!(text.ends_with("}\n\n"), "{text}");
    }

    #[test]
    fn of_two_events_of_a_version_only_the_last_has_the_id() {
        let text = frame(Some(80));
        let (first, second) = text.split_once("\n\n").unwrap();
        assert!(first.starts_with("event: files.processed\ndata: {"), "{text}");
        assert!(second.starts_with("id: 7\nevent: usage.threshold\ndata: {"), "{text}");
    }

    #[test]
    fn a_gap_is_an_event_without_an_id() {
        assert_eq!(
            of_gap(Gap::HistoryTrimmed, 12),
            "event: stream.gap\ndata: {\"reason\":\"history_trimmed\",\"next_version\":12}\n\n"
        );
    }
}
