//! The end: everything is healed, everything settles, and then clients and the audit say what is true.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};
use wharfinger::domain::time::Timestamp;

use crate::nodes::{NODES, Nodes, Tokens};
use crate::support::Answer;
use crate::told::{Story, Told, Wish};
use crate::{links, servers};

/// How long all that landed may take to be processed, after everything is healed.
const PROCESSED_WITHIN: Duration = Duration::from_secs(180);
/// How long it may take until nothing disagrees.
const QUIET_WITHIN: Duration = Duration::from_secs(300);
/// How long what is under way may take, for the audit.
const GRACE_SECS: u64 = 15;
/// Longer than it takes to note what was published.
const BETWEEN_AUDITS: Duration = Duration::from_secs(10);
/// Requests at the same time.
const AT_ONCE: usize = 16;

/// What is true in the end.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Acknowledged presigns that nobody knows of any more.
    pub(crate) presigns_lost: Vec<String>,
    /// Acknowledged deletes whose file is there.
    pub(crate) deletes_lost: Vec<String>,
    /// Uploads that the bucket acknowledged and that are not processed.
    pub(crate) puts_lost: Vec<String>,
    /// Files in another status than the last acknowledged request left them.
    pub(crate) others: Vec<String>,
    /// Files that were processed only when the client asked again.
    pub(crate) late: usize,
    /// From the bucket's answer to the settlement.
    pub(crate) settle_times: Vec<Duration>,
    /// From the healing to the first audit without a disagreement.
    pub(crate) quiet_after: Option<Duration>,
    /// The last audit's sums, and its disagreements by kind.
    pub(crate) audit: Value,
    pub(crate) disagreements: BTreeMap<String, u64>,
}

/// Heals everything, waits, and judges.
pub(crate) async fn settle(nodes: &Nodes, told: &Told) -> Verdict {
    let healed = Instant::now();
    heal(nodes).await;
    let mut verdict = Verdict::default();
    let stories: Vec<(String, Story)> =
        told.stories().iter().map(|(file, story)| (file.clone(), story.clone())).collect();
    println!("chaos: healed; looking at {} files", stories.len());
    verdict.late = wait_for_the_landed(nodes.tokens(), &stories, healed).await;
    let seen = stream::iter(&stories)
        .map(|(file, story)| async move { (file, story, get(nodes.tokens(), file, story).await) });
    let seen: Vec<_> = seen.buffer_unordered(AT_ONCE).collect().await;
    for (file, story, answer) in seen {
        verdict.judge(file, story, &answer);
    }
    verdict.audit(nodes, healed).await;
    verdict
}

async fn heal(nodes: &Nodes) {
    links::heal_all().await;
    for server in ["nats-1", "nats-2", "nats-3", "cql-1", "cql-2", "cql-3", "sqs"] {
        servers::signal(server, "-CONT").await;
    }
    for kind in ["nats", "cql", "sqs"] {
        servers::up(kind).await;
    }
    restart(nodes).await;
}

/// A start sweeps at once.
async fn restart(nodes: &Nodes) {
    for index in 0..NODES {
        nodes.stop(index).await;
    }
    for index in (0..NODES).rev() {
        nodes.begin(index);
    }
    for index in 0..NODES {
        nodes.ready(index).await;
    }
}

async fn get(tokens: Tokens, file: &str, story: &Story) -> Answer {
    ask(tokens, story, ("GET", &format!("/v1/files/{file}")), "").await
}

/// Asks until there is an answer.
async fn ask(tokens: Tokens, story: &Story, (method, path): (&str, &str), body: &'static str) -> Answer {
    let deadline = Instant::now() + PROCESSED_WITHIN;
    let headers = [("content-type", "application/json")];
    for nth in 0_usize.. {
        let api = tokens.client(story.user, nth % 2);
        match api.try_send(method, path, &headers, body).await {
            Ok(answer) if !answer.status.is_server_error() && answer.status != 429 => return answer,
            other => assert!(Instant::now() < deadline, "{method} {path} is not answered: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    unreachable!("the loop ends by an answer or a panic")
}

/// Waits until everything that landed is processed; says complete of what is not in time, and returns how many.
async fn wait_for_the_landed(tokens: Tokens, stories: &[(String, Story)], healed: Instant) -> usize {
    let mut open: Vec<&(String, Story)> =
        stories.iter().filter(|(_, story)| story.landed.is_some()).collect();
    while !open.is_empty() && healed.elapsed() < PROCESSED_WITHIN {
        let looks = stream::iter(open).map(|one| async move { (one, get(tokens, &one.0, &one.1).await) });
        let looks: Vec<_> = looks.buffer_unordered(AT_ONCE).collect().await;
        let is_pending = |answer: &Answer| answer.status == 200 && answer.json()["status"] == "pending";
        open = looks.into_iter().filter(|(_, answer)| is_pending(answer)).map(|(one, _)| one).collect();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    for (file, story) in &open {
        println!("chaos: {file} has landed and is still pending; saying complete");
        ask(tokens, story, ("POST", &format!("/v1/files/{file}/complete")), "{}").await;
    }
    open.len()
}

impl Verdict {
    fn judge(&mut self, file: &str, story: &Story, answer: &Answer) {
        let seen =
            if answer.status == 200 { answer.json() } else { json!({"status": answer.status.as_u16()}) };
        let status = seen["status"].as_str().unwrap_or("gone").to_owned();
        let is_deleted = answer.status == 404;
        let line = format!("{file}: {:?}, sure: {}, but it is {status}", story.wish, story.is_sure);
        match (story.wish, story.is_sure) {
            (Wish::Deleted, true) if !is_deleted => self.deletes_lost.push(line),
            (Wish::Deleted, _) => {}
            _ if is_deleted => self.presigns_lost.push(line),
            _ if story.landed.is_none() => {}
            _ if status != "processed" && status != "trashed" => self.puts_lost.push(line),
            (Wish::Kept, true) if status == "trashed" => self.others.push(line),
            (Wish::Trashed, true) if status == "processed" => self.others.push(line),
            _ => {}
        }
        let processed_at = seen["processed_at"].as_str().and_then(|at| Timestamp::parse(at).ok());
        if let Some((processed_at, (_, landed_at))) = processed_at.zip(story.landed) {
            self.settle_times.push(processed_at.since(landed_at));
        }
    }

    /// Audits until nothing disagrees; now and then all start again, and sweep.
    async fn audit(&mut self, nodes: &Nodes, healed: Instant) {
        let began = Instant::now();
        for round in 1.. {
            let output = nodes.audit(GRACE_SECS).await;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let lines: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
            self.disagreements.clear();
            for told in lines.iter().map(|line| &line["disagreement"]).filter(|told| !told.is_null()) {
                *self.disagreements.entry(told["kind"].to_string()).or_default() += 1;
            }
            self.audit = lines.last().map(|line| line["summary"].clone()).unwrap_or_default();
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            println!(
                "chaos: audit {:?} {:?} {}",
                output.status.code(),
                self.disagreements,
                stderr.trim_end()
            );
            if output.status.success() {
                self.quiet_after = Some(healed.elapsed());
                return;
            }
            if began.elapsed() > QUIET_WITHIN {
                println!("{said}");
                return;
            }
            if round % 3 == 0 {
                restart(nodes).await;
            }
            tokio::time::sleep(BETWEEN_AUDITS).await;
        }
    }
}
