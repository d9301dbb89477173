//! One record to a stream, and what the server's answer means.

use std::time::Duration;

use async_nats::jetstream::response::Response;
use serde::Deserialize;

use super::link::{AskError, Link};
use super::record::headers_of;
use crate::ports::{NewRecord, PublishError, Stored, Stream};

/// How long a server may take to say that it stored a record.
pub(super) const STORED_WITHIN: Duration = Duration::from_secs(5);

/// "resource limits exceeded for account", "insufficient resources", "insufficient memory resources",
/// "insufficient storage resources".
const NO_ROOM: [u64; 4] = [10_002, 10_023, 10_028, 10_047];
/// Storing failed; the words say why.
const STORE_FAILED: u64 = 10_077;
/// How the words of a failed store begin or end when there was no room.
const FULL_WORDS: [&str; 3] =
    ["maximum messages exceeded", "maximum bytes exceeded", "no space left on device"];

/// The server's word that it stored.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct PubAck {
    /// The place; of the last record of a batch.
    pub(super) seq: u64,
    /// It was there already.
    #[serde(default)]
    pub(super) duplicate: bool,
}

impl From<PubAck> for Stored {
    fn from(ack: PubAck) -> Self {
        Self { sequence: ack.seq, duplicate: ack.duplicate }
    }
}

/// Sends one record and waits for the server's word.
pub(super) async fn publish(link: &Link, stream: Stream, record: NewRecord) -> Result<Stored, AskError> {
    let refused = |error: super::record::RecordError| AskError::Refused { code: 0, text: error.to_string() };
    let headers = headers_of(stream, &record).map_err(refused)?;
    let bytes_max = link.client.max_payload();
    if record.size_bytes() > bytes_max {
        return Err(AskError::TooLarge { bytes_max });
    }
    let answer = link.request(record.subject, headers, record.payload, STORED_WITHIN).await?;
    read_ack(&answer.payload).map(Stored::from)
}

/// Reads the answer to a publish or to the end of a batch.
pub(super) fn read_ack(payload: &[u8]) -> Result<PubAck, AskError> {
    match serde_json::from_slice(payload) {
        Ok(Response::Ok(ack)) => Ok(ack),
        Ok(Response::Err { error }) => {
            Err(AskError::Refused { code: error.error_code().0, text: error.to_string() })
        }
        Err(error) => Err(AskError::Silent(format!("the answer cannot be read: {error}"))),
    }
}

/// What a failed publish means to the caller.
pub(super) fn meaning(error: AskError) -> PublishError {
    let reason = error.to_string();
    match error {
        AskError::Nobody => PublishError::Unavailable { reason: "no stream takes it".to_owned() },
        AskError::Silent(_) => PublishError::Unknown { reason },
        AskError::TooLarge { bytes_max } => PublishError::TooLarge { bytes_max },
        AskError::Refused { code, .. } if NO_ROOM.contains(&code) => PublishError::Full,
        AskError::Refused { code: STORE_FAILED, .. } => {
            let is_full = FULL_WORDS.iter().any(|words| reason.contains(words));
            if is_full { PublishError::Full } else { PublishError::Unknown { reason } }
        }
        AskError::Refused { .. } => PublishError::Unavailable { reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable(reason: &str) -> PublishError {
        PublishError::Unavailable { reason: reason.to_owned() }
    }

    fn unknown(reason: &str) -> PublishError {
        PublishError::Unknown { reason: reason.to_owned() }
    }

    fn check(answer: &str, expected: Result<Stored, PublishError>) {
        let outcome = read_ack(answer.as_bytes()).map(Stored::from).map_err(meaning);
        assert_eq!(outcome, expected, "{answer}");
    }

    #[test]
    fn a_stored_record_has_a_place() {
        check(r#"{"stream":"S","seq":4}"#, Ok(Stored { sequence: 4, duplicate: false }));
        check(r#"{"stream":"S","seq":4,"duplicate":true}"#, Ok(Stored { sequence: 4, duplicate: true }));
    }

    fn refused(code: u64, text: &str) -> String {
        format!(r#"{{"error":{{"code":503,"err_code":{code},"description":"{text}"}},"stream":"S","seq":0}}"#)
    }

    #[test]
    fn no_room_is_full() {
        check(&refused(10_077, "maximum messages exceeded"), Err(PublishError::Full));
        check(&refused(10_077, "maximum bytes exceeded"), Err(PublishError::Full));
        check(&refused(10_077, "write 1.blk: no space left on device"), Err(PublishError::Full));
        check(&refused(10_047, "insufficient storage resources available"), Err(PublishError::Full));
        check(&refused(10_023, "insufficient resources"), Err(PublishError::Full));
        check(&refused(10_002, "resource limits exceeded for account"), Err(PublishError::Full));
    }

    #[test]
    fn a_store_that_broke_may_have_stored() {
        let text = "input/output error (code 503, error code 10077)";
        check(&refused(10_077, "input/output error"), Err(unknown(text)));
    }

    #[test]
    fn a_refusal_stored_nothing() {
        let text = "expected stream does not match (code 503, error code 10060)";
        check(&refused(10_060, "expected stream does not match"), Err(unavailable(text)));
    }

    #[test]
    fn an_answer_that_makes_no_sense_may_have_stored() {
        let reason = "the answer cannot be read: data did not match any variant of untagged enum Response";
        check("{}", Err(unknown(reason)));
        check(r#"{"seq":-1}"#, Err(unknown(reason)));
    }

    #[test]
    fn silence_is_unknown_and_nobody_is_unavailable() {
        assert_eq!(meaning(AskError::Silent("timed out".to_owned())), unknown("timed out"));
        assert_eq!(meaning(AskError::Nobody), unavailable("no stream takes it"));
    }
}
