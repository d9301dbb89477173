//! Loops that look after a part in the background, and that nobody waits for.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;

use crate::adapters::Ledger;
use crate::domain::ids::UserId;
use crate::ports::{Clock, LedgerPort};
use crate::telemetry::health::{Health, Part};

/// Such loops. They end with this value, at whatever they are: they hold nothing.
#[derive(Debug, Default)]
pub(super) struct Upkeep(JoinSet<()>);

impl Upkeep {
    /// Starts one.
    pub(super) fn start(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }
}

/// Between two looks at a ledger that answers, and at one that does not.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

/// Looks at a ledger on other machines now and then, so that readiness knows before a client does.
pub(super) async fn watch_ledger(ledger: Ledger, health: Health, clock: Clock) {
    let nobody = UserId::from_uuid(Uuid::nil());
    loop {
        let answer = timeout(ANSWER_WITHIN, ledger.load(nobody)).await;
        let answer = match answer {
            Ok(Err(error)) if error.is_outage() => Err(error.to_string()),
            // It answered: that one row cannot be read is no outage.
            Ok(_) => Ok(()),
            Err(_) => Err(format!("no answer within {ANSWER_WITHIN:?}")),
        };
        health.heard(Part::Ledger, &answer, clock.now());
        tokio::time::sleep(if answer.is_err() { LOOK_AGAIN } else { LOOK_EVERY }).await;
    }
}
