//! When a message may go: a notification when the log has what it says, an arrival when its file is settled. What is
//! neither is not covered here; only the suites of the ports send such.

use wharfinger::domain::arrival::{Arrival, ArrivalKind};
use wharfinger::domain::file::Status;
use wharfinger::domain::ids::ObjectKey;
use wharfinger::ports::Stream;

use super::state::State;

impl State {
    /// 19: a process that deletes a notification has seen INGEST take every record of it.
    pub(super) fn check_unneeded(&mut self, body: &str) {
        let Ok(body) = serde_json::from_str::<serde_json::Value>(body) else { return };
        for record in body["Records"].as_array().into_iter().flatten() {
            let object = &record["s3"]["object"];
            let is_it = |arrival: &Arrival| {
                object["key"] == arrival.key.as_str() && object["sequencer"] == arrival.sequencer.as_str()
            };
            if !self.history.arrivals.values().any(is_it) {
                self.broken(format_args!("I19: a notification is deleted and INGEST never had {object}"));
            }
        }
    }

    /// 20: an arrival is acknowledged when nothing is left to settle: its file is, nobody knows it, its object is not
    /// there, or the DLQ keeps it.
    pub(super) fn check_acknowledged(&mut self, id: &str) {
        let Some(arrival) = self.history.arrivals.get(id) else { return };
        let key = ObjectKey::parse(&arrival.key).unwrap();
        let is_there = self.bucket.objects.contains_key(&arrival.key);
        let status = self.file(key.user, key.file).map(|row| row.status);
        let is_open = matches!(status, Some(Status::Pending | Status::Expired)) && is_there;
        let mut dead = self.streams[&Stream::Dlq].records.values();
        let is_dead =
            dead.any(|record| serde_json::from_slice(&record.payload).ok().as_ref() == Some(arrival));
        if arrival.kind == ArrivalKind::Created && is_open && !is_dead {
            self.broken(format_args!(
                "I20: an arrival is acknowledged, its object there, its file {status:?}"
            ));
        }
    }
}
