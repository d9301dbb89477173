//! Tells the health of the process whether uploads are taken: room on the disk, places for connections.

use std::sync::Arc;
use std::time::Duration;

use super::blocking::blocking;
use super::store::Store;
use crate::net::Acceptor;
use crate::telemetry::health::{Health, Part, Source};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a connection may wait for a place before uploads count as not taken.
const FULL_MAX: Duration = Duration::from_secs(2);

const DISK: Source = 1;
const CONNECTIONS: Source = 2;

/// Reports for as long as it runs.
pub(super) async fn report(store: &Arc<Store>, acceptor: &Acceptor, health: &Health) {
    let mut is_short = false;
    loop {
        let now = store.clock.now();
        match shortage(store, is_short).await {
            Some(reason) => {
                is_short = true;
                health.down_from(Part::Uploads, DISK, &reason, now);
            }
            None => {
                is_short = false;
                health.up_from(Part::Uploads, DISK);
            }
        }
        match acceptor.full_for().filter(|full| *full >= FULL_MAX) {
            Some(full) => {
                let reason = format!("all connections of the bucket have been taken for {}s", full.as_secs());
                health.down_from(Part::Uploads, CONNECTIONS, &reason, now);
            }
            None => health.up_from(Part::Uploads, CONNECTIONS),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Why uploads are refused; none if they are not. With room on the disk, the ballast is there again.
async fn shortage(store: &Arc<Store>, was_short: bool) -> Option<String> {
    let store = Arc::clone(store);
    let look = move || -> std::io::Result<Option<String>> {
        let shortage = store.room.shortage(was_short)?;
        if shortage.is_none() {
            store.ballast.restore()?;
        }
        Ok(shortage)
    };
    let looked = blocking("look for room on the disk", look).await;
    looked.unwrap_or_else(|error| Some(format!("the disk does not say how much room it has: {error}")))
}
