//! Reports to the health of the process whether the bucket is there, and whether uploads are taken: room on the disk,
//! places for connections.

use std::sync::Arc;
use std::time::Duration;

use super::blocking::blocking;
use super::store::Store;
use crate::net::Acceptor;
use crate::telemetry::health::{Health, Part, Reporter};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a connection may wait for a place before uploads count as not taken.
const FULL_MAX: Duration = Duration::from_secs(2);

const DISK: Reporter = 1;
const CONNECTIONS: Reporter = 2;
const FOLDER: Reporter = 1;

/// Reports for as long as it runs.
pub(super) async fn report(store: &Arc<Store>, acceptor: &Acceptor, health: &Health) {
    let mut is_short = false;
    let mut is_gone = false;
    loop {
        let now = store.clock.now();
        let reason = match in_place(store).await {
            Ok(()) => {
                if is_gone {
                    health.up_from(Part::Objects, FOLDER);
                }
                is_gone = false;
                shortage(store, is_short).await
            }
            Err(reason) => {
                is_gone = true;
                health.down_from(Part::Objects, FOLDER, &reason, now);
                Some(reason)
            }
        };
        is_short = reason.is_some();
        match reason {
            Some(reason) => health.down_from(Part::Uploads, DISK, &reason, now),
            None => health.up_from(Part::Uploads, DISK),
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

/// Whether the folder is the one that was opened; the reason is for operators.
async fn in_place(store: &Arc<Store>) -> Result<(), String> {
    let store = Arc::clone(store);
    // Not an error of the call: it is in the health of the process, once for as long as it lasts.
    let look = move || Ok::<_, std::io::Error>(store.expect_in_place().map_err(|error| error.to_string()));
    let looked = blocking("look for its folder", look).await.unwrap_or_else(|error| Err(error.to_string()));
    looked.map_err(|reason| format!("{reason}; stop the service, bring the folder back, and start again"))
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
