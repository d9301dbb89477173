//! Three servers, three copies of each stream.

use std::time::Duration;

use serde_json::json;
use wharfinger::config::NatsSettings;
use wharfinger::ports::{ConsumerPort, LogPort, ReplayFrom, Stream};

use crate::server::{Server, Setup, free_port};
use crate::tools::{arrival, ask, eventually, next, publish, pull, raw, ready_log, shard_spec, text};

async fn start() -> Option<[Server; 3]> {
    let ports = [free_port(), free_port(), free_port()];
    let routes = ports.map(|port| format!("nats://127.0.0.1:{port}")).join(", ");
    let setup = |name: usize| Setup {
        rest: format!(
            "server_name: n{name}\ncluster {{ name: wharf, listen: \"127.0.0.1:{}\", routes: [{routes}] }}",
            ports[name]
        ),
        ..Setup::default()
    };
    let started = tokio::join!(
        Server::start_with(setup(0)),
        Server::start_with(setup(1)),
        Server::start_with(setup(2))
    );
    match started {
        (Some(one), Some(two), Some(three)) => Some([one, two, three]),
        _ => None,
    }
}

/// Whether all three copies hold everything, seen from one server.
async fn is_whole(server: &Server) -> bool {
    let jetstream = raw(&server.url()).await;
    let Ok(info) = jetstream.request::<_, _, serde_json::Value>("STREAM.INFO.WHARF_INGEST", &json!({})).await
    else {
        return false;
    };
    let others = info["cluster"]["replicas"].as_array().cloned().unwrap_or_default();
    let is_current = |other: &serde_json::Value| other["current"] == true && other["offline"] != true;
    others.len() == 2 && others.iter().all(is_current) && info["cluster"]["leader"].is_string()
}

// proves: F26
#[tokio::test]
async fn a_cluster_goes_on_while_one_server_after_the_other_is_killed() {
    let Some(mut servers) = start().await else { return };
    let urls = servers.iter().map(Server::url).collect();
    let log = ready_log(NatsSettings { urls, replicas: 3, ..NatsSettings::default() }).await;
    assert_eq!(log.differences().await, Ok(Vec::new()));
    let mut consumer = log.consumer(shard_spec(Duration::from_secs(5))).await.expect("consumer");
    let all = || log.replay(Stream::Ingest, "wharf.ingest.v1.>".to_owned(), ReplayFrom::Start);
    let mut replay = all().await.expect("replay");
    let mut written = 0_u32;
    for turn in 0..3 {
        eventually("the copies are whole", || is_whole(&servers[(turn + 1) % 3])).await;
        servers[turn].kill();
        for _ in 0..20 {
            publish(&log, arrival(&written.to_string())).await;
            written += 1;
        }
        servers[turn].again().await;
    }
    for n in 0..written {
        assert_eq!(text(&next(&mut replay).await.payload), n.to_string());
    }
    let mut seen = Vec::new();
    while seen.len() < usize::try_from(written).expect("few") {
        for delivery in pull(&mut consumer).await {
            let payload = text(&delivery.record.payload);
            if !seen.contains(&payload) {
                seen.push(payload);
            }
            // An acknowledgement may be lost on the way; then it comes again.
            drop(consumer.ack(&delivery.token).await);
        }
    }
    let jetstream = raw(&servers[0].url()).await;
    let info = ask(&jetstream, "STREAM.INFO.WHARF_INGEST", &json!({})).await;
    assert_eq!(info["state"]["messages"], written, "each once");
}
