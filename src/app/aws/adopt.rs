//! `aws adopt`: puts the stamp of this ledger on bucket and queue, whichever ledger they belonged to.

use super::identity::{Identity, IdentityError};
use crate::adapters::StampError;
use crate::app::StartError;
use crate::app::ports::{Embedded, Site};
use crate::app::republish::{self, RepublishFailure};
use crate::app::upkeep::Upkeep;
use crate::config::{BucketKind, Config, QueueKind};
use crate::ports::Clock;
use crate::telemetry::health::Health;

/// Why a bucket or a queue did not change hands.
#[derive(Debug, thiserror::Error)]
pub enum AdoptFailure {
    /// The ledger does not open.
    #[error(transparent)]
    Open(#[from] RepublishFailure),
    /// A port does not open.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The ledger does not say who it is.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The stamp was not read or put.
    #[error("{key}: {name}: {source}")]
    Stamp {
        /// The setting.
        key: &'static str,
        /// What it names.
        name: String,
        /// Why.
        source: StampError,
    },
}

/// Makes bucket and queue belong to the ledger of these settings, or only says what would change, a line each.
///
/// # Errors
/// See [`AdoptFailure`].
pub async fn aws_adopt(config: &Config, is_dry_run: bool) -> Result<Vec<String>, AdoptFailure> {
    let clock = Clock::System;
    let store = republish::open(config, &clock)?;
    let embedded = Embedded { store: store.clone(), bucket: None };
    let site = Site { config, clock, health: Health::default(), embedded };
    let mut upkeep = Upkeep::default();
    let mut lines = Vec::new();
    let ledger = site.ledger(&mut upkeep)?;
    let objects =
        if config.objects.kind == BucketKind::S3 { Some(site.objects(&mut upkeep).await?) } else { None };
    let queue = if config.queue.kind == QueueKind::Sqs { Some(site.queue(&mut upkeep).await?) } else { None };
    let identity = Identity::new(config, &ledger, objects.as_ref(), queue.as_ref());
    let ours = identity.ours().await?;
    for (stamped, name) in identity.shared() {
        let key = stamped.key();
        let failed = |source| AdoptFailure::Stamp { key, name: name.clone(), source };
        let found = match stamped.stamp().await {
            Err(StampError::Unreadable(_)) => None,
            found => found.map_err(failed)?,
        };
        let before = found.as_ref().map_or_else(|| "no ledger".to_owned(), ToString::to_string);
        if found.is_some_and(|found| found == ours) {
            lines.push(format!("right    {key} {name}: belongs to {ours}"));
        } else if is_dry_run {
            lines.push(format!("to do    {key} {name}: belongs to {before}, make it belong to {ours}"));
        } else {
            stamped.replace(&ours).await.map_err(failed)?;
            lines.push(format!("done     {key} {name}: belonged to {before}, belongs to {ours}"));
        }
    }
    if let Some(store) = store {
        store.close().await;
    }
    Ok(lines)
}
