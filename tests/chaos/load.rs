//! The load: clients that upload, look, trash, restore and delete, each request tried again as a good client would.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use uuid::Uuid;
use wharfinger::ports::Clock;

use crate::dice::Dice;
use crate::nodes::Tokens;
use crate::support::{Answer, Api};
use crate::told::{Story, Told, Wish, count};

const CLIENTS: u64 = 24;
const USERS: u64 = 32;
/// How long a client waits for one answer; longer than the service waits for its own parts.
const ANSWER_WITHIN: Duration = Duration::from_secs(9);
/// Tries of one request.
const TRIES: u32 = 6;
/// How old a file is before its owner looks at it, and before the owner says that it is complete.
const LOOKS_AFTER: Duration = Duration::from_secs(2);
const COMPLETES_AFTER: Duration = Duration::from_secs(20);

/// How fast clients may go, all together.
pub(crate) struct Pace(Option<Mutex<Interval>>);

impl Pace {
    pub(crate) const fn unlimited() -> Self {
        Self(None)
    }

    /// So many acknowledged operations a second, about: a turn of a client has two.
    pub(crate) fn per_second(operations: u64) -> Self {
        let mut ticks = interval(Duration::from_secs(2) / u32::try_from(operations).expect("few"));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self(Some(Mutex::new(ticks)))
    }

    async fn turn(&self) {
        if let Some(ticks) = &self.0 {
            ticks.lock().await.tick().await;
        }
    }
}

/// All clients.
pub(crate) struct Load {
    pub(crate) told: Arc<Told>,
    tokens: Tokens,
    seed: u64,
    runs: AtomicU64,
}

/// One of them.
struct Client {
    told: Arc<Told>,
    /// By node, by user.
    apis: Vec<Vec<Api>>,
    dice: Dice,
}

impl Load {
    pub(crate) fn new(seed: u64, tokens: Tokens) -> Self {
        Self { told: Arc::new(Told::default()), tokens, seed, runs: AtomicU64::new(0) }
    }

    /// Runs all clients until then; what is under way is finished.
    pub(crate) async fn run(&self, pace: Pace, until: Instant) {
        let (pace, run) = (Arc::new(pace), self.runs.fetch_add(1, Ordering::Relaxed) + 1);
        let users = usize::try_from(USERS).expect("few");
        let apis: Vec<Vec<Api>> =
            (0..2).map(|node| (0..users).map(|user| self.tokens.client(user, node)).collect()).collect();
        let mut clients = JoinSet::new();
        for nth in 0..CLIENTS {
            let dice = Dice::new(self.seed, run * 1000 + nth);
            let mut client = Client { told: Arc::clone(&self.told), apis: apis.clone(), dice };
            let pace = Arc::clone(&pace);
            clients.spawn(async move {
                while Instant::now() < until {
                    pace.turn().await;
                    client.turn().await;
                }
            });
        }
        clients.join_all().await;
    }
}

impl Client {
    async fn turn(&mut self) {
        if self.dice.percent(50) {
            self.upload().await;
        } else if let Some((file, story)) = self.some_file() {
            self.look_at(&file, story).await;
            self.told.edit(&file, |story| story.is_busy = false);
        } else {
            self.upload().await;
        }
    }

    async fn upload(&mut self) {
        // Some users are busier than others.
        let most = if self.dice.percent(50) { USERS / 4 } else { USERS };
        let user = usize::try_from(self.dice.between(0, most)).expect("few");
        let size = usize::try_from(self.dice.between(1, 6000)).expect("few");
        let key = Uuid::from_u64_pair(self.dice.next(), self.dice.next()).to_string();
        let body = json!({"filename": "a.txt", "size_bytes": size, "content_type": "text/plain"}).to_string();
        let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
        let Some(grant) = self.ask(user, ("POST", "/v1/files"), &headers, &body).await else { return };
        if grant.status == 409 {
            count(&self.told.refused_for_quota);
            return;
        }
        if grant.status != 201 && grant.status != 200 {
            let said = String::from_utf8_lossy(&grant.body).into_owned();
            self.told.violation(format!("a presign was answered {}: {said}", grant.status));
            return;
        }
        let grant = grant.json();
        let file = grant["file_id"].as_str().expect("an id").to_owned();
        self.told.presigned(user, &file);
        if self.dice.percent(10) {
            self.repeat(user, &file, &headers, &body).await;
        }
        // Some are never used: their bytes stay set aside.
        if self.dice.percent(98) {
            self.put(&file, &grant, size).await;
        }
        self.told.edit(&file, |story| story.is_busy = false);
    }

    /// The same request again is the same file.
    async fn repeat(&mut self, user: usize, file: &str, headers: &[(&str, &str)], body: &str) {
        let Some(again) = self.ask(user, ("POST", "/v1/files"), headers, body).await else { return };
        count(&self.told.repeats);
        let same = again.status.is_success().then(|| again.json()["file_id"].as_str() == Some(file));
        if same != Some(true) {
            let said = String::from_utf8_lossy(&again.body).into_owned();
            self.told.violation(format!(
                "the repeat of the presign of {file} was answered {}: {said}",
                again.status
            ));
        }
    }

    async fn put(&mut self, file: &str, grant: &Value, size: usize) {
        let api = Api::nobody();
        for nth in 0..TRIES {
            let bytes = vec![b'x'; size];
            match timeout(ANSWER_WITHIN, api.try_put(grant, bytes)).await {
                // There already: an earlier try that was not answered.
                Ok(Ok(answer)) if answer.status == 200 || (nth > 0 && answer.status == 412) => {
                    count(&self.told.puts);
                    let now = (Instant::now(), Clock::System.now());
                    self.told.edit(file, |story| story.landed = Some(now));
                    return;
                }
                Ok(Ok(answer)) if [403, 404, 405, 411, 412, 413].contains(&answer.status.as_u16()) => {
                    let said = String::from_utf8_lossy(&answer.body).into_owned();
                    self.told.violation(format!(
                        "the bucket answered a PUT of {file} with {}: {said}",
                        answer.status
                    ));
                    return;
                }
                Ok(_) | Err(_) => self.pause(nth).await,
            }
        }
        count(&self.told.given_up);
    }

    /// A file that has landed a while ago and that nobody is at; it is this client's now.
    fn some_file(&mut self) -> Option<(String, Story)> {
        let mut stories = self.told.stories();
        let is_free = |story: &Story| {
            let is_old = story.landed.is_some_and(|(at, _)| at.elapsed() > LOOKS_AFTER);
            is_old && !story.is_busy && story.wish != Wish::Deleted
        };
        // From a random id on: files sort by the time of their making, so old ones and new ones come.
        let all: Vec<&String> =
            stories.iter().filter(|(_, story)| is_free(story)).map(|(file, _)| file).collect();
        if all.is_empty() {
            return None;
        }
        let file = (*self.dice.pick(&all)).clone();
        let story = stories.get_mut(&file)?;
        story.is_busy = true;
        Some((file.clone(), story.clone()))
    }

    async fn look_at(&mut self, file: &str, story: Story) {
        let path = format!("/v1/files/{file}");
        let Some(seen) = self.ask(story.user, ("GET", &path), &[], "").await else { return };
        let status = if seen.status == 200 { seen.json()["status"].clone() } else { Value::Null };
        let age = story.landed.map(|(at, _)| at.elapsed()).unwrap_or_default();
        let dice = self.dice.between(0, 100);
        match status.as_str() {
            Some("processed") if dice < 45 => self.change(file, Wish::Deleted, story.user).await,
            Some("processed") if dice < 75 => self.change(file, Wish::Trashed, story.user).await,
            Some("trashed") if dice < 60 => self.change(file, Wish::Kept, story.user).await,
            Some("trashed") => self.change(file, Wish::Deleted, story.user).await,
            Some("pending") if age > COMPLETES_AFTER => {
                let headers = [("content-type", "application/json")];
                self.ask(story.user, ("POST", &format!("{path}/complete")), &headers, "{}").await;
            }
            Some("processed" | "pending") => {}
            Some(_) | None => self.told.violation(format!("{file} was shown as {} {status}", seen.status)),
        }
    }

    async fn change(&mut self, file: &str, wish: Wish, user: usize) {
        self.told.edit(file, |story| (story.wish, story.is_sure) = (wish, false));
        let path = format!("/v1/files/{file}");
        let told = Arc::clone(&self.told);
        let (method, path, counter) = match wish {
            Wish::Deleted => ("DELETE", format!("{path}?permanent=true"), &told.deletes),
            Wish::Trashed => ("DELETE", path, &told.trashes),
            Wish::Kept => ("POST", format!("{path}/restore"), &told.restores),
        };
        let Some(answer) = self.ask(user, (method, &path), &[], "").await else { return };
        // Not found: an earlier try that was not answered deleted it.
        if answer.status.is_success() || (wish == Wish::Deleted && answer.status == 404) {
            count(counter);
            self.told.edit(file, |story| story.is_sure = true);
        } else {
            let said = String::from_utf8_lossy(&answer.body).into_owned();
            self.told.violation(format!("{method} {path} was answered {}: {said}", answer.status));
        }
    }

    /// Asks one node after the other until one answers; none: nobody did.
    async fn ask(
        &mut self,
        user: usize,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Answer> {
        let first = usize::from(self.dice.percent(50));
        for nth in 0..TRIES {
            let node = (first + usize::try_from(nth).expect("few")) % 2;
            let api = &self.apis[node][user];
            let answer = timeout(ANSWER_WITHIN, api.try_send(method, path, headers, body.to_owned())).await;
            match answer {
                Ok(Ok(answer)) if !answer.status.is_server_error() && answer.status != 429 => {
                    return Some(answer);
                }
                Ok(_) | Err(_) => {}
            }
            count(&self.told.failed_tries);
            self.pause(nth).await;
        }
        count(&self.told.given_up);
        None
    }

    async fn pause(&mut self, nth: u32) {
        let most = 200 << nth;
        tokio::time::sleep(Duration::from_millis(self.dice.between(most / 2, most))).await;
    }
}
