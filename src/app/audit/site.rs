//! The ports of a deployment, opened for reading.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use super::super::bucket_stamp::BucketStamp;
use super::super::data_dir::is_there;
use super::super::descriptors::Descriptors;
use super::super::ports::{Embedded, Site};
use super::super::start_error::StartError;
use super::super::upkeep::Upkeep;
use super::auditor::{AuditOptions, AuditSummary, Auditor};
use super::finding::Finding;
use super::operator::{self, AuditRequest};
use super::reader::{AuditError, Deployment};
use crate::adapters::embedded::OpenError;
use crate::adapters::embedded::bucket;
use crate::config::{BucketKind, Config, LedgerKind, LogKind, ManageStreams};
use crate::ports::Clock;
use crate::telemetry::health::Health;

/// Reads a second of a deployment that others use.
const READS_PER_SEC: u32 = 500;
/// How long NATS may be silent before it is believed to have no more.
const QUIET: Duration = Duration::from_secs(3);

/// Takes each finding as a line; what it refuses ends the audit.
pub(super) type ReportLineFn<'a> = dyn FnMut(&str) -> Result<(), String> + Send + 'a;

/// Audits the deployment of these settings, all of it or one user; `report` gets each disagreement as a line.
///
/// Nothing is written, and no folder is made. Embedded data that a running process holds is read by that process;
/// otherwise its folder is opened, which clears what a crash left half done.
///
/// # Errors
/// See [`AuditError`].
pub async fn audit(
    config: &Config,
    request: AuditRequest,
    report: &mut ReportLineFn<'_>,
) -> Result<AuditSummary, AuditError> {
    let mut config = config.clone();
    if config.log.nats.manage_streams == ManageStreams::Create {
        config.log.nats.manage_streams = ManageStreams::Check;
    }
    check_folders(&config)?;
    let mut upkeep = Upkeep::default();
    let world = match open(&config, &mut upkeep).await {
        Ok(world) => world,
        Err(error) if is_held(&error) => {
            let summary = operator::ask(&config.data_dir, request, report).await?;
            return known(request, summary);
        }
        Err(error) => return Err(AuditError::NotOpened(error.to_string())),
    };
    let mut report = |finding: &Finding| report(&request.line(finding));
    let options = AuditOptions { user: request.user, grace: request.grace, ..options(&config) };
    known(request, Auditor::new(world, options).run(&mut report).await?)
}

/// The sums, unless they are about a user who does not exist.
fn known(request: AuditRequest, summary: AuditSummary) -> Result<AuditSummary, AuditError> {
    match request.user {
        Some(user) if summary.users == 0 && summary.disagreements == 0 => Err(AuditError::NoUser(user)),
        Some(_) | None => Ok(summary),
    }
}

/// How a deployment of these settings is audited, all of it, without grace.
pub(crate) fn options(config: &Config) -> AuditOptions {
    let is_embedded = config.ledger.kind == LedgerKind::Embedded;
    AuditOptions {
        user: None,
        grace: Duration::ZERO,
        deep_every: Duration::from_secs(config.sweep.deep_every_secs),
        trash_retention: Duration::from_secs(config.sweep.trash_days * 24 * 3600),
        quiet: if config.log.kind == LogKind::Embedded { Duration::ZERO } else { QUIET },
        reads_per_sec: (!is_embedded).then_some(READS_PER_SEC),
    }
}

/// Fails if a folder of an embedded part is not there: the settings mean another place, or nothing was ever stored. A
/// bucket that was there before is reported as a start reports it.
fn check_folders(config: &Config) -> Result<(), AuditError> {
    let is_read = config.ledger.kind == LedgerKind::Embedded || config.log.kind == LogKind::Embedded;
    let store = is_read.then(|| config.data_dir.join("store"));
    let bucket = (config.objects.kind == BucketKind::Embedded).then(|| config.data_dir.join("bucket"));
    let not_opened = |error: &dyn Display| AuditError::NotOpened(error.to_string());
    let is_missing = |folder: &PathBuf| is_there(folder).map(|is| !is).map_err(|error| not_opened(&error));
    if let Some(store) = store
        && is_missing(&store)?
    {
        return Err(AuditError::NoData(store));
    }
    if let Some(bucket) = bucket
        && is_missing(&bucket)?
    {
        let stamp = BucketStamp::of(config, None).map_or(Ok(()), |stamp| stamp.check());
        stamp.map_err(|error| not_opened(&StartError::from(error)))?;
        return Err(AuditError::NoData(bucket));
    }
    Ok(())
}

/// Whether a running process holds the data.
fn is_held(error: &StartError) -> bool {
    matches!(
        error,
        StartError::Store(OpenError::Held { .. }) | StartError::Bucket(bucket::OpenError::InUse { .. })
    )
}

async fn open(config: &Config, upkeep: &mut Upkeep) -> Result<Deployment, StartError> {
    let clock = Clock::System;
    let embedded = Embedded::open(config, Descriptors::claim(), &clock)?;
    let site = Site { config, clock: clock.clone(), health: Health::default(), embedded };
    Ok(Deployment {
        ledger: site.ledger(upkeep)?,
        log: site.log().await?,
        objects: site.objects(upkeep).await?,
        clock,
    })
}
