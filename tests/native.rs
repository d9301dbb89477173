//! The main job with every engine real: CQL, NATS JetStream and SQS, on the servers that `scripts/servers env` names.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test stops where it is wrong, and tells")]

mod support;
#[path = "support/columns.rs"]
mod columns;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use columns::COLUMNS;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::batch::{Batch, BatchType};
use serde_json::{Value, json};
use support::serve::{Serve, Site, free_ports};
use support::servers::{SQS, named, new_name, server};
use support::{Api, SOON, wharfinger};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use uuid::Uuid;
use wharfinger::adapters::aws::Secret;
use wharfinger::domain::ids::UserId;
use wharfinger::ports::Clock;

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

/// Lets a port of this machine through to a server, from now on.
async fn open_the_way(port: u16, server: String) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is still free");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let server = server.clone();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(server).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_cql_is_told_and_gets_ready_by_itself() {
    let Some(cql) = named("WHARFDEV_TEST_CQL") else { return };
    if cql.contains(',') {
        return; // the nodes of a cluster tell the driver where the others are
    }
    let (keyspace, [port, ..]) = (new_name().replace('-', "_"), free_ports());
    let on = |node: &str| {
        Site::new(&format!(
            "[ledger]\nkind = \"scylla\"\n[ledger.scylla]\nnodes = [{node:?}]\nkeyspace = {keyspace:?}\n"
        ))
    };
    must(&on(&cql), &["schema", "apply"]);
    let serve = on(&format!("127.0.0.1:{port}")).serve().await;
    serve.wait_for_part("[-] ledger down").await;
    open_the_way(port, cql).await;
    serve.wait_for_part("[+] ledger up").await;
}

/// Rows of nulls: together more tombstones than a server with default thresholds walks over for one read.
const NULL_ROWS: u64 = 3_900;
/// Rows of one batch.
const BATCH: u64 = 100;

/// A session that may do what the product does not, and the name of its table.
async fn session(cql: &str, keyspace: &str) -> Session {
    let builder = SessionBuilder::new().known_nodes(cql.split(',')).use_keyspace(keyspace, false);
    builder.build().await.expect("the servers answer")
}

/// Fills a user's partition with deleted rows, a millisecond apart and newer than every file: what a year of creating and
/// deleting leaves.
async fn fill_with_tombstones(session: &Session, user: UserId) {
    let nulls: Vec<String> = COLUMNS.iter().map(|column| format!("{column} = null")).collect();
    let text = format!(
        "UPDATE user_ledger SET {} WHERE user_id = ? AND kind = 0 AND seq = 0 AND file_id = ?",
        nulls.join(", ")
    );
    let statement = session.prepare(text).await.expect("prepare");
    let now_ms = Clock::System.now().as_millis();
    for first in (0..NULL_ROWS).step_by(usize::try_from(BATCH).expect("small")) {
        // The lower bits of an id that the product makes are random: none of these is one of a file.
        let ids = (first..first + BATCH)
            .map(|nth| Uuid::from_u128((u128::from(now_ms + nth) << 80) | (7 << 76) | (2 << 62)));
        let values: Vec<(Uuid, Uuid)> = ids.map(|id| (user.uuid(), id)).collect();
        let mut batch = Batch::new(BatchType::Unlogged);
        values.iter().for_each(|_| batch.append_statement(statement.clone()));
        session.batch(&batch, values).await.expect("written");
    }
}

/// Sees that a server refuses a read that walks over what is deleted; without that the test says nothing.
async fn is_unreadable_in_one_walk(session: &Session, user: UserId) {
    let text = "SELECT * FROM user_ledger WHERE user_id = ? AND kind = 0 LIMIT 1";
    let is_scylla = session.get_cluster_state().get_nodes_info().iter().any(|node| node.sharder().is_some());
    let found = session.query_unpaged(text, (user.uuid(),)).await;
    assert!(is_scylla || found.is_err(), "the server walks over {NULL_ROWS} rows of nulls");
}

// proves: I10 I12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_laden_with_tombstones_is_served_swept_and_audited_like_any_other() {
    let Some(cql) = named("WHARFDEV_TEST_CQL") else { return };
    let (name, keyspace) = (new_name(), new_name().replace('-', "_"));
    let nodes: Vec<String> = cql.split(',').map(|node| format!("{node:?}")).collect();
    let site = Site::new(&format!(
        "[ledger]\nkind = \"scylla\"\n[ledger.scylla]\nnodes = [{}]\nkeyspace = {keyspace:?}\n",
        nodes.join(", ")
    ));
    must(&site, &["schema", "apply"]);
    let serve = site.serve().await;
    serve.wait_for_part("[+] ledger up").await;
    let (laden, other) = (serve.user(&name), serve.user("other"));
    let mut files = vec![upload(&laden, "first").await, upload(&laden, "second").await];
    let foreign = upload(&other, "other").await;
    for file in &files {
        laden.wait_for_status(file, "processed").await;
    }
    other.wait_for_status(&foreign, "processed").await;
    let session = session(&cql, &keyspace).await;
    let user = UserId::from_subject("test", &name).expect("a subject");
    fill_with_tombstones(&session, user).await;
    is_unreadable_in_one_walk(&session, user).await;
    // Nothing of the account is in memory, and the sweep at the start meets it.
    assert_eq!(serve.terminate().await, Some(0));

    let serve = site.serve().await;
    serve.wait_for_part("[+] ledger up").await;
    let (laden, other) = (serve.user(&name), serve.user("other"));
    let begun = Instant::now();
    files.push(upload(&laden, "third").await);
    laden.wait_for_status(&files[2], "processed").await;
    let listed = laden.get("/v1/files?size=10").await.expect(200).json();
    let ids: Vec<&str> = listed["items"]
        .as_array()
        .expect("files")
        .iter()
        .map(|file| file["file_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, files.iter().rev().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(laden.usage().await["file_count"], 3);
    laden.delete(&format!("/v1/files/{}?permanent=true", files[0])).await.expect(204);
    assert_eq!(other.usage().await["file_count"], 1);
    eprintln!("an upload, a list, a delete behind {NULL_ROWS} rows of nulls: {:?}", begun.elapsed());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());

    // Both passes have ended, and none failed.
    for pass in ["due", "deep"] {
        let ended = format!("wharf_sweep_seconds_count{{pass=\"{pass}\"}} ");
        serve.wait_for_metric(&ended, |count| count > 0.0).await;
    }
    serve.wait_for_metric("wharf_sweep_unreadable_accounts ", |count| count == 0.0).await;
    let failures = serve.metrics().await;
    let failed = failures
        .lines()
        .find(|line| line.starts_with("wharf_sweep_failures_total{") && !line.ends_with(" 0"));
    assert_eq!(failed, None);
    must(&site, &["audit"]);
}

/// What the head of the example tells to do, in order.
fn told(example: &str) -> Vec<&str> {
    let lines = example.lines().take_while(|line| line.starts_with('#'));
    lines.filter_map(|line| line.strip_prefix("#   ")).collect()
}

/// A line of a shell in a folder, where `wharfinger` is ours.
fn shell(folder: &Path, line: &str) -> Command {
    let ours = wharfinger();
    let bin = Path::new(ours.get_program()).parent().expect("a folder");
    let mut command = Command::new("sh");
    // Settings of this machine's own are left out, as `wharfinger` leaves them.
    for (name, _) in ours.get_envs().filter(|(_, value)| value.is_none()) {
        command.env_remove(name);
    }
    // What runs on is the process itself, not a shell before it.
    let exec = if line.starts_with("wharfinger ") { "exec " } else { "" };
    command.arg("-ec").arg(format!("PATH={bin:?}:$PATH; {exec}{line}")).current_dir(folder);
    command
}

fn run(mut command: Command) -> String {
    let output = command.output().expect("a shell");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[tokio::test]
async fn the_example_works_for_who_does_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let example = include_str!("../examples/native.toml");
    std::fs::create_dir(folder.path().join("examples")).unwrap();
    std::fs::write(folder.path().join("examples/native.toml"), example).unwrap();
    let told = told(example);
    let at = |start: &str| told.iter().position(|line| line.starts_with(start)).expect(start);
    let (setup, serve, mint) = (at("wharfinger aws setup"), at("wharfinger serve"), at("wharfinger token"));
    for line in &told[..setup] {
        run(shell(folder.path(), line));
    }
    Secret::read(&folder.path().join("target/native/queue.secret")).expect("a text");
    let token = run(shell(folder.path(), told[mint]));

    let (Some(sqs), Some(cql), Some(nats)) =
        (server(SQS), named("WHARFDEV_TEST_CQL"), named("WHARFDEV_TEST_NATS"))
    else {
        return;
    };
    let (name, [api, admin, s3]) = (new_name(), free_ports());
    let elsewhere = |line: &str| {
        let mut command = shell(folder.path(), line);
        command.env("WHARF_LEDGER__SCYLLA__NODES", &cql).env("WHARF_LOG__NATS__URLS", &nats);
        command.env("WHARF_LEDGER__SCYLLA__KEYSPACE", name.replace('-', "_"));
        command.env("WHARF_QUEUE__ENDPOINT", &sqs.url).env("WHARF_QUEUE__NAME", &name);
        for (part, port) in [("HTTP", api), ("ADMIN", admin), ("S3", s3)] {
            command.env(format!("WHARF_{part}__LISTEN"), format!("127.0.0.1:{port}"));
        }
        command
    };
    for line in &told[setup..serve] {
        run(elsewhere(line));
    }
    let serve = Serve::start(elsewhere(told[serve]), [api, admin]).await;
    serve.wait_for_part("[+] ledger up").await;
    let usage = serve.with_token(&token).usage().await;
    assert_eq!(usage["used_bytes"], 0);
}
