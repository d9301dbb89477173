//! A node: the actor tree and the bridge, as the product starts them, on a runtime and clocks of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use wharfinger::actors::{Republish, SweepOptions, Tree, TreeOptions, World, republish};
use wharfinger::adapters::{Ledger, Log, Objects, Queue};
use wharfinger::bridge::{Bridge, BridgeParts};
use wharfinger::domain::decide::Rules;
use wharfinger::domain::event::EventSource;
use wharfinger::domain::shard::ShardCount;
use wharfinger::limits::DRAIN_WITHIN;
use wharfinger::ports::{Clock, ManualClock};
use wharfinger::telemetry::health::Health;

use crate::client::Client;
use crate::world::{BUCKET, Port, Shared, Watch};

/// What all nodes of a simulation have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deployment {
    pub(crate) shards: u16,
    pub(crate) rules: Rules,
    pub(crate) sweep: SweepOptions,
}

/// See the module.
pub(crate) struct Node {
    pub(crate) id: usize,
    port: Port,
    clock: Clock,
    deployment: Deployment,
    running: Option<Running>,
    /// Down or frozen until then.
    pub(crate) away_until: u64,
}

/// What a crash takes.
struct Running {
    tree: Arc<Tree>,
    bridge: Bridge,
    client: Client,
    runtime: Runtime,
}

impl Node {
    /// A node that is down.
    pub(crate) fn new(shared: &Shared, id: usize, deployment: Deployment) -> Self {
        let mut state = shared.look();
        let ids = (u64::try_from(id).unwrap() + 1) << 40;
        let clock = Arc::new(ManualClock::new(state.time(), ids));
        state.watches.push(Watch { clock: Arc::clone(&clock), skew: 0, since: None });
        let port = Port::new(shared.clone(), id);
        Self { id, port, clock: Clock::Manual(clock), deployment, running: None, away_until: 0 }
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// Starts it, with empty memory.
    pub(crate) fn start(&mut self) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (tree, bridge) = runtime.block_on(async {
            self.port.shared.look().begin_turn(self.id);
            let options = TreeOptions { sweep: self.deployment.sweep, ..TreeOptions::default() };
            let tree = Tree::start_with(self.world(), options).await.unwrap();
            (tree, Bridge::start(self.bridge()).await.unwrap())
        });
        let client = Client {
            port: self.port.clone(),
            handle: tree.handle().clone(),
            clock: self.clock.clone(),
            rules: self.deployment.rules,
        };
        self.running = Some(Running { tree: Arc::new(tree), bridge, client, runtime });
    }

    fn world(&self) -> World {
        World {
            ledger: Ledger::custom(self.port.clone()),
            log: Log::custom(self.port.clone()),
            objects: Objects::custom(self.port.clone()),
            clock: self.clock.clone(),
            health: Health::default(),
            rules: self.deployment.rules,
            shards: ShardCount::new(self.deployment.shards).unwrap(),
            source: source(),
        }
    }

    fn bridge(&self) -> BridgeParts {
        BridgeParts {
            queue: Queue::custom(self.port.clone()),
            log: Log::custom(self.port.clone()),
            clock: self.clock.clone(),
            health: Health::default(),
            bucket: BUCKET.to_owned(),
            shards: ShardCount::new(self.deployment.shards).unwrap(),
            pollers: 1,
        }
    }

    /// Lets it run for so long.
    pub(crate) fn turn(&self, ms: u64) {
        self.run(async move { tokio::time::sleep(Duration::from_millis(ms)).await });
    }

    /// Lets so much time pass for it in one moment, as if it had been stopped and let go on.
    pub(crate) fn wake_after(&self, ms: u64) {
        let span = Duration::from_millis(ms);
        self.run(async move {
            // The world's time has passed already.
            self.port.shared.look().watches[self.id].since = Some(tokio::time::Instant::now() + span);
            tokio::time::advance(span).await;
        });
    }

    fn run(&self, what: impl Future<Output = ()>) {
        if let Some(running) = &self.running {
            running.runtime.block_on(async {
                self.port.shared.look().begin_turn(self.id);
                what.await;
            });
            self.port.shared.look().watches[self.id].since = None;
        }
    }

    /// A client sends this node a request; the world records the outcome.
    pub(crate) fn ask<F>(&self, what: impl FnOnce(Client) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if let Some(running) = &self.running {
            drop(running.runtime.spawn(what(running.client.clone())));
        }
    }

    /// As [`Node::ask`], and the asker hangs up after so long.
    pub(crate) fn ask_for(
        &self,
        ms: u64,
        what: impl FnOnce(Client) -> futures_util::future::BoxFuture<'static, ()>,
    ) {
        self.ask(|client| {
            let asked = what(client);
            async move { drop(tokio::time::timeout(Duration::from_millis(ms), asked).await) }
        });
    }

    pub(crate) fn sweep(&self) {
        if let Some(running) = &self.running {
            let tree = Arc::clone(&running.tree);
            drop(running.runtime.spawn(async move { tree.sweep_now().await }));
        }
    }

    /// An operator has a range of a user's events published again, beside the running service.
    pub(crate) fn republish(&self, asked: Republish) {
        let ledger = Ledger::custom(self.port.clone());
        let log = Log::custom(self.port.clone());
        self.run(async move {
            if let Err(error) = republish(&ledger, &log, &source(), asked).await {
                self.port.shared.look().broken(format_args!("I21: not published again: {error}"));
            }
        });
    }

    /// Whether an actor failed so often that the process would end.
    pub(crate) fn gave_up(&self) -> bool {
        self.running.as_ref().is_some_and(|running| {
            running.tree.gave_up().is_cancelled() || running.bridge.given_up().is_cancelled()
        })
    }

    /// Gone, at whatever await its tasks stand.
    pub(crate) fn crash(&mut self) {
        self.running = None;
    }

    /// Stops as on SIGTERM.
    pub(crate) fn stop(&mut self) {
        let Some(Running { tree, bridge, client, runtime }) = self.running.take() else { return };
        drop(client);
        runtime.block_on(async {
            self.port.shared.look().begin_turn(self.id);
            bridge.stop().await;
            if let Ok(tree) = Arc::try_unwrap(tree) {
                tree.stop(DRAIN_WITHIN).await;
            }
        });
        self.port.shared.look().watches[self.id].since = None;
    }
}

/// What all events have in common.
pub(crate) fn source() -> EventSource {
    EventSource { deployment: "sim".to_owned(), bucket: BUCKET.to_owned(), redact_names: false }
}
