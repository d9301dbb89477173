//! The suite of the log, on the server that the environment names.

use std::time::Duration;

use wharfinger::adapters::jetstream::JetStreamLog;
use wharfinger::config::NatsSettings;

use crate::log::{LogWorld, log_cases};
use crate::tools::{ready_log, test_url};

/// How much later than asked a server may hand out again.
const LATE: Duration = Duration::from_millis(250);

struct World {
    log: JetStreamLog,
}

impl World {
    async fn open() -> Option<Self> {
        let settings = NatsSettings { urls: vec![test_url()?], ..NatsSettings::default() };
        Some(Self { log: ready_log(settings).await })
    }
}

impl LogWorld for World {
    type Log = JetStreamLog;

    fn log(&self) -> &JetStreamLog {
        &self.log
    }

    async fn pass(&self, span: Duration) {
        // The server's time cannot be moved, and its timers are a little late.
        tokio::time::sleep(span + LATE).await;
    }
}

log_cases!(World::open());
