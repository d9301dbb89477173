//! The real servers, known by the pid files of `scripts/servers`.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Where the servers listen, past the bad links.
const NATS: [&str; 3] = ["nats://127.0.0.1:4221", "nats://127.0.0.1:4222", "nats://127.0.0.1:4223"];
/// How long deleting a stream may take.
const DELETED_WITHIN: Duration = Duration::from_secs(30);
/// How long a server may take to be back.
const BACK_WITHIN: Duration = Duration::from_secs(240);

#[expect(clippy::disallowed_methods, reason = "where servers are is no setting of the product")]
fn folder() -> PathBuf {
    PathBuf::from(std::env::var("WHARFDEV_SERVERS_DIR").expect("scripts/chaos says where the servers are"))
}

/// The process of a server, as `scripts/servers` noted it.
fn pid(node: &str) -> Option<u32> {
    let text = std::fs::read_to_string(folder().join("run").join(format!("{node}.pid"))).ok()?;
    text.trim().parse().ok()
}

/// Sends a signal to a server.
pub(crate) async fn signal(node: &str, signal: &str) {
    if let Some(pid) = pid(node) {
        send(pid, signal).await;
    }
}

/// Sends a signal to a process that we started.
pub(crate) async fn send(pid: u32, signal: &str) {
    let mut kill = Command::new("kill");
    kill.args([signal, &pid.to_string()]).stderr(Stdio::null());
    output_of(kill).await;
}

/// Starts what is down, and waits until all nodes of a kind are ready. Tries again until it is so.
pub(crate) async fn up(kind: &str) {
    let began = Instant::now();
    loop {
        let mut up = Command::new("scripts/servers");
        up.args(["up", "cluster", kind]);
        let up = output_of(up).await;
        if up.status.success() {
            return;
        }
        let said = String::from_utf8_lossy(&up.stderr).into_owned();
        assert!(began.elapsed() < BACK_WITHIN, "{kind} does not come back: {said}");
        println!("chaos: {kind} is not back yet: {}", said.lines().last().unwrap_or_default());
    }
}

/// Deletes a stream while a plain subscriber listens to all subjects, and goes on listening for so long. Publishers then
/// get no "no responders": only a look at the stream tells that it is gone.
pub(crate) async fn delete_stream_under_a_listener(name: &str, listens: Duration) {
    let deleted = tokio::time::timeout(DELETED_WITHIN, async {
        let client = async_nats::connect(&NATS[..]).await?;
        let listener = client.subscribe("wharf.>").await?;
        client.flush().await?;
        let answer = client.request(format!("$JS.API.STREAM.DELETE.{name}"), "".into()).await?;
        println!("chaos: deleted {name}: {}", String::from_utf8_lossy(&answer.payload));
        Ok::<_, async_nats::Error>((client, listener))
    });
    match deleted.await {
        Ok(Ok(_listening)) => tokio::time::sleep(listens).await,
        Ok(Err(error)) => println!("chaos: {name} was not deleted: {error}"),
        Err(_) => println!("chaos: {name} was not deleted in time"),
    }
}

/// Runs a command to its end, beside everything else.
pub(crate) async fn output_of(mut command: Command) -> Output {
    let ran = tokio::task::spawn_blocking(move || command.output()).await;
    ran.expect("it does not panic").expect("the command is there")
}
