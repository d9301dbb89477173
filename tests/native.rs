//! The main job with every engine real: CQL, NATS JetStream and SQS, on the servers that `scripts/servers env` names.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test stops where it is wrong, and tells")]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::serve::Site;
use support::servers::{SQS, named, new_name, server};
use support::{Api, SOON};
use tokio::task::JoinSet;

const USERS: usize = 8;
const UPLOADS: usize = 12;

/// Settings for all three engines, with a keyspace and a queue of this test's own.
fn settings(name: &str) -> Option<(tempfile::TempDir, String)> {
    let (sqs, cql, nats) = (server(SQS)?, named("WHARFDEV_TEST_CQL")?, named("WHARFDEV_TEST_NATS")?);
    let (folder, secret) = Site::secret(&sqs.secret_key);
    let nodes: Vec<String> = cql.split(',').map(|node| format!("{node:?}")).collect();
    let text = format!(
        "[ledger]\nkind = \"scylla\"\n[ledger.scylla]\nnodes = [{}]\nkeyspace = \"{}\"\n\
         [log]\nkind = \"nats\"\n[log.nats]\nurls = [{nats:?}]\nreplicas = 1\n\
         [queue]\nkind = \"sqs\"\nname = \"{name}\"\nendpoint = {:?}\nregion = \"us-east-1\"\n\
         access_key_id = \"any\"\nsecret_key_file = {secret:?}\n",
        nodes.join(", "),
        name.replace('-', "_"),
        sqs.url,
    );
    Some((folder, text))
}

fn must(site: &Site, args: &[&str]) {
    let output = site.run(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

// proves: I1 I21
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_are_processed_counted_and_told_in_order_with_every_engine_real() {
    let name = new_name();
    let Some((_secrets, settings)) = settings(&name) else { return };
    let site = Site::new(&settings);
    must(&site, &["aws", "setup"]);
    must(&site, &["schema", "apply"]);
    must(&site, &["schema", "apply"]);
    let serve = site.serve().await;
    serve.wait_for_part("[+] ledger up").await;
    serve.wait_for_part("[+] log up").await;

    let begun = Instant::now();
    let mut users = JoinSet::new();
    for user in 0..USERS {
        users.spawn(use_it(serve.user(&format!("{name}-{user}"))));
    }
    users.join_all().await;
    eprintln!("{} uploads were processed in {:?}", USERS * UPLOADS, begun.elapsed());
}

/// Uploads one file after the other, deletes one, and checks sums and events.
async fn use_it(api: Api) {
    let mut files = Vec::new();
    for n in 0..UPLOADS {
        files.push(upload(&api, &format!("file {n}")).await);
    }
    for file in &files {
        api.wait_for_status(file, "processed").await;
    }
    let removed = api.delete(&format!("/v1/files/{}?permanent=true", files[0])).await;
    removed.expect(204);
    let left: usize = (1..UPLOADS).map(|n| format!("file {n}").len()).sum();
    let usage = api.usage().await;
    assert_eq!((&usage["used_bytes"], &usage["reserved_bytes"]), (&json!(left), &json!(0)));
    assert_eq!(usage["file_count"], UPLOADS - 1);

    let names = api.events_until("0", "files.purged").await;
    let count = |name: &str| names.iter().filter(|seen| *seen == name).count();
    assert_eq!(count("files.reserved"), UPLOADS);
    assert_eq!(count("files.processed"), UPLOADS);
    assert_eq!(names.last().map(String::as_str), Some("files.purged"), "in order, to the end");
}

async fn upload(api: &Api, text: &str) -> String {
    let deadline = Instant::now() + SOON;
    let grant: Value = loop {
        let answer = api.presign("a.txt", text.len()).await;
        // A keyspace that is just made takes a moment to be known everywhere.
        if answer.status == 201 {
            break answer.json();
        }
        assert!(answer.status == 503 && Instant::now() < deadline, "{:?}", answer.body);
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    api.put(&grant, text.to_owned()).await.expect(200);
    grant["file_id"].as_str().expect("an id").to_owned()
}
