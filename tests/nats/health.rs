//! What `/readyz?verbose` shows of a log that fails in one direction, and that it stays until it works again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::{Server, Setup};
use crate::support::Api;
use crate::support::serve::{Serve, Site};
use crate::tools::{ask, raw, ready_log};

/// Longer than the pulls of all feeds take to come back empty.
const A_ROUND_OF_PULLS: Duration = Duration::from_millis(2_500);

/// `serve` with its log on this server.
fn site(server: &Server, more: &str) -> Site {
    Site::new(&format!("[log]\nkind = \"nats\"\n[log.nats]\nurls = [{:?}]\n{more}\n", server.url()))
}

/// Uploads a file; returns its id.
async fn upload(serve: &Serve, api: &Api) -> String {
    let grant: Value = api.presign("a.txt", 5).await.expect(201).json();
    let put = api.put(&grant, "hello".to_owned()).await;
    assert_eq!(put.status, 200, "{}", serve.said());
    grant["file_id"].as_str().expect("an id").to_owned()
}

/// A line stays while every feed pulls again.
async fn stays(serve: &Serve, line: &str) {
    let began = Instant::now();
    while began.elapsed() < A_ROUND_OF_PULLS {
        serve.wait_for_part("[+] log pull INGEST up").await;
        let parts = serve.parts().await;
        assert!(parts.lines().any(|seen| seen.starts_with(line)), "{line} is gone:\n{parts}");
    }
}

// proves: F25
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_that_is_not_permitted_shows_until_it_is() {
    let rest = |denied: &str| {
        format!(
            "authorization {{ users: [ {{ user: app, password: b, permissions: {{ publish: {{ deny: [{denied:?}] }} }} }} ] }}"
        )
    };
    let setup = Setup { rest: rest("wharf.ingest.>"), ..Setup::default() };
    let Some(server) = Server::start_with(setup).await else { return };
    let password = server.write("app", "b").display().to_string();
    let site = site(&server, &format!("user = \"app\"\npassword_file = {password:?}"));
    let serve = site.serve().await;
    serve.wait_for_part("[?] log publish INGEST not asked yet").await;
    serve.wait_for_part("[?] log replay EVENTS not asked yet").await;
    let api = serve.user("alice");
    let file = upload(&serve, &api).await;
    serve.wait_for_part("[-] log publish INGEST down since").await;
    assert!(serve.parts().await.to_lowercase().contains("permissions violation"), "{}", serve.parts().await);
    serve.wait_for_part("[+] log up").await;
    stays(&serve, "[-] log publish INGEST").await;
    assert!(serve.parts().await.ends_with("ready\n") && !serve.parts().await.contains("not ready"));
    server.configure(&rest("nothing"));
    server.reload();
    serve.wait_for_part("[+] log publish INGEST up").await;
    api.wait_for_status(&file, "processed").await;
}

// proves: F25
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_ingest_shows_until_there_is_room() {
    let Some(server) = Server::start().await else { return };
    let site = site(&server, "ingest_bytes_max = 16777216");
    let serve = site.serve().await;
    serve.wait_for_part("[+] log pull INGEST up").await;
    let jetstream = raw(&server.url()).await;
    // Of a shard that nobody reads, so that nobody makes room.
    let mut is_full = false;
    while !is_full {
        for bytes in [500_000, 4_000, 400, 40, 1] {
            let sent = jetstream.publish("wharf.ingest.v1.999.u", "x".repeat(bytes).into()).await;
            is_full = sent.expect("sent").await.is_err();
        }
    }
    let api = serve.user("alice");
    let file = upload(&serve, &api).await;
    serve.wait_for_part("[-] log publish INGEST down since").await;
    assert!(serve.parts().await.contains("the stream is full"), "{}", serve.parts().await);
    stays(&serve, "[-] log publish INGEST").await;
    ask(&jetstream, "STREAM.PURGE.WHARF_INGEST", &json!({})).await;
    serve.wait_for_part("[+] log publish INGEST up").await;
    api.wait_for_status(&file, "processed").await;
}

// proves: F27
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_events_stream_shows_and_stops_no_arrival() {
    let Some(server) = Server::start().await else { return };
    ready_log(server.settings()).await;
    let site = site(&server, "manage_streams = \"check\"");
    let serve = site.serve().await;
    serve.wait_for_part("[+] log up").await;
    let jetstream = raw(&server.url()).await;
    ask(&jetstream, "STREAM.DELETE.WHARF_EVENTS", &json!({})).await;
    serve.wait_for_part("[-] log down since").await;
    let api = serve.user("alice");
    let file = upload(&serve, &api).await;
    serve.wait_for_part("[-] log publish EVENTS down since").await;
    serve.wait_for_part("[+] log publish INGEST up").await;
    api.wait_for_status(&file, "processed").await;
    stays(&serve, "[-] log publish EVENTS").await;
    assert!(serve.parts().await.contains("there is no stream WHARF_EVENTS"), "{}", serve.parts().await);
    let config: Value = serde_json::from_str(include_str!("../../nats/streams/events.json")).expect("JSON");
    ask(&jetstream, "STREAM.CREATE.WHARF_EVENTS", &config).await;
    serve.wait_for_part("[+] log publish EVENTS up").await;
    serve.wait_for_part("[+] log up").await;
}
