//! Arrivals that are stored together: all of them, once, in any case.

use std::time::Duration;

use futures_util::future::join_all;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use wharfinger::adapters::jetstream::JetStreamLog;
use wharfinger::config::{AtomicBatches, NatsSettings};
use wharfinger::ports::{LogPort, NewRecord, PublishError, ReplayFrom, ReplayPort, Stored, Stream};

use crate::server::Server;
use crate::tools::{A_WHILE, arrival, next, publish, ready_log};

fn settings(server: &Server) -> NatsSettings {
    NatsSettings { atomic_batches: AtomicBatches::Auto, ..server.settings() }
}

async fn publish_all(log: &JetStreamLog, records: &[NewRecord]) -> Vec<Stored> {
    join_all(records.iter().map(|record| publish(log, record.clone()))).await
}

/// The ids that the stream holds, in order.
async fn stored(log: &JetStreamLog, count: usize) -> Vec<(u64, String)> {
    let all = log.replay(Stream::Ingest, "wharf.ingest.v1.>".to_owned(), ReplayFrom::Start).await;
    let mut replay = all.expect("replay");
    let mut stored = Vec::new();
    while stored.len() < count {
        let record = next(&mut replay).await;
        stored.push((record.sequence, record.id));
    }
    assert_eq!(replay.next(A_WHILE).await, Ok(None), "no more than {count}");
    stored
}

fn arrivals(count: usize) -> Vec<NewRecord> {
    (0..count).map(|n| arrival(&n.to_string())).collect()
}

fn batches(figures: &PrometheusHandle, outcome: &str) -> u64 {
    let name = format!("wharf_nats_batches_total{{outcome=\"{outcome}\"}} ");
    let rendered = figures.render();
    let line = rendered.lines().find_map(|line| line.strip_prefix(&name));
    line.map_or(0, |count| count.parse().expect("a number"))
}

#[tokio::test]
async fn records_that_wait_together_are_stored_together() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let figures = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let Some(server) = Server::start().await else { return };
    let log = ready_log(settings(&server)).await;
    let records = arrivals(200);
    let acks = publish_all(&log, &records).await;
    assert!(acks.iter().all(|ack| !ack.duplicate));
    let mut told: Vec<(u64, String)> =
        acks.iter().zip(&records).map(|(ack, record)| (ack.sequence, record.id.clone())).collect();
    told.sort();
    assert_eq!(stored(&log, 200).await, told, "each stands where its answer said");
    if log.batches() {
        assert!(batches(&figures, "stored") >= 1, "{}", figures.render());
        assert_eq!(batches(&figures, "split"), 0);
    }
}

#[tokio::test]
async fn repeats_are_stored_once_whoever_sent_them_first() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let figures = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let Some(server) = Server::start().await else { return };
    let (one, other) = tokio::join!(ready_log(settings(&server)), ready_log(settings(&server)));
    let mut records = arrivals(250);
    let early = publish_all(&one, &records[..20]).await;
    // To the other process these twenty are new: a batch with one of them is refused, and sent again singly.
    for place in 0..20 {
        records.swap(place, place * 12 + 10);
    }
    let late = publish_all(&other, &records).await;
    assert_eq!(late.iter().filter(|ack| ack.duplicate).count(), 20);
    assert_eq!(late[10 + 12 * 19].sequence, early[19].sequence);
    assert_eq!(batches(&figures, "split") > 0, other.batches());
    let again = publish_all(&one, &records).await;
    assert!(again.iter().all(|ack| ack.duplicate));
    let twice = [records[0].clone(), records[0].clone(), arrival("x"), arrival("y")];
    publish_all(&other, &twice).await;
    assert_eq!(stored(&one, 252).await.len(), 252);
}

// proves: F25
#[tokio::test]
async fn a_full_stream_says_so_to_each() {
    let Some(server) = Server::start().await else { return };
    let log = ready_log(NatsSettings { ingest_bytes_max: 32 << 10, ..settings(&server) }).await;
    let records = arrivals(300);
    let outcomes = join_all(records.iter().map(|record| log.publish(Stream::Ingest, record.clone()))).await;
    let kept = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!(kept > 0 && kept < 300, "{kept}");
    assert!(
        outcomes.iter().flat_map(|outcome| outcome.as_ref().err()).all(|error| *error == PublishError::Full)
    );
    assert_eq!(stored(&log, kept).await.len(), kept);
}

#[tokio::test]
async fn one_bad_record_does_not_hold_back_the_others() {
    let Some(server) = Server::start().await else { return };
    let log = ready_log(settings(&server)).await;
    let mut records = arrivals(120);
    records[7].subject = "wharf.ingest.v1.7.*".to_owned();
    records[9].subject = "wharf.files.v1.processed.u".to_owned();
    let outcomes = join_all(records.iter().map(|record| log.publish(Stream::Ingest, record.clone()))).await;
    for (place, outcome) in outcomes.iter().enumerate() {
        let is_bad = [7, 9].contains(&place);
        assert_eq!(outcome.is_err(), is_bad, "{place}: {outcome:?}");
        assert!(!is_bad || matches!(outcome, Err(PublishError::Unavailable { .. })), "{outcome:?}");
    }
    assert_eq!(stored(&log, 118).await.len(), 118);
}

// proves: F26
#[tokio::test]
async fn a_killed_server_keeps_each_acknowledged_record_once() {
    let Some(mut server) = Server::start().await else { return };
    let log = ready_log(settings(&server)).await;
    let records = arrivals(900);
    let write = async {
        for some in records.chunks(150) {
            publish_all(&log, some).await;
        }
    };
    let kill = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(15)).await;
            server.kill();
            server.again().await;
        }
    };
    tokio::join!(write, kill);
    let mut ids: Vec<String> = stored(&log, 900).await.into_iter().map(|(_, id)| id).collect();
    let mut written: Vec<String> = records.iter().map(|record| record.id.clone()).collect();
    ids.sort();
    written.sort();
    assert_eq!(ids, written);
}
