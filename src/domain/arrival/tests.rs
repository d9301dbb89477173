//! The id of an arrival, and its subject in the log.

use super::*;
use crate::domain::samples::{NOW, file_id, user};

fn arrival() -> Arrival {
    Arrival {
        kind: ArrivalKind::Created,
        bucket: "wharf".to_owned(),
        key: "user/u/f".to_owned(),
        size_bytes: Some(5),
        etag: Some("e".to_owned()),
        sequencer: "0A".to_owned(),
        happened_at: NOW,
        seen_at: NOW,
    }
}

#[test]
fn an_identity_is_frozen_and_does_not_depend_on_who_reads_it_when() {
    assert_eq!(arrival().identity(), "created/wharf/user/u/f#0A");
    let again = Arrival { seen_at: Timestamp::from_millis(0), size_bytes: None, etag: None, ..arrival() };
    assert_eq!(again.identity(), arrival().identity());
    let removed = Arrival { kind: ArrivalKind::Removed, ..arrival() };
    assert_eq!(removed.identity(), "removed/wharf/user/u/f#0A");
}

#[test]
fn without_a_sequencer_etag_and_time_stand_in() {
    let bare = Arrival { sequencer: String::new(), ..arrival() };
    assert_eq!(bare.identity(), "created/wharf/user/u/f#e@1795169642000");
    let removed = Arrival { etag: None, ..bare };
    assert_eq!(removed.identity(), "created/wharf/user/u/f#@1795169642000");
}

#[test]
fn subjects_lie_inside_their_shards_filter() {
    let key = ObjectKey { user: user(), file: file_id(1) };
    let shard = ShardId::new(7);
    assert_eq!(Arrival::subject(shard, key), format!("wharf.ingest.v1.7.{}", user()));
    assert_eq!(Arrival::filter(shard), "wharf.ingest.v1.7.>");
}

#[test]
fn it_reads_back_from_the_log() {
    let text = serde_json::to_string(&arrival()).expect("plain data");
    assert_eq!(serde_json::from_str::<Arrival>(&text).expect("what was written"), arrival());
    assert!(text.contains(r#""happened_at":"2026-11-20T10:14:02.000Z""#), "{text}");
}
