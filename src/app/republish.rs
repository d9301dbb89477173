//! `events republish`: ledger and log as the settings chose them, and nothing else started.

use super::data_dir::{NoAccess, is_there};
use super::ports::{Embedded, Site};
use super::start_error::StartError;
use super::translate;
use super::upkeep::Upkeep;
use crate::actors::{Republish, RepublishError, Republished, republish};
use crate::adapters::embedded::{EmbeddedStore, OpenError};
use crate::config::{Config, LedgerKind, LogKind};
use crate::ports::Clock;
use crate::telemetry::health::Health;

/// Why events were not published again.
#[derive(Debug, thiserror::Error)]
pub enum RepublishFailure {
    /// The service runs, and embedded data takes one process at a time.
    #[error("data_dir: {dir} is in use by {by}; stop the service first: embedded data takes one process at a time", dir = dir.display())]
    Running {
        /// The folder.
        dir: std::path::PathBuf,
        /// The process that holds it.
        by: String,
    },
    /// There is no embedded data yet.
    #[error("data_dir: there is no ledger in {dir}; name the folder by --data or --config", dir = .0.display())]
    NoData(std::path::PathBuf),
    /// Whether there is embedded data cannot be found out.
    #[error("data_dir: {0}")]
    NoAccess(#[from] NoAccess),
    /// The backends do not open.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It stopped on the way.
    #[error(transparent)]
    Stopped(#[from] RepublishError),
}

/// Publishes a range of a user's events again.
///
/// # Errors
/// See [`RepublishFailure`].
pub async fn events_republish(config: &Config, asked: Republish) -> Result<Republished, RepublishFailure> {
    let clock = Clock::System;
    let store = open(config, &clock)?;
    let embedded = Embedded { store: store.clone(), bucket: None };
    let site = Site { config, clock, health: Health::default(), embedded };
    let mut upkeep = Upkeep::default();
    let (ledger, log) = (site.ledger(&mut upkeep)?, site.log().await?);
    let done = republish(&ledger, &log, &translate::event_source(config), asked).await;
    if let Some(store) = store {
        store.close().await;
    }
    Ok(done?)
}

/// The embedded store of these settings, if ledger or log are in one.
pub(super) fn open(config: &Config, clock: &Clock) -> Result<Option<EmbeddedStore>, RepublishFailure> {
    if config.ledger.kind != LedgerKind::Embedded && config.log.kind != LogKind::Embedded {
        return Ok(None);
    }
    let dir = config.data_dir.join("store");
    if !is_there(&dir)? {
        return Err(RepublishFailure::NoData(config.data_dir.clone()));
    }
    match EmbeddedStore::open(&dir, clock.clone()) {
        Ok(store) => Ok(Some(store)),
        Err(OpenError::Held { dir, by }) => Err(RepublishFailure::Running { dir, by }),
        Err(error) => Err(StartError::from(error).into()),
    }
}
