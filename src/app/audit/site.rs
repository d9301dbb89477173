//! The ports of a deployment, opened for reading.

use std::time::Duration;

use super::super::descriptors::Descriptors;
use super::super::ports::{Embedded, Site};
use super::super::start_error::StartError;
use super::super::upkeep::Upkeep;
use super::auditor::{AuditOptions, Auditor, Summary, Tell};
use super::reader::{AuditError, World};
use crate::config::{Config, LedgerKind, LogKind, ManageStreams};
use crate::domain::ids::UserId;
use crate::ports::Clock;
use crate::telemetry::health::Health;

/// Reads a second of a deployment that others use.
const READS_PER_SEC: u32 = 500;
/// How long NATS may be silent before it is believed to have no more.
const QUIET: Duration = Duration::from_secs(3);

/// Audits the deployment of these settings, all of it or one user; `tell` gets each disagreement.
///
/// Nothing is written, but an embedded folder is opened, which clears what a crash left half done; a process that
/// uses it refuses to share it.
///
/// # Errors
/// See [`AuditError`].
pub async fn audit(
    config: &Config,
    (user, grace): (Option<UserId>, Duration),
    tell: &mut Tell<'_>,
) -> Result<Summary, AuditError> {
    let mut config = config.clone();
    if config.log.nats.manage_streams == ManageStreams::Create {
        config.log.nats.manage_streams = ManageStreams::Check;
    }
    let options = AuditOptions {
        user,
        grace,
        deep_every: Duration::from_secs(config.sweep.deep_every_secs),
        trash_retention: Duration::from_secs(config.sweep.trash_days * 24 * 3600),
        quiet: if config.log.kind == LogKind::Embedded { Duration::ZERO } else { QUIET },
        reads_per_sec: (config.ledger.kind != LedgerKind::Embedded).then_some(READS_PER_SEC),
        entries_kept: (config.ledger.kind != LedgerKind::Embedded)
            .then(|| config.ledger.scylla.history())
            .filter(|history| !history.is_zero()),
    };
    let mut upkeep = Upkeep::default();
    let world = open(&config, &mut upkeep).await.map_err(|error| AuditError::NotOpened(error.to_string()))?;
    Auditor::new(world, options).run(tell).await
}

async fn open(config: &Config, upkeep: &mut Upkeep) -> Result<World, StartError> {
    let clock = Clock::System;
    let embedded = Embedded::open(config, Descriptors::claim(), &clock)?;
    let site = Site { config, clock: clock.clone(), health: Health::default(), embedded };
    Ok(World {
        ledger: site.ledger(upkeep),
        log: site.log().await?,
        objects: site.objects(upkeep).await?,
        clock,
    })
}
