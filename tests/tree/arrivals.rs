//! Arrivals: twice, in the wrong order, unreadable, or while the bucket is unreachable.

use std::time::Duration;

use crate::fault_injection::{Fault, Op};
use wharfinger::domain::arrival::ArrivalKind;
use wharfinger::domain::file::Status;
use wharfinger::domain::ids::ObjectKey;
use wharfinger::domain::transitions::Removal;
use wharfinger::limits::{ACK_PENDING_MAX, ACK_WAIT, DELIVERIES_MAX, PULL_BATCH_MAX};
use wharfinger::ports::{Record, Stream};

use crate::inside::{PATIENCE, eventually};
use crate::world::World;

/// Longer than a delivery is ever put off.
const PUT_OFF_MAX: Duration = Duration::from_secs(33);

/// What is on the DLQ: for each record, why.
async fn dead(world: &World) -> Vec<String> {
    let reason = |record: Record| {
        let header = record.headers.into_iter().find(|(name, _)| name == "Wharf-Reason");
        header.expect("a reason").1
    };
    world.records(Stream::Dlq, "wharf.dlq.v1.feed").await.into_iter().map(reason).collect()
}

async fn wait_for_dead(world: &World) -> Vec<String> {
    let look = async || Some(dead(world).await).filter(|dead| !dead.is_empty());
    eventually("something on the DLQ", look).await
}

/// Tells this in this order, with deliveries doubled and turned around, and waits until all is acknowledged.
async fn check_changes_nothing(world: &World, key: ObjectKey, news: &[ArrivalKind]) {
    let before = world.account().await;
    let acknowledged = world.plan.calls(Op::Ack);
    for (kind, count) in news.iter().zip(1..) {
        world.plan.next(Op::Pull, Fault::Twice);
        world.tell(*kind, key).await;
        world.calls(Op::Ack, acknowledged + count).await;
    }
    // Where the ledger has not moved, nothing has: every transition moves the version.
    let after = world.account().await;
    assert_eq!((after.version, after.totals), (before.version, before.totals), "{news:?}");
}

// proves: I22 F13
#[tokio::test]
async fn row_13_news_that_comes_again_or_in_the_wrong_order_changes_nothing() {
    use ArrivalKind::{Created, Removed};
    let world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    check_changes_nothing(&world, key, &[Removed, Created, Created]).await;
    world.check_status(key, Status::Pending).await;
    world.land(key).await;
    world.plan.next(Op::Pull, Fault::Twice);
    world.tell(Created, key).await;
    world.wait_for_status(key, Status::Processed).await;
    check_changes_nothing(&world, key, &[Created, Removed, Created]).await;
    world.handle.remove(key.user, key.file, Removal::Trash).await.unwrap();
    check_changes_nothing(&world, key, &[Created]).await;
    world.handle.remove(key.user, key.file, Removal::Permanent).await.unwrap();
    world.wait_for_status(key, Status::Gone).await;
    check_changes_nothing(&world, key, &[Created, Removed, Created]).await;
    let expected =
        ["1 files.reserved", "2 files.processed", "3 files.trashed", "4 files.deleted", "5 files.purged"];
    world.check_events(&expected).await;
    world.check_ledger().await;
}

/// An outage of what this call belongs to, of far more deliveries than a failure of its own would be given.
async fn check_outage(op: Op) {
    let world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    world.land(key).await;
    world.plan.set(op, Fault::Unavailable);
    world.tell(ArrivalKind::Created, key).await;
    for delivery in 1..=u64::from(DELIVERIES_MAX) + 5 {
        world.calls(Op::Nak, delivery).await;
        // Those of the rings before.
        world.calls(Op::Ack, delivery - 1).await;
        assert_eq!(world.plan.calls(Op::Ack), delivery - 1, "{op:?}: it stays in the log");
        world.pass_and_ring(PUT_OFF_MAX).await;
    }
    world.check_status(key, Status::Pending).await;
    world.plan.heal();
    world.pass_and_ring(PUT_OFF_MAX).await;
    world.wait_for_status(key, Status::Processed).await;
    assert_eq!(dead(&world).await, Vec::<String>::new(), "{op:?}");
}

// proves: I20 F15
#[tokio::test]
async fn row_15_while_the_bucket_is_away_nothing_is_acknowledged_however_long_that_takes() {
    check_outage(Op::Head).await;
}

// proves: I20 F35
#[tokio::test]
async fn row_35_while_the_ledger_is_away_nothing_is_acknowledged_however_long_that_takes() {
    check_outage(Op::Commit).await;
}

// proves: F15
#[tokio::test]
async fn row_15_while_the_bucket_is_away_uploads_go_on() {
    let world = World::start().await;
    world.plan.set(Op::Head, Fault::Unavailable);
    world.reserve(1).await.unwrap();
}

// proves: F15
#[tokio::test]
async fn row_15_an_object_the_bucket_never_answers_for_while_it_does_for_others_ends_on_the_dlq() {
    let world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    world.land(key).await;
    world.plan.next(Op::Head, Fault::Unavailable);
    world.tell(ArrivalKind::Created, key).await;
    world.calls(Op::Nak, 1).await;
    for failures in 1..=u64::from(DELIVERIES_MAX) {
        let other = world.reserve(1).await.unwrap();
        world.land(other).await;
        world.tell(ArrivalKind::Created, other).await;
        world.wait_for_status(other, Status::Processed).await;
        assert_eq!(dead(&world).await, Vec::<String>::new(), "not before failure {failures}");
        world.plan.next(Op::Head, Fault::Unavailable);
        world.pass_and_ring(PUT_OFF_MAX).await;
        world.calls(Op::Nak, failures + 1).await;
    }
    world.pass_and_ring(PUT_OFF_MAX).await;
    assert_eq!(wait_for_dead(&world).await, ["failed too often"]);
    world.pass(Duration::from_secs(3600));
    world.sweep().await;
    world.check_status(key, Status::Processed).await;
}

// proves: I20 F15
#[tokio::test]
async fn row_15_a_bucket_that_is_silent_is_like_one_that_is_away() {
    let world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    world.land(key).await;
    world.plan.set(Op::Head, Fault::Hang);
    world.tell(ArrivalKind::Created, key).await;
    world.calls(Op::Nak, 1).await;
    world.plan.heal();
    world.pass_and_ring(PUT_OFF_MAX).await;
    world.wait_for_status(key, Status::Processed).await;
}

// proves: I20 I22 F30
#[tokio::test]
async fn row_30_an_acknowledgement_that_is_lost_costs_one_look() {
    let world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    world.land(key).await;
    world.plan.next(Op::Ack, Fault::Dropped);
    world.tell(ArrivalKind::Created, key).await;
    world.calls(Op::Ack, 1).await;
    world.check_status(key, Status::Processed).await;
    let version = world.account().await.version;
    world.pass_and_ring(ACK_WAIT).await;
    world.calls(Op::Ack, 3).await;
    assert_eq!(world.account().await.version, version);
}

// proves: I20 F30
#[tokio::test]
async fn row_30_work_that_fails_before_its_write_is_done_by_the_next_delivery() {
    let world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    world.land(key).await;
    world.plan.next(Op::Commit, Fault::Unavailable);
    world.tell(ArrivalKind::Created, key).await;
    world.calls(Op::Nak, 1).await;
    world.check_status(key, Status::Pending).await;
    world.pass_and_ring(PUT_OFF_MAX).await;
    world.wait_for_status(key, Status::Processed).await;
    world.check_bytes(5, 0).await;
}

// proves: I22 I23 F31
#[tokio::test]
async fn row_31_work_that_outlives_its_ack_wait_is_done_twice_and_counts_once() {
    let world = World::start().await;
    let other = world.another_tree().await;
    let key = world.reserve(5).await.unwrap();
    world.land(key).await;
    world.plan.next(Op::Head, Fault::Hang);
    world.tell(ArrivalKind::Created, key).await;
    world.calls(Op::Head, 1).await;
    world.pass_and_ring(ACK_WAIT).await;
    world.wait_for_status(key, Status::Processed).await;
    world.plan.heal();
    // Of the news: the second node's and the first one's late acknowledgement. And that of the ring.
    world.calls(Op::Ack, 3).await;
    world.check_bytes(5, 0).await;
    world.check_events(&["1 files.reserved", "2 files.processed"]).await;
    other.stop(PATIENCE).await;
}

// proves: F32
#[tokio::test]
async fn row_32_an_arrival_whose_work_panics_ten_times_is_kept_on_the_dlq() {
    let world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    world.land(key).await;
    world.plan.set(Op::Head, Fault::Panic);
    world.tell(ArrivalKind::Created, key).await;
    for delivery in 1..=u64::from(DELIVERIES_MAX) {
        world.calls(Op::Head, delivery).await;
        assert_eq!(dead(&world).await, Vec::<String>::new(), "not before delivery {delivery}");
        world.pass_and_ring(ACK_WAIT).await;
    }
    assert_eq!(wait_for_dead(&world).await, ["failed too often"]);
    assert_eq!(world.plan.calls(Op::Nak), 0);
    world.plan.heal();
    world.pass(Duration::from_secs(3600));
    world.sweep().await;
    world.check_status(key, Status::Processed).await;
}

// proves: F22
#[tokio::test]
async fn row_22_what_cannot_be_read_is_kept_and_never_dropped() {
    let world = World::start().await;
    world.plan.next(Op::Publish(Stream::Dlq), Fault::Unavailable);
    world.tell_raw("poison", b"not an arrival".to_vec()).await;
    world.calls(Op::Nak, 1).await;
    assert_eq!(world.plan.calls(Op::Ack), 0, "it leaves INGEST only when the DLQ has it");
    world.pass_and_ring(PUT_OFF_MAX).await;
    let reasons = wait_for_dead(&world).await;
    assert!(reasons.len() == 1 && reasons[0].starts_with("not an arrival"), "{reasons:?}");
}

// proves: I25 F22
#[tokio::test]
async fn any_number_of_dead_arrivals_that_the_dlq_refuses_stop_no_other_arrival_of_their_shard() {
    let world = World::start().await;
    world.plan.set(Op::Publish(Stream::Dlq), Fault::Unavailable);
    for number in 0..=ACK_PENDING_MAX {
        world.tell_raw(&format!("poison-{number}"), b"not an arrival".to_vec()).await;
    }
    let key = world.reserve(5).await.unwrap();
    world.land(key).await;
    world.tell(ArrivalKind::Created, key).await;
    world.wait_for_status(key, Status::Processed).await;
    assert_eq!(dead(&world).await, Vec::<String>::new());
    let tries = world.plan.calls(Op::Publish(Stream::Dlq));
    assert!(tries <= u64::try_from(PULL_BATCH_MAX).unwrap(), "the DLQ rests after it failed: {tries}");
    // Those that hold a place are kept once the DLQ takes them.
    world.plan.heal();
    world.pass_and_ring(PUT_OFF_MAX).await;
    let is_kept = async || (dead(&world).await.len() == ACK_PENDING_MAX / 4).then_some(());
    eventually("a quarter of the places on the DLQ", is_kept).await;
}

// proves: I20
#[tokio::test]
async fn a_dlq_that_is_silent_is_like_one_that_is_away() {
    let world = World::start().await;
    world.plan.set(Op::Publish(Stream::Dlq), Fault::Hang);
    world.tell_raw("poison", b"not an arrival".to_vec()).await;
    world.calls(Op::Nak, 1).await;
    world.plan.heal();
    world.pass_and_ring(PUT_OFF_MAX).await;
    assert_eq!(wait_for_dead(&world).await.len(), 1);
}

#[tokio::test]
async fn an_arrival_of_a_file_nobody_knows_is_left_to_the_sweep() {
    let world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    world.land(key).await;
    let stranger = ObjectKey { user: world.user, file: world.time.file_id() };
    world.tell(ArrivalKind::Created, stranger).await;
    world.calls(Op::Ack, 1).await;
    assert_eq!(world.rows(world.user).await.len(), 1);
}
