//! The parts that are on AWS: opened as the settings say, and tried by `config check`.

use std::time::Duration;

use tokio::sync::watch;
use uuid::Uuid;

use super::identity::Identity;
use super::translate;
use crate::adapters::s3::{S3Bucket, S3Signer};
use crate::adapters::sqs::SqsQueue;
use crate::adapters::{Ledger, Objects, Queue, Signer, Stamp, StampError};
use crate::app::StartError;
use crate::app::ports::Site;
use crate::app::upkeep::Upkeep;
use crate::config::Config;
use crate::domain::ids::ObjectKey;
use crate::ports::{Clock, ObjectsPort as _};
use crate::telemetry::health::{Health, Part, PartState};

/// How long the start waits for keys to sign with.
const KEYS_WITHIN: Duration = Duration::from_secs(3);

pub(in crate::app) async fn queue(site: &Site<'_>, upkeep: &mut Upkeep) -> Result<Queue, StartError> {
    let queue = SqsQueue::open(&translate::sqs(site.config)?).await;
    upkeep.start(queue.clone().watch());
    Ok(Queue::Sqs(queue))
}

pub(in crate::app) async fn objects(site: &Site<'_>, upkeep: &mut Upkeep) -> Result<Objects, StartError> {
    let bucket = S3Bucket::open(&translate::s3(site.config)?, site.clock.clone()).await;
    upkeep.start(bucket.clone().watch(site.health.clone(), site.clock.clone()));
    Ok(Objects::S3(bucket))
}

pub(in crate::app) async fn signer(site: &Site<'_>, upkeep: &mut Upkeep) -> Result<Signer, StartError> {
    let options = translate::s3_signer(site.config)?;
    let made = S3Signer::new(&options, site.clock.clone(), site.health.clone()).await;
    let (signer, mut refresher) = made?;
    site.health.awaits(Part::Signer, site.clock.now());
    // So that the first request finds keys; if there are none yet, the refresher goes on asking.
    drop(tokio::time::timeout(KEYS_WITHIN, refresher.refresh()).await);
    upkeep.start(refresher.run());
    Ok(Signer::S3(signer))
}

/// Makes sure that bucket and queue belong to the ledger, now or in the background. The value is the reason to end
/// the process, once they turn out to belong to another.
pub(in crate::app) async fn settle_identity(
    site: &Site<'_>,
    (ledger, objects, queue): (&Ledger, &Objects, &Queue),
    upkeep: &mut Upkeep,
) -> Result<watch::Receiver<Option<String>>, StartError> {
    let (disown, foreign) = watch::channel(None);
    let identity = Identity::new(site.config, ledger, Some(objects), Some(queue));
    if let Some(asking) = identity.settle(disown).await? {
        upkeep.start(asking);
    }
    Ok(foreign)
}

pub(in crate::app) async fn check_queue(config: &Config, identity: Option<Uuid>) -> Result<String, String> {
    let options = translate::sqs(config).map_err(|error| error.to_string())?;
    let queue = SqsQueue::open(&options).await;
    let depth = queue.depth().await.map_err(|error| error.reason)?;
    Ok(format!("waiting notifications: {}, {}", depth.waiting, owner(&queue.stamp().await, identity)?))
}

pub(in crate::app) async fn check_objects(config: &Config, identity: Option<Uuid>) -> Result<String, String> {
    let options = translate::s3(config).map_err(|error| error.to_string())?;
    let bucket = S3Bucket::open(&options, Clock::System).await;
    let listed = bucket.list(ObjectKey::PREFIX.to_owned(), None).await;
    listed.map_err(|error| error.to_string())?;
    Ok(format!("it can be listed, {}", owner(&bucket.stamp().await, identity)?))
}

pub(in crate::app) async fn check_signer(config: &Config) -> Result<String, String> {
    let options = translate::s3_signer(config).map_err(|error| error.to_string())?;
    let health = Health::default();
    let made = S3Signer::new(&options, Clock::System, health.clone()).await;
    let (_, mut refresher) = made.map_err(|error| error.to_string())?;
    refresher.refresh().await;
    match health.state(Part::Signer) {
        PartState::Up => Ok("there are credentials".to_owned()),
        PartState::Down { reason, .. } => Err(reason),
        PartState::Unasked | PartState::Awaited { .. } => {
            Err("the credentials were not asked for".to_owned())
        }
    }
}

/// Which ledger a bucket or a queue belongs to; an error if it is known to be another one than ours.
fn owner(stamp: &Result<Option<Stamp>, StampError>, ours: Option<Uuid>) -> Result<String, String> {
    match (stamp, ours) {
        (Ok(Some(stamp)), Some(ours)) if stamp.ledger != ours => {
            Err(format!("it belongs to the ledger {stamp}, and this one is {ours}"))
        }
        (Ok(Some(stamp)), _) => Ok(format!("it belongs to the ledger {stamp}")),
        (Ok(None), _) => Ok("it belongs to no ledger yet".to_owned()),
        (Err(error), _) => Ok(format!("which ledger it belongs to is not known: {error}")),
    }
}
