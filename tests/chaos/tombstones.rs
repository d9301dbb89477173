//! One account whose partition is full of deleted rows: more than a server walks over for one read.

use std::sync::Arc;
use std::time::Duration;

use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::statement::Consistency;
use scylla::statement::batch::{Batch, BatchType};
use uuid::Uuid;
use wharfinger::domain::ids::UserId;
use wharfinger::ports::Clock;

use crate::links::Link;

/// A server gives a read up at 100,000.
const ROWS: u64 = 100_500;
/// Rows of one batch.
const BATCH: u64 = 500;
/// How often a batch that no server took is tried.
const TRIES: u32 = 20;
/// How long the servers may take for one batch.
const WITHIN: Duration = Duration::from_secs(10);
const DELETE: &str =
    "DELETE FROM chaos.user_ledger WHERE user_id = ? AND kind = 0 AND seq = 0 AND file_id = ?";

/// Deletes rows that never were, newer than every row of the account, straight at the servers: what a year of creating and
/// deleting leaves. Returns how many were written.
pub(crate) async fn fill(user: usize) -> u64 {
    let user = UserId::from_subject("chaos", &format!("chaos-{user}")).expect("a subject");
    let Some(session) = session().await else { return 0 };
    let mut written = 0;
    let newest_ms = Clock::System.now().as_millis();
    for first in (0..ROWS).step_by(usize::try_from(BATCH).expect("small")) {
        // The lower bits of an id that the product makes are random: none of these is one of a file.
        let ids = (first..first + BATCH)
            .map(|nth| Uuid::from_u128((u128::from(newest_ms - nth) << 80) | (7 << 76) | (2 << 62)));
        let values: Vec<(Uuid, Uuid)> = ids.map(|id| (user.uuid(), id)).collect();
        let mut batch = Batch::new(BatchType::Unlogged);
        values.iter().for_each(|_| batch.append_statement(DELETE));
        if has_taken(&session, &batch, &values).await {
            written += BATCH;
        }
    }
    written
}

async fn has_taken(session: &Session, batch: &Batch, values: &[(Uuid, Uuid)]) -> bool {
    for _ in 0..TRIES {
        if session.batch(batch, values).await.is_ok() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    false
}

async fn session() -> Option<Session> {
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::One)
        .request_timeout(Some(WITHIN))
        .retry_policy(Arc::new(FallthroughRetryPolicy))
        .build();
    let nodes = [1, 2, 3].map(|nth| Link::Cql(nth).upstream());
    let builder =
        SessionBuilder::new().known_nodes(nodes).default_execution_profile_handle(profile.into_handle());
    tokio::time::timeout(WITHIN, builder.build()).await.ok()?.ok()
}
