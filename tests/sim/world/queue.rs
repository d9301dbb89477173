//! The queue: visibility, redelivery, dead letters.

use std::collections::BTreeMap;
use std::time::Duration;

use wharfinger::ports::{QueueDelivery, QueueError, Receipt, Stream};

use super::checks::millis;
use super::state::State;

/// A notification that was sent.
#[derive(Clone, Debug)]
struct Message {
    body: String,
    deliveries: u32,
    due: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct QueueState {
    messages: BTreeMap<u64, Message>,
    last: u64,
    pub(crate) dead: Vec<String>,
    pub(crate) visibility: Duration,
    pub(crate) deliveries_max: u32,
    /// Hands out in any order.
    pub(crate) shuffles: bool,
}

impl Default for QueueState {
    fn default() -> Self {
        Self {
            messages: BTreeMap::new(),
            last: 0,
            dead: Vec::new(),
            visibility: Duration::from_secs(30),
            deliveries_max: 10,
            shuffles: false,
        }
    }
}

impl State {
    pub(crate) fn send(&mut self, body: String) {
        self.queue.last += 1;
        let message = Message { body, deliveries: 0, due: self.now };
        self.queue.messages.insert(self.queue.last, message);
        self.bell(None).notify_waiters();
    }

    /// A foreign program sends what is no notification. It is kept in the end, by the DLQ or by the queue's own dead letters.
    pub(crate) fn send_poison(&mut self) {
        let body = format!("poison {}", self.history.poison.len());
        self.history.poison.push(body.clone());
        self.send(body);
        self.reached("poison sent");
    }

    /// I19: what is not understood is kept somewhere.
    pub(crate) fn check_poison(&mut self) {
        let kept = |state: &Self, body: &str| {
            let mut records =
                state.streams.get(&Stream::Dlq).into_iter().flat_map(|dlq| dlq.records.values());
            records.any(|record| record.payload == body.as_bytes())
                || state.queue.dead.iter().any(|dead| dead == body)
                || state.queue.messages.values().any(|message| message.body == body)
        };
        for body in self.history.poison.clone() {
            if !kept(self, &body) {
                self.broken(format_args!("I19: {body} is nowhere"));
            }
        }
    }

    /// Hands out what is due, and when the next comes due.
    pub(crate) fn receive(&mut self, max: usize) -> (Vec<QueueDelivery>, Option<Duration>) {
        let now = self.now;
        let mut due: Vec<u64> =
            self.queue.messages.iter().filter(|(_, message)| message.due <= now).map(|(at, _)| *at).collect();
        let mut deliveries = Vec::new();
        while !due.is_empty() && deliveries.len() < max.clamp(1, 10) {
            let place = if self.queue.shuffles { self.rng.place(due.len()) } else { 0 };
            let number = due.remove(place);
            let (visibility, most) = (millis(self.queue.visibility), self.queue.deliveries_max);
            let Some(message) = self.queue.messages.get_mut(&number) else { continue };
            if message.deliveries >= most {
                let dead = self.queue.messages.remove(&number);
                self.queue.dead.extend(dead.map(|message| message.body));
                continue;
            }
            message.deliveries += 1;
            message.due = now + visibility;
            deliveries.push(QueueDelivery {
                id: number.to_string(),
                body: message.body.clone(),
                receipt: Receipt(format!("{number}.{}", message.deliveries)),
                deliveries: message.deliveries,
            });
        }
        let next = self.queue.messages.values().map(|message| message.due.saturating_sub(now).max(1)).min();
        (deliveries, next.map(Duration::from_millis))
    }

    pub(crate) fn delete_messages(&mut self, receipts: &[Receipt]) {
        for (number, _) in receipts.iter().filter_map(parse) {
            if let Some(message) = self.queue.messages.remove(&number) {
                self.check_unneeded(&message.body);
            }
        }
    }

    pub(crate) fn extend(&mut self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        let (number, deliveries) =
            parse(receipt).ok_or_else(|| QueueError { reason: "not a receipt".to_owned() })?;
        let due = self.now + millis(visibility);
        if let Some(message) = self.queue.messages.get_mut(&number)
            && message.deliveries == deliveries
        {
            message.due = due;
        }
        self.bell(None).notify_waiters();
        Ok(())
    }
}

fn parse(receipt: &Receipt) -> Option<(u64, u32)> {
    let (number, deliveries) = receipt.0.split_once('.')?;
    Some((number.parse().ok()?, deliveries.parse().ok()?))
}
