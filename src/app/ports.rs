//! Builds the ports that the settings choose, one function each.

use std::net::SocketAddr;

use super::audit::{self, Deployment, OperatorSocket};
use super::data_dir;
use super::descriptors::Descriptors;
use super::start_error::StartError;
use super::translate;
use super::upkeep::Upkeep;
use super::{aws, cql, nats};
use crate::adapters::embedded::bucket::EmbeddedBucket;
use crate::adapters::embedded::{EmbeddedStore, QueuePolicy};
use crate::adapters::{Ledger, Log, Objects, Queue, Signer};
use crate::config::{BucketKind, Config, LedgerKind, LogKind, QueueKind, SignerKind};
use crate::ports::Clock;
use crate::telemetry::health::{Health, Part};

/// The inputs of the ports.
pub(super) struct Site<'a> {
    pub(super) config: &'a Config,
    pub(super) clock: Clock,
    pub(super) health: Health,
    pub(super) embedded: Embedded,
}

/// What keeps data in this process, as far as the settings chose it.
#[derive(Clone)]
pub(super) struct Embedded {
    pub(super) store: Option<EmbeddedStore>,
    pub(super) bucket: Option<EmbeddedBucket>,
}

impl Embedded {
    /// Opens the chosen parts, unless another process has them open, or the bucket belongs to another ledger.
    pub(super) fn open(config: &Config, descriptors: Descriptors, clock: &Clock) -> Result<Self, StartError> {
        let dir = &config.data_dir;
        let needs_store = data_dir::needs_store(config);
        let store =
            if needs_store { Some(EmbeddedStore::open(&dir.join("store"), clock.clone())?) } else { None };
        let opened = Self { store, bucket: None };
        if let Some(stamp) = opened.bucket_stamp(config) {
            stamp.check()?;
        }
        let bucket = match config.objects.kind {
            BucketKind::Embedded => {
                let mut options = translate::embedded_bucket(config);
                options.connections_max = descriptors.for_uploads(options.connections_max);
                options.per_address_max = config.http.per_address_of(options.connections_max);
                Some(EmbeddedBucket::open(&dir.join("bucket"), options, clock.clone())?)
            }
            BucketKind::S3 => None,
        };
        Ok(Self { bucket, ..opened })
    }

    fn store(&self) -> &EmbeddedStore {
        self.store.as_ref().expect("opened, because one of its ports is chosen")
    }

    fn bucket(&self) -> &EmbeddedBucket {
        self.bucket.as_ref().expect("opened, because it is chosen, and its signer only beside it")
    }
}

impl Site<'_> {
    /// Embedded data can be read by this process alone, so it answers the audits of its operator.
    pub(super) fn answer_operators(
        &self,
        (ledger, log, objects): (&Ledger, &Log, &Objects),
        upkeep: &mut Upkeep,
    ) {
        if self.embedded.store.is_none() && self.embedded.bucket.is_none() {
            return;
        }
        let (ledger, log, objects) = (ledger.clone(), log.clone(), objects.clone());
        let world = Deployment { ledger, log, objects, clock: self.clock.clone() };
        match OperatorSocket::bind(&self.config.data_dir) {
            Ok(socket) => upkeep.start(socket.serve(world, audit::options(self.config))),
            Err(error) => {
                tracing::warn!("`wharfinger audit` cannot ask this process: no socket in data_dir: {error}")
            }
        }
    }

    pub(super) fn ledger(&self, upkeep: &mut Upkeep) -> Result<Ledger, StartError> {
        match self.config.ledger.kind {
            LedgerKind::Embedded => {
                let store = self.embedded.store();
                self.health.up(Part::Ledger);
                Ok(Ledger::Embedded(store.ledger()))
            }
            LedgerKind::Scylla => cql::ledger(self, upkeep),
        }
    }

    pub(super) async fn log(&self) -> Result<Log, StartError> {
        match self.config.log.kind {
            LogKind::Embedded => Ok(Log::Embedded(self.embedded.store().log())),
            LogKind::Nats => nats::log(self).await,
        }
    }

    /// Keeps health informed about a log: an embedded one is open already, servers are asked again and again.
    pub(super) fn watch_log(&self, log: &Log, upkeep: &mut Upkeep) {
        if !nats::watch_log(self, log, upkeep) {
            self.health.up(Part::Log);
        }
    }

    /// Keeps health informed about the disk of the embedded store, for each part that is in it.
    pub(super) fn watch_store(&self, upkeep: &mut Upkeep) {
        let Some(store) = self.embedded.store.clone() else { return };
        let is_in_store = [
            (Part::Ledger, self.config.ledger.kind == LedgerKind::Embedded),
            (Part::Log, self.config.log.kind == LogKind::Embedded),
            (Part::Queue, self.config.queue.kind == QueueKind::Embedded),
        ];
        let parts = is_in_store.into_iter().filter_map(|(part, is_in)| is_in.then_some(part)).collect();
        upkeep.start(store.watch(self.health.clone(), self.clock.clone(), parts));
    }

    pub(super) async fn queue(&self, upkeep: &mut Upkeep) -> Result<Queue, StartError> {
        match self.config.queue.kind {
            QueueKind::Embedded => Ok(Queue::Embedded(self.embedded.store().queue(QueuePolicy::default()))),
            QueueKind::Sqs => aws::queue(self, upkeep).await,
        }
    }

    pub(super) async fn objects(&self, upkeep: &mut Upkeep) -> Result<Objects, StartError> {
        match self.config.objects.kind {
            BucketKind::Embedded => Ok(Objects::Embedded(self.embedded.bucket().clone())),
            BucketKind::S3 => aws::objects(self, upkeep).await,
        }
    }

    /// `s3` is where the embedded endpoint listens, if there is one.
    pub(super) async fn signer(
        &self,
        upkeep: &mut Upkeep,
        s3: Option<SocketAddr>,
    ) -> Result<Signer, StartError> {
        match self.config.signer.kind {
            SignerKind::Embedded => {
                let listened = s3.map(|address| format!("http://{address}")).unwrap_or_default();
                let said = &self.config.objects.public_endpoint;
                let url = if said.is_empty() { &listened } else { said };
                let signer = self.embedded.bucket().signer(url)?;
                self.health.up(Part::Signer);
                Ok(Signer::Embedded(signer))
            }
            SignerKind::S3 => aws::signer(self, upkeep).await,
        }
    }
}
