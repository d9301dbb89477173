//! Everything that runs: started, waited for, stopped.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::descriptors::Descriptors;
use super::listeners::{Addresses, Listeners, Ports};
use super::ports::{Embedded, Site};
use super::running::RunningNote;
use super::start_error::StartError;
use super::translate;
use super::upkeep::Upkeep;
use super::{aws, cursor_key, data_dir};
use crate::actors::{Tree, World};
use crate::adapters::embedded::EmbeddedStore;
use crate::adapters::{Ledger, Log, Objects};
use crate::bridge::{Bridge, BridgeParts};
use crate::config::{BucketKind, Config, QueueKind};
use crate::domain::shard::ShardCount;
use crate::http::{self, Authenticator, Front, HttpOptions, Services};
use crate::limits::DRAIN_WITHIN;
use crate::ports::Clock;
use crate::telemetry::MetricsHandle;
use crate::telemetry::health::Health;

/// Everything that runs.
pub struct App {
    addresses: Addresses,
    health: Health,
    tree: Tree,
    bridge: Bridge,
    front: Server,
    endpoint: Option<Server>,
    store: Option<EmbeddedStore>,
    /// Why bucket or queue turned out to belong to another ledger.
    foreign: watch::Receiver<Option<String>>,
    /// Ends with the rest.
    _upkeep: Upkeep,
    _note: Option<RunningNote>,
}

/// A server and the way to end it.
struct Server {
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

impl Server {
    async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.ended.await {
            tracing::error!("a server ended badly: {error}");
        }
    }
}

impl App {
    /// Starts everything on these ports; ready when it returns.
    ///
    /// # Errors
    /// See [`StartError`]; then nothing runs.
    pub async fn start(mut config: Config, ports: Ports, metrics: MetricsHandle) -> Result<Self, StartError> {
        let (clock, health) = (Clock::System, Health::default());
        let descriptors = Descriptors::claim();
        config.http.connections_max = descriptors.for_clients(config.http.connections_max);
        let shards = ShardCount::new(config.shards)?;
        let authenticator = Authenticator::from_config(&config.auth)?;
        data_dir::prepare_if_needed(&config)?;
        let embedded = Embedded::open(&config, descriptors, &clock)?;
        embedded.bucket_stamp(&config).map_or(Ok(()), |stamp| stamp.put())?;
        data_dir::note_shards(&config)?;
        let options = HttpOptions::from_config(&config, cursor_key::load(&config)?);
        let Listeners { api, admin, s3, addresses } = ports.listen()?;
        let note = note(&config, &addresses);

        let site = Site { config: &config, clock: clock.clone(), health: health.clone(), embedded };
        let mut upkeep = Upkeep::default();
        let (ledger, log) = (site.ledger(&mut upkeep)?, site.log().await?);
        site.watch_log(&log, &mut upkeep);
        site.watch_store(&mut upkeep);
        let queue = site.queue(&mut upkeep).await?;
        let objects = site.objects(&mut upkeep).await?;
        let foreign = aws::settle_identity(&site, (&ledger, &objects, &queue), &mut upkeep).await?;
        let signer = site.signer(&mut upkeep, addresses.s3).await?;
        site.answer_operators((&ledger, &log, &objects), &mut upkeep);
        let Embedded { store, bucket } = site.embedded;
        warn_of_silence(&config);

        let endpoint = s3.zip(bucket).map(|(listener, bucket)| {
            let stop = CancellationToken::new();
            let ended = bucket.reporting(health.clone()).serve(listener, queue.clone(), stop.clone());
            Server { stop, ended }
        });
        let world = world(&config, (ledger.clone(), log.clone(), objects), (&clock, &health), shards);
        let tree = Tree::start_with(world, translate::tree_options(&config)).await?;
        let bridge = Bridge::start(BridgeParts {
            queue,
            log: log.clone(),
            clock: clock.clone(),
            health: health.clone(),
            bucket: config.objects.bucket.clone(),
            shards,
            pollers: config.queue.pollers,
        })
        .await?;
        let services = Services {
            handle: tree.handle().clone(),
            ledger,
            log,
            events: Arc::new(translate::event_source(&config)),
            signer,
            clock,
            health: health.clone(),
            authenticator,
            metrics: Arc::new(move || metrics.render()),
            options: Arc::new(options),
        };
        let front = CancellationToken::new();
        let serving = http::serve(Front { api, admin }, services, front.clone());
        let front = Server { stop: front, ended: tokio::spawn(serving) };
        Ok(Self {
            addresses,
            health,
            tree,
            bridge,
            front,
            endpoint,
            store,
            foreign,
            _upkeep: upkeep,
            _note: note,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Stops: not ready any more, then what brings work in, then what works, then what keeps.
    ///
    /// No acknowledged operation is lost, whenever this is cut off.
    pub async fn stop(self) {
        self.health.drain();
        let endpoint = async {
            if let Some(endpoint) = self.endpoint {
                endpoint.stop().await;
            }
        };
        tokio::join!(self.front.stop(), self.bridge.stop(), endpoint);
        self.tree.stop(DRAIN_WITHIN.saturating_sub(Duration::from_secs(1))).await;
        if let Some(store) = self.store {
            store.close().await;
        }
        tracing::info!("stopped");
    }

    /// Waits until the process should end because an actor keeps failing or the embedded store is broken; returns
    /// the reason.
    pub async fn failed(&self) -> String {
        let bridge = self.bridge.given_up();
        let store = async {
            match &self.store {
                Some(store) => store.broken().await,
                None => std::future::pending().await,
            }
        };
        let mut foreign = self.foreign.clone();
        let foreign = async {
            match foreign.wait_for(Option::is_some).await {
                Ok(reason) => reason.clone().unwrap_or_default(),
                // It was settled.
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            reason = foreign => reason,
            () = self.tree.gave_up().cancelled() => "an actor of the tree keeps failing; see the log".to_owned(),
            () = bridge.cancelled() => "the bridge keeps failing; see the log".to_owned(),
            reason = store => format!("the embedded store takes no more writes: {reason}"),
        }
    }
}

/// Notes in the data folder where this process listens. Commands that find no note ask at the settings' addresses.
fn note(config: &Config, addresses: &Addresses) -> Option<RunningNote> {
    let note = data_dir::is_needed(config).then(|| RunningNote::write(&config.data_dir, addresses))?;
    note.inspect_err(|error| tracing::warn!("data_dir: no note of where this process listens: {error}")).ok()
}

fn world(
    config: &Config,
    (ledger, log, objects): (Ledger, Log, Objects),
    (clock, health): (&Clock, &Health),
    shards: ShardCount,
) -> World {
    World {
        ledger,
        log,
        objects,
        clock: clock.clone(),
        health: health.clone(),
        rules: translate::rules(config),
        shards,
        source: translate::event_source(config),
    }
}

/// A bucket elsewhere cannot reach a queue in this process.
fn warn_of_silence(config: &Config) {
    if config.objects.kind == BucketKind::S3 && config.queue.kind == QueueKind::Embedded {
        tracing::warn!(
            "the bucket cannot notify the embedded queue: files are processed when clients say complete, or by the sweep"
        );
    }
}
