//! Whether bucket and queue belong to this ledger: asked at the start, and until there is an answer.
//!
//! Each ledger has an identity of its own. The first one that uses a bucket or a queue on S3 or SQS puts its stamp on
//! it, and every other one refuses to start beside it. Embedded parts are in the folder of their ledger and need none.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::adapters::s3::S3Bucket;
use crate::adapters::sqs::SqsQueue;
use crate::adapters::{Ledger, Objects, Queue, Stamp, StampError};
use crate::config::Config;

/// How long a start waits for the answer; later it is asked for in the background.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// Between two questions while something does not answer.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Why bucket and queue are not known to belong to this ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It belongs to another.
    #[error(
        "{key}: {name} belongs to the ledger {theirs}, and this one is {ours}; name another, or, if it is to change \
         hands, stop the other deployment and run `wharfinger aws adopt`"
    )]
    Foreign {
        /// The setting that names it.
        key: &'static str,
        /// Its name.
        name: String,
        /// The ledger that it belongs to.
        theirs: Stamp,
        /// The ledger of these settings.
        ours: Stamp,
    },
    /// The stamp's object holds something else.
    #[error("{key}: {name}: {source}; run `wharfinger aws adopt` if it belongs to this deployment")]
    Unreadable {
        /// The setting that names it.
        key: &'static str,
        /// Its name.
        name: String,
        /// What it holds.
        source: StampError,
    },
    /// Something does not answer. Worth repeating.
    #[error("{0}")]
    Unknown(String),
}

/// A bucket or a queue, as far as its stamp is concerned.
#[derive(Clone, Debug)]
pub(in crate::app) enum Stamped {
    Bucket(S3Bucket),
    Queue(SqsQueue),
}

/// What is shared with other processes, and the ledger it must belong to.
#[derive(Clone, Debug)]
pub(in crate::app) struct Identity {
    ledger: Ledger,
    deployment: String,
    shared: Vec<(Stamped, String)>,
}

impl Stamped {
    /// The setting that names it.
    pub(in crate::app) const fn key(&self) -> &'static str {
        match self {
            Self::Bucket(_) => "objects.bucket",
            Self::Queue(_) => "queue",
        }
    }

    pub(in crate::app) async fn stamp(&self) -> Result<Option<Stamp>, StampError> {
        match self {
            Self::Bucket(bucket) => bucket.stamp().await,
            Self::Queue(queue) => queue.stamp().await,
        }
    }

    pub(in crate::app) async fn put(&self, stamp: &Stamp) -> Result<(), StampError> {
        match self {
            Self::Bucket(bucket) => bucket.put_stamp(stamp).await,
            Self::Queue(queue) => queue.put_stamp(stamp).await,
        }
    }

    /// Puts a stamp in place of another.
    pub(in crate::app) async fn replace(&self, stamp: &Stamp) -> Result<(), StampError> {
        match self {
            Self::Bucket(bucket) => bucket.remove_stamp().await?,
            Self::Queue(_) => {}
        }
        self.put(stamp).await
    }

    fn hold(&self, reason: Option<String>) {
        match self {
            Self::Bucket(bucket) => bucket.hold(reason),
            Self::Queue(queue) => queue.hold(reason),
        }
    }
}

impl Identity {
    /// Of what the settings chose.
    pub(in crate::app) fn new(
        config: &Config,
        ledger: &Ledger,
        objects: Option<&Objects>,
        queue: Option<&Queue>,
    ) -> Self {
        let mut shared = Vec::new();
        if let Some(Objects::S3(bucket)) = objects {
            shared.push((Stamped::Bucket(bucket.clone()), config.objects.bucket.clone()));
        }
        if let Some(Queue::Sqs(queue)) = queue {
            let named = &config.queue;
            let name = if named.url.is_empty() { &named.name } else { &named.url };
            shared.push((Stamped::Queue(queue.clone()), name.clone()));
        }
        Self { ledger: ledger.clone(), deployment: config.deployment.clone(), shared }
    }

    /// What is shared, each with its name.
    pub(in crate::app) fn shared(&self) -> &[(Stamped, String)] {
        &self.shared
    }

    /// The stamp of this ledger.
    pub(in crate::app) async fn ours(&self) -> Result<Stamp, IdentityError> {
        let ledger = self.ledger.identity().await;
        let ledger = ledger.map_err(|error| IdentityError::Unknown(error.to_string()))?;
        Ok(Stamp { ledger, deployment: self.deployment.clone() })
    }

    /// Makes sure, within seconds, that all that is shared belongs to this ledger. What does not answer in time is
    /// not used until it has, in the background; `foreign` gets the reason to end the process.
    ///
    /// # Errors
    /// Something belongs to another ledger.
    pub(in crate::app) async fn settle(
        self,
        foreign: watch::Sender<Option<String>>,
    ) -> Result<Option<impl Future<Output = ()> + Send + 'static>, IdentityError> {
        self.hold(Some("it was not asked yet"));
        let reason = match timeout(ANSWER_WITHIN, self.check()).await {
            Ok(Ok(())) => {
                self.hold(None);
                return Ok(None);
            }
            Ok(Err(IdentityError::Unknown(reason))) => reason,
            Ok(Err(error @ (IdentityError::Foreign { .. } | IdentityError::Unreadable { .. }))) => {
                return Err(error);
            }
            Err(_) => format!("no answer within {ANSWER_WITHIN:?}"),
        };
        self.hold(Some(&reason));
        tracing::warn!(
            "bucket and queue are not used before they are known to belong to this ledger: {reason}"
        );
        Ok(Some(self.keep_asking(foreign)))
    }

    async fn keep_asking(self, foreign: watch::Sender<Option<String>>) {
        loop {
            sleep(ASK_AGAIN).await;
            match self.check().await {
                Ok(()) => {
                    self.hold(None);
                    tracing::info!("bucket and queue belong to this ledger");
                    return;
                }
                Err(IdentityError::Unknown(reason)) => self.hold(Some(&reason)),
                Err(error @ (IdentityError::Foreign { .. } | IdentityError::Unreadable { .. })) => {
                    foreign.send_replace(Some(error.to_string()));
                    return;
                }
            }
        }
    }

    fn hold(&self, reason: Option<&str>) {
        for (stamped, _) in &self.shared {
            stamped.hold(reason.map(str::to_owned));
        }
    }

    async fn check(&self) -> Result<(), IdentityError> {
        if self.shared.is_empty() {
            return Ok(());
        }
        let ours = self.ours().await?;
        for (stamped, name) in &self.shared {
            belongs(stamped, name, &ours).await?;
        }
        Ok(())
    }
}

/// Whether one bucket or queue belongs to this ledger. One without a stamp gets it, and is read again: of two that put
/// theirs at the same time one stays.
async fn belongs(stamped: &Stamped, name: &str, ours: &Stamp) -> Result<(), IdentityError> {
    let key = stamped.key();
    let look = async || {
        let found = match stamped.stamp().await? {
            Some(found) => Some(found),
            None => {
                stamped.put(ours).await?;
                stamped.stamp().await?
            }
        };
        Ok(found)
    };
    match look().await {
        Ok(Some(theirs)) if theirs.ledger != ours.ledger => {
            Err(IdentityError::Foreign { key, name: name.to_owned(), theirs, ours: ours.clone() })
        }
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(IdentityError::Unknown(format!("{key}: {name}: the stamp is not visible yet"))),
        Err(StampError::Denied(action)) => {
            tracing::warn!("{key}: cannot check that {name} belongs to this ledger; allow {action}");
            Ok(())
        }
        Err(StampError::Unavailable(reason)) => {
            Err(IdentityError::Unknown(format!("{key}: {name}: {reason}")))
        }
        Err(source @ StampError::Unreadable(_)) => {
            Err(IdentityError::Unreadable { key, name: name.to_owned(), source })
        }
    }
}
