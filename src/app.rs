//! The composition root: builds the ports, starts the tree, serves, drains. Decides nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::actors::{Tree, TreeError, World};
use crate::adapters::embedded::bucket::{self, BucketOptions, EmbeddedBucket};
use crate::adapters::embedded::{EmbeddedStore, OpenError, QueuePolicy};
use crate::adapters::sigv4::AddressError;
use crate::adapters::{Ledger, Log, Objects, Queue, Signer};
use crate::bridge::{Bridge, BridgeError, BridgeParts};
use crate::config::Config;
use crate::domain::decide::Rules;
use crate::domain::event::EventSource;
use crate::domain::shard::{ShardCount, ShardCountError};
use crate::http::{self, AuthConfigError, Authenticator, Front, HttpOptions, Services};
use crate::limits::DRAIN_WITHIN;
use crate::ports::Clock;
use crate::telemetry::MetricsHandle;
use crate::telemetry::health::Health;

/// Loops that move notifications from the queue into the log.
const POLLERS: usize = 2;

/// Everything that runs.
pub struct App {
    addresses: Addresses,
    health: Health,
    tree: Tree,
    bridge: Bridge,
    store: EmbeddedStore,
    front: Server,
    endpoint: Server,
}

/// Where it listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The API.
    pub api: SocketAddr,
    /// Metrics and health.
    pub admin: SocketAddr,
    /// The embedded S3 endpoint, if there is one.
    pub s3: Option<SocketAddr>,
}

/// Why it did not start. One clear line each.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("{key}: cannot listen on {address}: {source}; stop what listens there, or choose another port")]
    Listen {
        /// The setting.
        key: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The data folder cannot be made.
    #[error("data_dir: cannot make {}: {source}", dir.display())]
    DataDir {
        /// Which.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Ledger, log and queue do not open.
    #[error("data_dir: {0}")]
    Store(#[from] OpenError),
    /// The bucket does not open.
    #[error("data_dir: {0}")]
    Bucket(#[from] bucket::OpenError),
    /// The endpoint's address cannot be signed for.
    #[error("s3.listen: {0}")]
    Endpoint(#[from] AddressError),
    /// Nobody can be recognised.
    #[error("auth.issuers: {0}")]
    Auth(#[from] AuthConfigError),
    /// The shards cannot be.
    #[error("shards: {0}")]
    Shards(#[from] ShardCountError),
    /// A bug.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A bug.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
}

impl StartError {
    /// What the process exits with.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        1
    }
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
    /// Starts everything; ready when it returns.
    ///
    /// # Errors
    /// See [`StartError`]; then nothing runs.
    pub async fn start(config: Config, metrics: MetricsHandle) -> Result<Self, StartError> {
        let (clock, health) = (Clock::System, Health::default());
        let shards = ShardCount::new(config.shards)?;
        let authenticator = Authenticator::from_config(&config.auth)?;
        let dir = &config.data_dir;
        std::fs::create_dir_all(dir).map_err(|source| StartError::DataDir { dir: dir.clone(), source })?;
        // Whoever holds the data is told before whoever holds a port.
        let store = EmbeddedStore::open(&dir.join("store"), clock.clone())?;
        let bucket = EmbeddedBucket::open(&dir.join("bucket"), bucket_options(&config), clock.clone())?;
        let api = listen("http.listen", config.http.listen).await?;
        let admin = listen("admin.listen", config.admin.listen).await?;
        let s3 = listen("s3.listen", config.s3.listen).await?;
        let addresses = addresses(&config, (&api, &admin, &s3));

        let ledger = Ledger::Embedded(store.ledger());
        let log = Log::Embedded(store.log());
        let queue = Queue::Embedded(store.queue(QueuePolicy::default()));
        let signer = Signer::Embedded(bucket.signer(&format!("http://{}", s3_address(addresses)))?);
        let options = HttpOptions::from_config(&config, cursor_key(&bucket));
        let endpoint = CancellationToken::new();
        let endpoint =
            Server { stop: endpoint.clone(), ended: bucket.clone().serve(s3, queue.clone(), endpoint) };
        let tree = Tree::start(World {
            ledger: ledger.clone(),
            log: log.clone(),
            objects: Objects::Embedded(bucket),
            clock: clock.clone(),
            health: health.clone(),
            rules: rules(&config),
            shards,
            source: event_source(&config),
        })
        .await?;
        let bridge = Bridge::start(BridgeParts {
            queue,
            log: log.clone(),
            clock: clock.clone(),
            health: health.clone(),
            bucket: config.objects.bucket.clone(),
            shards,
            pollers: POLLERS,
        })
        .await?;
        let services = Services {
            handle: tree.handle().clone(),
            ledger,
            log,
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
        Ok(Self { addresses, health, tree, bridge, store, front, endpoint })
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
        tokio::join!(self.front.stop(), self.bridge.stop(), self.endpoint.stop());
        self.tree.stop(DRAIN_WITHIN.saturating_sub(Duration::from_secs(1))).await;
        self.store.close().await;
        tracing::info!("stopped");
    }

    /// Waits until the process should end because an actor keeps failing; returns the reason.
    pub async fn failed(&self) -> String {
        let bridge = self.bridge.given_up();
        tokio::select! {
            () = self.tree.gave_up().cancelled() => "an actor of the tree keeps failing; see the log".to_owned(),
            () = bridge.cancelled() => "the bridge keeps failing; see the log".to_owned(),
        }
    }
}

async fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { key, address, source })
}

/// Where the listeners are; a port that was left to the system is known now.
fn addresses(config: &Config, (api, admin, s3): (&TcpListener, &TcpListener, &TcpListener)) -> Addresses {
    let at = |listener: &TcpListener, asked: SocketAddr| listener.local_addr().unwrap_or(asked);
    Addresses {
        api: at(api, config.http.listen),
        admin: at(admin, config.admin.listen),
        s3: Some(at(s3, config.s3.listen)),
    }
}

fn s3_address(addresses: Addresses) -> SocketAddr {
    addresses.s3.unwrap_or(addresses.api)
}

fn bucket_options(config: &Config) -> BucketOptions {
    BucketOptions {
        bucket: config.objects.bucket.clone(),
        region: config.objects.region.clone(),
        object_bytes_max: config.upload.max_bytes,
        allowed_origins: config.http.allowed_origins.clone(),
        ..BucketOptions::default()
    }
}

fn rules(config: &Config) -> Rules {
    Rules {
        quota_bytes_default: config.quota.default_bytes,
        files_max: config.quota.files_max,
        upload_url_ttl: Duration::from_secs(config.upload.url_ttl_secs),
    }
}

fn event_source(config: &Config) -> EventSource {
    EventSource {
        deployment: config.deployment.clone(),
        bucket: config.objects.bucket.clone(),
        redact_names: config.events.redact_names,
    }
}

/// Seals the cursors of lists; the same for the life of the data folder.
fn cursor_key(bucket: &EmbeddedBucket) -> [u8; 32] {
    let credentials = bucket.credentials();
    let key = hmac::Key::new(hmac::HMAC_SHA256, credentials.expose_secret().as_bytes());
    let mut sealed = [0; 32];
    sealed.copy_from_slice(hmac::sign(&key, b"wharfinger list cursor v1").as_ref());
    sealed
}
