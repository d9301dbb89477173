//! Objects that must go, and come back.

use crate::fault_injection::{Fault, Op};
use wharfinger::domain::arrival::ArrivalKind;
use wharfinger::domain::file::{PublicStatus, Status};
use wharfinger::domain::ids::ObjectKey;
use wharfinger::domain::transitions::Removal;

use crate::inside::eventually;
use crate::world::World;

async fn delete(world: &World, key: ObjectKey) {
    world.handle.remove(key.user, key.file, Removal::Permanent).await.unwrap();
}

async fn wait_until_gone(world: &World, key: ObjectKey) {
    world.wait_for_status(key, Status::Gone).await;
    assert!(!world.is_in_the_bucket(key).await);
}

// proves: I8 I10 I15
#[tokio::test]
async fn a_failed_file_that_is_deleted_for_good_is_hidden_from_its_owner_and_stays_reserved_as_long() {
    let world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    delete(&world, key).await;
    assert_eq!(world.row(key).await.public_status(), PublicStatus::Failed("cancelled"));
    for _ in 0..2 {
        delete(&world, key).await;
        assert_eq!(world.row(key).await.public_status(), PublicStatus::Hidden);
        world.check_status(key, Status::Pending).await;
        world.check_bytes(0, 5).await;
    }
    assert_eq!(world.plan.calls(Op::ObjectDelete), 0, "its bytes may still come");
    world.land(key).await;
    world.tell(ArrivalKind::Created, key).await;
    wait_until_gone(&world, key).await;
    assert_eq!(world.row(key).await.public_status(), PublicStatus::Hidden);
    let expected =
        ["1 files.reserved", "2 files.failed", "3 files.deleted", "4 files.failed", "5 files.purged"];
    world.check_events(&expected).await;
    world.check_bytes(0, 0).await;
    world.check_ledger().await;
}

// proves: F16
#[tokio::test]
async fn row_16_a_removal_that_fails_is_repeated_and_the_bytes_are_free_at_once() {
    let world = World::start().await;
    let key = world.upload(5).await;
    world.plan.next(Op::ObjectDelete, Fault::Unavailable);
    world.plan.next(Op::ObjectDelete, Fault::Unanswered);
    delete(&world, key).await;
    world.check_bytes(0, 0).await;
    wait_until_gone(&world, key).await;
    assert_eq!(world.plan.calls(Op::ObjectDelete), 3);
    world.check_ledger().await;
}

// proves: I17 F16
#[tokio::test]
async fn row_16_a_removal_that_keeps_failing_is_left_to_the_sweep() {
    let world = World::start().await;
    let key = world.upload(5).await;
    world.plan.set(Op::ObjectDelete, Fault::Unavailable);
    delete(&world, key).await;
    world.calls(Op::ObjectDelete, 6).await;
    world.check_status(key, Status::Deleting).await;
    world.plan.heal();
    world.sweep().await;
    wait_until_gone(&world, key).await;
    world.check_ledger().await;
}

// proves: I17 F16
#[tokio::test]
async fn row_16_a_removal_that_only_the_bucket_knows_of_is_noted_by_the_sweep() {
    let mut world = World::start().await;
    let key = world.upload(5).await;
    world.plan.set(Op::ObjectDelete, Fault::Unanswered);
    delete(&world, key).await;
    let is_removed = async || (!world.is_in_the_bucket(key).await).then_some(());
    eventually("the object to go", is_removed).await;
    world.restart().await;
    world.plan.heal();
    world.sweep().await;
    wait_until_gone(&world, key).await;
}

// proves: I10 I17 F11
#[tokio::test]
async fn row_11_an_object_that_comes_back_is_removed_again_when_told() {
    let world = World::start().await;
    let key = world.upload(5).await;
    delete(&world, key).await;
    wait_until_gone(&world, key).await;
    let version = world.account().await.version;
    world.land(key).await;
    world.tell(ArrivalKind::Created, key).await;
    let is_removed = async || (!world.is_in_the_bucket(key).await).then_some(());
    eventually("the object to go", is_removed).await;
    assert_eq!(world.account().await.version, version);
}

// proves: I10 I17 F11
#[tokio::test]
async fn row_11_and_by_the_sweep_when_not() {
    let world = World::start().await;
    let key = world.upload(5).await;
    delete(&world, key).await;
    wait_until_gone(&world, key).await;
    world.land(key).await;
    world.sweep().await;
    let is_removed = async || (!world.is_in_the_bucket(key).await).then_some(());
    eventually("the object to go", is_removed).await;
}

// proves: I14 I15
#[tokio::test]
async fn invariant_15_nothing_is_removed_before_its_row_can_never_be_processed() {
    let world = World::start().await;
    let key = world.upload(5).await;
    world.plan.set(Op::Commit, Fault::Unavailable);
    assert!(world.handle.remove(key.user, key.file, Removal::Permanent).await.is_err());
    assert_eq!(world.plan.calls(Op::ObjectDelete), 0);
    assert!(world.is_in_the_bucket(key).await);
}
