//! The main job with every engine real: CQL, NATS JetStream and SQS, on the servers that `scripts/servers env` names.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test stops where it is wrong, and tells")]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::serve::{Serve, Site, free_ports};
use support::servers::{SQS, named, new_name, server};
use support::{Api, SOON, wharfinger};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use wharfinger::adapters::aws::Secret;

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
