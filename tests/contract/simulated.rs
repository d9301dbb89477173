//! The simulation's world, in good weather: it keeps the contracts of ledger, log and queue.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wharfinger::domain::time::Timestamp;
use wharfinger::ports::ManualClock;

use crate::ledger::{LedgerWorld, ledger_cases};
use crate::log::{LogWorld, log_cases};
use crate::queue::{QueueWorld, queue_cases};
use crate::simulated_world::{Port, START, Shared, Watch};

const VISIBILITY: Duration = Duration::from_secs(30);

/// A world with one node, whose time the test moves.
struct World(Port);

impl World {
    fn new() -> Self {
        let shared = Shared::new(1);
        let mut state = shared.look();
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START), 1));
        state.watches.push(Watch { clock, skew: 0, since: Some(Instant::now()) });
        state.queue.deliveries_max = 3;
        drop(state);
        Self(Port::new(shared, 0))
    }

    fn pass_now(&self, span: Duration) {
        self.0.shared.look().turn_began += u64::try_from(span.as_millis()).expect("some seconds");
    }
}

impl LedgerWorld for World {
    type Ledger = Port;

    fn ledger(&self) -> &Port {
        &self.0
    }
}

impl LogWorld for World {
    type Log = Port;

    fn log(&self) -> &Port {
        &self.0
    }

    async fn pass(&self, span: Duration) {
        self.pass_now(span);
    }
}

impl QueueWorld for World {
    type Queue = Port;

    fn queue(&self) -> &Port {
        &self.0
    }

    fn visibility(&self) -> Duration {
        VISIBILITY
    }

    fn deliveries_max(&self) -> Option<u32> {
        Some(3)
    }

    async fn dead_letters(&self) -> Vec<String> {
        self.0.shared.look().queue.dead.clone()
    }

    async fn pass(&self, span: Duration) {
        self.pass_now(span);
    }
}

ledger_cases!(World::new());
log_cases!(World::new());
queue_cases!(World::new());
