//! What happens when nothing happens: uploads that never come, come unheard, or come too late.

use std::time::Duration;

use crate::fault_injection::{Fault, Op};
use wharfinger::domain::arrival::ArrivalKind;
use wharfinger::domain::decide::Rules;
use wharfinger::domain::file::{Reason, Status};
use wharfinger::domain::ids::ObjectKey;
use wharfinger::domain::transitions::Removal;
use wharfinger::limits::UPLOAD_URL_TTL;

use crate::world::World;

const A_MOMENT: Duration = Duration::from_millis(1);

/// How long a reservation lives.
fn lifetime() -> Duration {
    UPLOAD_URL_TTL + Rules::GRACE
}

/// A reservation of 5 bytes that has ended.
async fn expired(world: &World) -> ObjectKey {
    let key = world.reserve(5).await.unwrap();
    world.pass(lifetime() + A_MOMENT);
    world.sweep().await;
    world.check_status(key, Status::Expired).await;
    key
}

// proves: I8 F7
#[tokio::test]
async fn row_7_an_upload_that_never_comes_is_given_up_after_url_and_grace_and_not_before() {
    let world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    world.pass(lifetime());
    world.sweep().await;
    world.check_status(key, Status::Pending).await;
    world.check_bytes(0, 5).await;
    world.pass(A_MOMENT);
    world.sweep().await;
    world.check_status(key, Status::Expired).await;
    world.check_bytes(0, 0).await;
    world.check_events(&["1 files.reserved", "2 files.expired"]).await;
    world.sweep().await;
    assert_eq!(world.account().await.version, 2, "it ends once");
    world.check_ledger().await;
}

// proves: I8 F7
#[tokio::test]
async fn row_7_a_cancelled_upload_stays_reserved_as_long() {
    let world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    world.handle.remove(key.user, key.file, Removal::Permanent).await.unwrap();
    world.pass(lifetime());
    world.sweep().await;
    world.check_bytes(0, 5).await;
    world.pass(A_MOMENT);
    world.sweep().await;
    world.check_bytes(0, 0).await;
    assert_eq!(world.row(key).await.reason, Some(Reason::Cancelled));
    world.check_events(&["1 files.reserved", "2 files.failed", "3 files.expired"]).await;
}

// proves: I8 I18 F7 F15
#[tokio::test]
async fn row_7_nothing_is_given_up_that_the_bucket_was_not_asked_for() {
    let world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    world.pass(lifetime() + A_MOMENT);
    world.plan.set(Op::Head, Fault::Unavailable);
    world.sweep().await;
    world.check_status(key, Status::Pending).await;
    world.check_bytes(0, 5).await;
    world.plan.heal();
    world.sweep().await;
    world.check_status(key, Status::Expired).await;
}

// proves: F15
#[tokio::test]
async fn row_15_a_sweep_does_not_ask_a_bucket_that_is_away_about_every_reservation() {
    let world = World::start().await;
    let mut keys = Vec::new();
    for _ in 0..5 {
        keys.push(world.reserve(1).await.unwrap());
    }
    world.pass(lifetime() + A_MOMENT);
    world.plan.set(Op::Head, Fault::Unavailable);
    world.sweep().await;
    assert_eq!(world.plan.calls(Op::Head), 3);
    let counted_at = world.handle.census().map(|census| census.as_of);
    assert_eq!(counted_at, Some(world.now()), "it went on to its end");
    world.plan.heal();
    world.plan.next(Op::Head, Fault::Unavailable);
    world.sweep().await;
    world.check_status(keys[0], Status::Pending).await;
    for key in &keys[1..] {
        world.check_status(*key, Status::Expired).await;
    }
}

// proves: F35 F46
#[tokio::test]
async fn a_sweep_that_the_ledger_kept_from_its_end_comes_again_in_seconds() {
    let mut world = World::start().await;
    let key = world.reserve(1).await.unwrap();
    world.pass(lifetime() + A_MOMENT);
    world.plan.set(Op::Scan, Fault::Unavailable);
    let before = world.plan.calls(Op::Scan);
    world.restart().await;
    world.calls(Op::Scan, before + 2).await;
    world.plan.heal();
    world.wait_for_status(key, Status::Expired).await;
}

// proves: I18 F12
#[tokio::test]
async fn row_12_an_object_nobody_told_of_is_processed_at_the_deadline() {
    let world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    world.land(key).await;
    world.pass(lifetime() + A_MOMENT);
    world.sweep().await;
    world.check_status(key, Status::Processed).await;
    world.check_bytes(5, 0).await;
    world.check_events(&["1 files.reserved", "2 files.processed"]).await;
    world.check_ledger().await;
}

// proves: I18 F14
#[tokio::test]
async fn row_14_news_that_is_minutes_late_is_only_late() {
    let world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    world.land(key).await;
    world.pass(Duration::from_secs(25 * 60));
    world.sweep().await;
    world.check_status(key, Status::Pending).await;
    world.tell(ArrivalKind::Created, key).await;
    world.wait_for_status(key, Status::Processed).await;
    world.check_events(&["1 files.reserved", "2 files.processed"]).await;
}

// proves: I3 I6 I18 F10
#[tokio::test]
async fn row_10_a_late_object_that_fits_is_processed() {
    let world = World::start().await;
    let key = expired(&world).await;
    world.land(key).await;
    world.tell(ArrivalKind::Created, key).await;
    world.wait_for_status(key, Status::Processed).await;
    world.check_bytes(5, 0).await;
    world.check_events(&["1 files.reserved", "2 files.expired", "3 files.processed"]).await;
    world.check_ledger().await;
}

// proves: I3 I18 F10
#[tokio::test]
async fn row_10_a_late_object_that_does_not_fit_is_removed_for_that_reason() {
    let world = World::with_quota(10).await;
    let key = expired(&world).await;
    world.upload(6).await;
    world.land(key).await;
    world.tell(ArrivalKind::Created, key).await;
    world.wait_for_status(key, Status::Gone).await;
    assert_eq!(world.row(key).await.reason, Some(Reason::Quota));
    assert!(!world.is_in_the_bucket(key).await);
    world.check_bytes(6, 0).await;
    let events = world.wait_for_events().await;
    assert_eq!(events.last().map(String::as_str), Some("6 files.purged"), "{events:?}");
    assert!(events.contains(&"5 files.failed".to_owned()), "{events:?}");
    world.check_ledger().await;
}

// proves: I10 F10
#[tokio::test]
async fn a_file_that_was_deleted_for_good_after_its_time_is_not_brought_back_by_its_bytes() {
    let world = World::start().await;
    let key = expired(&world).await;
    world.handle.remove(key.user, key.file, Removal::Permanent).await.unwrap();
    world.land(key).await;
    world.tell(ArrivalKind::Created, key).await;
    world.wait_for_status(key, Status::Gone).await;
    assert_eq!(world.row(key).await.reason, Some(Reason::User));
    assert!(!world.is_in_the_bucket(key).await);
    world.check_ledger().await;
}

// proves: I18 F10 F12
#[tokio::test]
async fn row_10_and_12_a_late_object_nobody_told_of_is_found_by_the_sweep() {
    let world = World::with_quota(10).await;
    let (fits, is_too_much) = (expired(&world).await, expired(&world).await);
    world.upload(5).await;
    world.land(fits).await;
    world.sweep().await;
    world.check_status(fits, Status::Processed).await;
    world.land(is_too_much).await;
    world.sweep().await;
    world.wait_for_status(is_too_much, Status::Gone).await;
    assert!(!world.is_in_the_bucket(is_too_much).await);
    world.check_ledger().await;
}
