//! Fetches messages of a pull consumer, one bounded request at a time.
//!
//! A request asks the server to wait for the first message, send what there is, and end. So nothing is sent
//! that nobody waits for, and a message does not age in a buffer of ours while its acknowledgement is awaited.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Request, StatusCode, Subscriber};
use futures_util::StreamExt;
use serde_json::json;
use tokio::time::{Instant, timeout, timeout_at};

use super::connect::REPLY_WITHIN;
use super::declare::nanos;
use super::link::{Link, failed};
use crate::ports::{LogError, Stream};

/// How long the server keeps one request.
const EXPIRES: Duration = Duration::from_secs(5);
/// The shortest a request may live; without any, old servers may not answer at all.
const EXPIRES_MIN: Duration = Duration::from_millis(10);
/// What is asked for in the last moments of a call.
const EXPIRES_SHORTEST: Duration = Duration::from_millis(1);
/// How often the server says that it still keeps a request.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long after the last sign of life a request is given up.
const SILENCE_MAX: Duration = Duration::from_millis(2_500);
/// How long after the end of a request its answer may still come.
const GRACE: Duration = Duration::from_secs(1);
/// How long the rest of a batch may take after a message of it.
const LINGER: Duration = Duration::from_millis(25);
/// A status by which servers say "not now, and not this request": its words decide.
const CONFLICT: u16 = 409;

/// Why a request brought nothing and will not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The consumer is not there, or nobody leads it at the moment.
    Gone,
    /// No sign of life from the server.
    Silent,
    /// The server does not serve such a request.
    Refused(LogError),
}

/// Fetches messages of one consumer.
pub(super) struct Puller {
    link: Arc<Link>,
    next_subject: String,
    /// What came and was not asked for again since.
    taken: VecDeque<Message>,
    inbox: Option<Inbox>,
    /// How old `taken` may become before the server redelivers it to another consumer.
    keep: Duration,
    touched: Instant,
}

/// The inbox of the answers.
struct Inbox {
    subject: String,
    subscriber: Subscriber,
    requests: u64,
    open: Option<Open>,
}

/// A request that the server keeps.
struct Open {
    reply: String,
    ends: Instant,
    last_message_at: Instant,
    has_heartbeat: bool,
    /// Messages that it still asks for; at none the server ends it without a word.
    left: usize,
}

/// What a message means to the request.
enum News {
    Taken,
    Alive,
    /// Nothing more for this call; the request may stay open, and the next call goes on with it.
    Enough,
    Ended,
    Lost(Lost),
}

impl Puller {
    pub(super) fn new(link: Arc<Link>, stream: Stream, consumer: &str, keep: Duration) -> Self {
        let next_subject = format!("CONSUMER.MSG.NEXT.{}.{consumer}", stream.name());
        Self { link, next_subject, taken: VecDeque::new(), inbox: None, keep, touched: Instant::now() }
    }

    /// Forgets everything. What was on its way is delivered again, if the consumer acknowledges.
    pub(super) fn reset(&mut self) {
        self.taken.clear();
        self.inbox = None;
    }

    /// Up to `max` messages; waits until `until` for the first. Cancelling it keeps what came.
    pub(super) async fn pull(&mut self, max: usize, until: Instant) -> Result<Vec<Message>, Lost> {
        let is_stale = self.touched.elapsed() > self.keep;
        if is_stale && (self.open().is_some() || !self.taken.is_empty()) {
            self.reset();
        }
        self.touched = Instant::now();
        let outcome = self.fill(max, until.max(self.touched + EXPIRES_MIN)).await;
        self.touched = Instant::now();
        if self.taken.is_empty() {
            outcome?;
        }
        Ok(self.taken.drain(..self.taken.len().min(max)).collect())
    }

    async fn fill(&mut self, max: usize, until: Instant) -> Result<(), Lost> {
        while self.taken.len() < max {
            if self.open().is_none() {
                if !self.taken.is_empty() {
                    return Ok(());
                }
                self.request(max, until).await?;
            }
            match self.news(until).await {
                News::Taken | News::Alive => {}
                News::Enough => return Ok(()),
                News::Ended => {
                    self.close();
                    if Instant::now() >= until {
                        return Ok(());
                    }
                }
                News::Lost(lost) => {
                    self.close();
                    return Err(lost);
                }
            }
        }
        Ok(())
    }

    fn open(&self) -> Option<&Open> {
        self.inbox.as_ref().and_then(|inbox| inbox.open.as_ref())
    }

    fn close(&mut self) {
        if let Some(inbox) = &mut self.inbox {
            inbox.open = None;
        }
    }

    /// Waits for the next message, as long as there is reason to.
    async fn news(&mut self, until: Instant) -> News {
        let has_taken = !self.taken.is_empty();
        let Some(inbox) = &mut self.inbox else { return News::Lost(Lost::Silent) };
        let Some(open) = &mut inbox.open else { return News::Ended };
        let due = open.due();
        let wait_until = match (has_taken, open.ends > until) {
            (true, _) => Instant::now() + LINGER,
            (false, true) => until.min(due),
            (false, false) => due,
        };
        match timeout_at(wait_until, inbox.subscriber.next()).await {
            Ok(Some(message)) => {
                open.last_message_at = Instant::now();
                match message.status {
                    None | Some(StatusCode::OK) => {
                        self.taken.push_back(message);
                        open.left = open.left.saturating_sub(1);
                        if open.left == 0 { News::Ended } else { News::Taken }
                    }
                    Some(status) => open.read_status(status, &message),
                }
            }
            Err(_) if has_taken || Instant::now() < due => News::Enough,
            Ok(None) | Err(_) => {
                self.inbox = None;
                News::Lost(Lost::Silent)
            }
        }
    }

    async fn request(&mut self, max: usize, until: Instant) -> Result<(), Lost> {
        let refused = |error: &dyn std::fmt::Display| Lost::Refused(failed(error));
        if self.inbox.is_none() {
            self.inbox = Some(Inbox::subscribe(&self.link).await.map_err(|error| refused(&error))?);
        }
        let Some(inbox) = &mut self.inbox else { return Err(Lost::Silent) };
        let now = Instant::now();
        let expires = until.saturating_duration_since(now).clamp(EXPIRES_SHORTEST, EXPIRES);
        let has_heartbeat = expires >= HEARTBEAT * 2;
        let mut body = json!({"batch": max, "expires": nanos(expires), "no_wait": true});
        if has_heartbeat {
            body["idle_heartbeat"] = nanos(HEARTBEAT).into();
        }
        inbox.requests += 1;
        let reply = format!("{}.{}", inbox.subject, inbox.requests);
        let request = Request::new().payload(body.to_string().into()).inbox(reply.clone());
        let sent =
            timeout(REPLY_WITHIN, self.link.jetstream.send_request(self.next_subject.clone(), request));
        match sent.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(refused(&error)),
            Err(_) => return Err(Lost::Silent),
        }
        inbox.open = Some(Open {
            reply,
            ends: (now + expires).min(until),
            last_message_at: now,
            has_heartbeat,
            left: max,
        });
        Ok(())
    }
}

impl Inbox {
    async fn subscribe(link: &Link) -> Result<Self, LogError> {
        let subject = link.client.new_inbox();
        let asked = timeout(REPLY_WITHIN, link.client.subscribe(format!("{subject}.*"))).await;
        let subscriber = asked.map_err(failed)?.map_err(failed)?;
        Ok(Self { subject, subscriber, requests: 0, open: None })
    }
}

impl Open {
    /// Until when a sign of life is to be expected.
    fn due(&self) -> Instant {
        let ends = self.ends + GRACE;
        if self.has_heartbeat { ends.min(self.last_message_at + SILENCE_MAX) } else { ends }
    }

    fn read_status(&self, status: StatusCode, message: &Message) -> News {
        let is_ours = message.subject.as_str() == self.reply;
        let words = message.description.as_deref().unwrap_or_default();
        match status {
            StatusCode::IDLE_HEARTBEAT => News::Alive,
            // The end of an older request says nothing about this one.
            _ if !is_ours => News::Alive,
            StatusCode::NOT_FOUND | StatusCode::TIMEOUT => News::Ended,
            StatusCode::NO_RESPONDERS => News::Lost(Lost::Gone),
            _ if status.as_u16() == CONFLICT => read_conflict(words),
            _ => News::Lost(Lost::Refused(failed(format_args!("{status} {words}")))),
        }
    }
}

fn read_conflict(words: &str) -> News {
    match words {
        "Batch Completed" => News::Ended,
        "Consumer Deleted" | "Leadership Change" | "Server Shutdown" => News::Lost(Lost::Gone),
        _ => News::Lost(Lost::Refused(failed(words))),
    }
}
