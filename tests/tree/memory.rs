//! What is kept in memory, what is not, and what happens to what is damaged.

use std::time::Duration;

use crate::fault_injection::Op;
use metrics_exporter_prometheus::PrometheusBuilder;
use wharfinger::actors::DeskError;
use wharfinger::domain::draft::Write;
use wharfinger::domain::file::{File, Status};
use wharfinger::domain::ids::ObjectKey;
use wharfinger::domain::transitions::Removal;
use wharfinger::ports::LedgerPort as _;

use crate::counted::Counted;
use crate::inside::eventually;
use crate::world::World;

// proves: I24
#[tokio::test]
async fn an_account_that_rests_for_a_minute_is_dropped_and_read_again_when_it_is_needed() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let counted = || Counted::text(recorder.handle().render());
    let desks = || counted().plain("wharf_desks").unwrap_or(0.0) > 0.5;
    let world = World::start().await;
    world.reserve(5).await.unwrap();
    eventually("a desk", async || desks().then_some(())).await;
    world.wait_until_saved().await;
    // The ledger knows before the desk does, whose idle time begins with the answer.
    let heard = async || (counted().of("wharf_desk_commits_total", "applied") == 2).then_some(());
    eventually("the reservation and what was published to be heard of", heard).await;
    let loads = world.plan.calls(Op::Load);
    world.pass(Duration::from_secs(61));
    eventually("no desk", async || (!desks()).then_some(())).await;
    world.reserve(6).await.unwrap();
    assert_eq!(world.plan.calls(Op::Load), loads + 1, "it was read anew");
    world.check_bytes(0, 11).await;
    world.check_ledger().await;
}

/// Damages a file's row behind everybody's back, as a bug or a disk would.
async fn plant_row(world: &World, key: ObjectKey, damage: impl FnOnce(&mut File)) {
    let (account, mut row) = (world.account().await, world.row(key).await);
    damage(&mut row);
    let write = Write { files: vec![row], ..Write::on(account, world.time.op_id()) };
    world.well.ledger.commit(write).await.unwrap();
}

/// The outcome of deleting a file while something is damaged, and once it is repaired.
async fn check_refused(world: &World, key: ObjectKey, mend: impl AsyncFnOnce()) {
    let before = (world.account().await, world.plan.calls(Op::Commit));
    let refused = Counted::during(async {
        let refused = world.handle.remove(key.user, key.file, Removal::Permanent).await;
        assert_eq!(refused, Err(DeskError::Unavailable));
    });
    assert_eq!(refused.await.plain("wharf_desk_invariants_broken_total"), Some(1.0));
    assert_eq!((world.account().await, world.plan.calls(Op::Commit)), before, "nothing was written");
    mend().await;
    world.handle.remove(key.user, key.file, Removal::Permanent).await.expect("nothing damaged is remembered");
    world.wait_for_status(key, Status::Gone).await;
    world.check_bytes(0, 0).await;
    world.check_ledger().await;
}

// proves: I1 I4 I24
#[tokio::test]
async fn a_damaged_row_is_not_written_on() {
    let world = World::start().await;
    let key = world.upload(5).await;
    world.wait_until_saved().await;
    plant_row(&world, key, |row| row.size_bytes = 9).await;
    check_refused(&world, key, async || plant_row(&world, key, |row| row.size_bytes = 5).await).await;
}

// proves: I1 I24
#[tokio::test]
async fn a_damaged_account_is_not_written_on() {
    let mut world = World::start().await;
    let key = world.upload(5).await;
    world.wait_until_saved().await;
    world.plant(|account| account.totals.trashed_bytes = 1).await;
    world.restart().await;
    check_refused(&world, key, async || world.plant(|account| account.totals.trashed_bytes = 0).await).await;
}

// proves: I2
#[tokio::test]
async fn a_reservation_that_is_not_its_row_is_not_settled() {
    let mut world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    world.wait_until_saved().await;
    plant_row(&world, key, |row| row.size_bytes = 4).await;
    world.restart().await;
    world.put(key, 4, "text/plain".to_owned()).await;
    let completed = world.handle.complete(key.user, key.file).await;
    assert_eq!(completed, Err(DeskError::Unavailable));
    world.check_bytes(0, 5).await;
}
