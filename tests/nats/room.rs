//! Room in INGEST, and events that a purge has taken.

use std::time::{Duration, Instant};

use serde_json::json;
use wharfinger::actors::{Republish, RepublishError, republish};
use wharfinger::adapters::embedded::EmbeddedStore;
use wharfinger::adapters::jetstream::JetStreamLog;
use wharfinger::adapters::{Ledger, Log};
use wharfinger::config::{ManageStreams, NatsSettings};
use wharfinger::domain::account::Account;
use wharfinger::domain::draft::Draft;
use wharfinger::domain::event::EventSource;
use wharfinger::domain::ids::UserId;
use wharfinger::ports::{
    Clock, ConsumerPort, ConsumerSpec, LedgerPort, LogPort, NewRecord, ReplayFrom, ReplayPort, Stream,
    TrimWhen,
};

use crate::server::Server;
use crate::tools::{A_WHILE, arrival, ask, connect, eventually, publish, pull, raw, ready_log, shard_spec};

const ACK_WAIT: Duration = Duration::from_secs(30);

async fn messages(server: &Server, stream: Stream) -> u64 {
    let info = ask(&raw(&server.url()).await, &format!("STREAM.INFO.{}", stream.name()), &json!({})).await;
    info["state"]["messages"].as_u64().expect("a count")
}

// proves: F25
#[tokio::test]
async fn steady_work_never_fills_ingest_although_one_shard_stands_still() {
    let Some(server) = Server::start().await else { return };
    let settings = NatsSettings { ingest_bytes_max: 128 << 10, ..server.settings() };
    let log = ready_log(settings).await;
    let other = ConsumerSpec {
        name: "shard-8".to_owned(),
        filter: "wharf.ingest.v1.8.>".to_owned(),
        ..shard_spec(ACK_WAIT)
    };
    let never = ConsumerSpec {
        name: "shard-9".to_owned(),
        filter: "wharf.ingest.v1.9.>".to_owned(),
        ..shard_spec(ACK_WAIT)
    };
    let specs = || vec![shard_spec(ACK_WAIT), other.clone(), never.clone()];
    let mut consumer = log.consumer(shard_spec(ACK_WAIT)).await.expect("consumer");
    drop(log.consumer(other.clone()).await.expect("consumer"));
    for shard in [8, 9] {
        let waits = NewRecord { subject: format!("wharf.ingest.v1.{shard}.u"), ..arrival("waits") };
        log.publish(Stream::Ingest, waits).await.expect("publish");
    }
    // Ten times what it takes.
    for n in 0..640_u32 {
        publish(&log, arrival(&"x".repeat(2 << 10))).await;
        if n % 4 == 3 {
            let mut open = 4;
            while open > 0 {
                for delivery in pull(&mut consumer).await {
                    consumer.ack(&delivery.token).await.expect("ack");
                    open -= 1;
                }
            }
            let removed = log.trim(Stream::Ingest, specs(), TrimWhen::Filling).await.expect("trim");
            assert!(n > 10 || removed == 0, "a quarter stays, for a replay");
        }
    }
    eventually("only what waits is left", || async {
        log.trim(Stream::Ingest, specs(), TrimWhen::Now).await.expect("trim");
        messages(&server, Stream::Ingest).await == 2
    })
    .await;
}

/// Streams of which EVENTS forgets ids after two seconds, so that the test need not wait for two minutes.
async fn forgetful_log(server: &Server) -> JetStreamLog {
    ready_log(server.settings()).await;
    let jetstream = raw(&server.url()).await;
    let mut config: serde_json::Value =
        serde_json::from_str(include_str!("../../nats/streams/events.json")).expect("JSON");
    config["duplicate_window"] = json!(2_000_000_000_u64);
    let changed = ask(&jetstream, "STREAM.UPDATE.WHARF_EVENTS", &config).await;
    assert_eq!(changed["error"], serde_json::Value::Null, "{changed}");
    connect(NatsSettings { manage_streams: ManageStreams::Off, ..server.settings() }).await
}

// proves: I21 F27
#[tokio::test]
async fn events_that_a_purge_took_are_published_again_although_their_ids_are_still_known() {
    let Some(server) = Server::start().await else { return };
    let log = forgetful_log(&server).await;
    let dir = tempfile::tempdir().expect("a folder");
    let store = EmbeddedStore::open(dir.path(), Clock::System).expect("a store");
    let (ledger, log) = (Ledger::Embedded(store.ledger()), Log::Nats(log));
    let user = UserId::from_subject("https://issuer.example", "alice").expect("a user");
    let account = Account::new(user);
    let quota = account.set_quota(Some(7), Clock::System.now()).expect("it changes");
    let mut draft = Draft::new(account, [].into(), Clock::System.op_id(), 0);
    draft.push(&quota);
    ledger.commit(draft.into_write().0).await.expect("commit");
    let source = EventSource { deployment: "t".to_owned(), bucket: "wharf".to_owned(), redact_names: false };
    let run =
        || republish(&ledger, &log, &source, Republish { user, from: 1, to: Some(1), is_dry_run: false });
    let first = run().await.expect("published");
    assert_eq!((first.events, first.known), (1, 0));
    let again = run().await.expect("known");
    assert_eq!((again.events, again.known, messages(&server, Stream::Events).await), (1, 1, 1));

    ask(&raw(&server.url()).await, "STREAM.PURGE.WHARF_EVENTS", &json!({})).await;
    assert_eq!(messages(&server, Stream::Events).await, 0);
    let began = Instant::now();
    let stored: Result<_, RepublishError> = run().await;
    let stored = stored.expect("stored in the end");
    assert_eq!((stored.events, stored.known), (1, 0), "after {:?}", began.elapsed());
    assert_eq!(messages(&server, Stream::Events).await, 1);
    let mut replay =
        log.replay(Stream::Events, "wharf.>".to_owned(), ReplayFrom::Start).await.expect("replay");
    let event = replay.next(ACK_WAIT).await.expect("an answer").expect("an event");
    let envelope: serde_json::Value = serde_json::from_slice(&event.payload).expect("JSON");
    assert_eq!(envelope["id"], event.id, "subscribers still know it by its id");
    assert_eq!(replay.next(A_WHILE).await, Ok(None));
    store.close().await;
}
