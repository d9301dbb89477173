//! One record by its sequence: is it still there, and is it the one that is meant?

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::link::AskError;
use super::log::Shared;
use crate::ports::{LogError, NewRecord, Stream};

/// "no message found".
const NO_MESSAGE: u64 = 10_037;
/// The header with a record's id, as on the wire.
const ID_HEADER: &str = "Nats-Msg-Id:";

/// The server's reply to a question for one message.
#[derive(Deserialize)]
struct Got {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    subject: String,
    seq: u64,
    /// Base64 of the headers as on the wire.
    #[serde(default)]
    hdrs: String,
}

/// See [`crate::ports::LogPort::holds`].
pub(super) async fn holds(
    shared: &Shared,
    stream: Stream,
    sequence: u64,
    record: &NewRecord,
) -> Result<bool, LogError> {
    let subject = format!("STREAM.MSG.GET.{}", stream.name());
    match shared.link.ask::<Got>(subject, &json!({"seq": sequence})).await {
        Ok(Got { message }) => Ok(message.is(sequence, record)),
        Err(AskError::Refused { code: NO_MESSAGE, .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl Message {
    fn is(&self, sequence: u64, record: &NewRecord) -> bool {
        let headers = STANDARD.decode(&self.hdrs).unwrap_or_default();
        let headers = String::from_utf8_lossy(&headers);
        let id = headers.lines().find_map(|line| line.strip_prefix(ID_HEADER)).map(str::trim);
        self.seq == sequence && self.subject == record.subject && id == Some(record.id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_record_is_known_by_place_subject_and_id() {
        let record = NewRecord {
            subject: "a.b".to_owned(),
            id: "7".to_owned(),
            headers: Vec::new(),
            payload: Bytes::new(),
        };
        let message = |subject: &str, seq, headers: &str| Message {
            subject: subject.to_owned(),
            seq,
            hdrs: STANDARD.encode(headers),
        };
        let wire = "NATS/1.0\r\nce-id: 8\r\nNats-Msg-Id: 7\r\n\r\n";
        assert!(message("a.b", 3, wire).is(3, &record));
        assert!(!message("a.b", 4, wire).is(3, &record));
        assert!(!message("a.c", 3, wire).is(3, &record));
        assert!(!message("a.b", 3, "NATS/1.0\r\nNats-Msg-Id: 77\r\n\r\n").is(3, &record));
        assert!(!message("a.b", 3, "").is(3, &record));
    }
}
