//! The ledger on CQL: opened as the settings say, and tried by `config check`.

use std::time::Duration;

use tokio::time::timeout;
use uuid::Uuid;

use crate::adapters::Ledger;
use crate::adapters::scylla::{CqlSession, LazyScyllaLedger, MigrationState, Migrations};
use crate::app::StartError;
use crate::app::ports::Site;
use crate::app::upkeep::Upkeep;
use crate::config::Config;
use crate::domain::ids::UserId;
use crate::ports::{Clock, LedgerPort as _};
use crate::telemetry::health::{Health, Part};

/// Between two looks at a ledger that answers, and at one that does not.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

pub(in crate::app) fn ledger(site: &Site<'_>, upkeep: &mut Upkeep) -> Result<Ledger, StartError> {
    let ledger = Ledger::Scylla(LazyScyllaLedger::new(site.config.ledger.scylla.clone()));
    site.health.awaits(Part::Ledger, site.clock.now());
    upkeep.start(watch_ledger(ledger.clone(), site.health.clone(), site.clock.clone()));
    Ok(ledger)
}

pub(in crate::app) async fn check_ledger(config: &Config) -> Result<String, String> {
    let cql = CqlSession::connect(&config.ledger.scylla).await.map_err(|error| error.to_string())?;
    let status = Migrations::shipped().status(&cql).await.map_err(|error| error.to_string())?;
    let is_good = |state| matches!(state, MigrationState::Applied(_) | MigrationState::Newer(_));
    match status.iter().find(|migration| !is_good(migration.state)) {
        Some(migration) => Err(format!("{migration}; run `wharfinger schema apply`")),
        None => Ok("the tables are up to date".to_owned()),
    }
}

/// The identity of the ledger.
pub(in crate::app) async fn identity(config: &Config) -> Option<Uuid> {
    let ledger = Ledger::Scylla(LazyScyllaLedger::new(config.ledger.scylla.clone()));
    ledger.identity().await.ok()
}

/// Looks at a ledger on other machines now and then, so that readiness knows before a client does.
async fn watch_ledger(ledger: Ledger, health: Health, clock: Clock) {
    let nobody = UserId::from_uuid(Uuid::nil());
    loop {
        let answer = timeout(ANSWER_WITHIN, ledger.load(nobody)).await;
        let answer = match answer {
            Ok(Err(error)) if error.is_outage() => Err(error.to_string()),
            // It answered: that one row cannot be read is no outage.
            Ok(_) => Ok(()),
            Err(_) => Err(format!("no answer within {ANSWER_WITHIN:?}")),
        };
        health.record(Part::Ledger, &answer, clock.now());
        tokio::time::sleep(if answer.is_err() { LOOK_AGAIN } else { LOOK_EVERY }).await;
    }
}
