//! Panics, of what actors call and of actors themselves: nothing is lost, and nothing waits for ever.

use std::cell::Cell;
use std::sync::{Arc, Once};

use crate::fault_injection::{Fault, Op};
use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    set_global_recorder,
};
use wharfinger::actors::DeskError;
use wharfinger::domain::arrival::ArrivalKind;
use wharfinger::domain::file::Status;
use wharfinger::domain::transitions::Removal;
use wharfinger::limits::ACK_WAIT;
use wharfinger::ports::Stream;
use wharfinger::telemetry::names;

use crate::inside::{PATIENCE, eventually};
use crate::world::World;

thread_local! {
    /// Who measures this next on this test's thread panics. Each test and its tree have a thread of their own.
    static TRIPWIRE: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// A recorder that measures nothing, and panics where a test says: the only thing that a handler calls and a
/// test can replace.
struct Tripwire;

impl Recorder for Tripwire {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Wire(key.name().to_owned())))
    }
}

/// One histogram of that recorder.
struct Wire(String);

impl HistogramFn for Wire {
    fn record(&self, _: f64) {
        if TRIPWIRE.get() == Some(self.0.as_str()) {
            TRIPWIRE.set(None);
            panic!("the tripwire at {}", self.0);
        }
    }
}

/// A world in which decisions may panic.
async fn world_with_tripwire() -> World {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| set_global_recorder(Tripwire).expect("the first recorder"));
    World::start().await
}

/// The next decision of a shard panics, in the actor itself.
fn next_decision_panics() {
    TRIPWIRE.set(Some(names::DESK_OPS_PER_COMMIT));
}

// proves: I24 F32
#[tokio::test]
async fn row_32_a_shard_that_panics_is_started_again_and_nothing_is_lost() {
    let world = world_with_tripwire().await;
    let key = world.reserve(5).await.unwrap();
    world.land(key).await;
    next_decision_panics();
    assert_eq!(world.reserve(1).await, Err(DeskError::Unavailable));
    let reserved = async || world.reserve(2).await.ok();
    eventually("another shard", reserved).await;
    world.tell(ArrivalKind::Created, key).await;
    world.wait_for_status(key, Status::Processed).await;
    world.check_bytes(5, 2).await;
    world.check_events(&["1 files.reserved", "2 files.reserved", "3 files.processed"]).await;
    world.check_ledger().await;
}

// proves: I20 I24 F32
#[tokio::test]
async fn row_32_an_arrival_whose_shard_panics_is_settled_by_the_next_delivery() {
    let world = world_with_tripwire().await;
    let key = world.reserve(5).await.unwrap();
    world.land(key).await;
    next_decision_panics();
    world.tell(ArrivalKind::Created, key).await;
    world.calls(Op::Nak, 1).await;
    world.check_status(key, Status::Pending).await;
    let settled = async || {
        world.pass_and_ring(ACK_WAIT).await;
        (world.row(key).await.status == Status::Processed).then_some(())
    };
    eventually("another delivery to another shard", settled).await;
}

// proves: F52
#[tokio::test]
async fn row_52_a_shard_that_keeps_panicking_ends_the_process() {
    let world = world_with_tripwire().await;
    let gave_up = world.tree.as_ref().unwrap().gave_up().clone();
    let ended = async {
        while !gave_up.is_cancelled() {
            next_decision_panics();
            world.reserve(1).await.unwrap_err();
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("it gives up");
}

// proves: F32
#[tokio::test]
async fn row_32_a_read_that_panics_costs_its_request_only() {
    let world = World::start().await;
    world.plan.next(Op::Load, Fault::Panic);
    assert_eq!(world.reserve(5).await, Err(DeskError::Unavailable));
    world.reserve(5).await.unwrap();
    world.check_bytes(0, 5).await;
}

// proves: I24 F32
#[tokio::test]
async fn row_32_a_write_that_panics_costs_its_requests_only() {
    let world = World::start().await;
    world.plan.next(Op::Commit, Fault::Panic);
    assert_eq!(world.reserve(5).await, Err(DeskError::Unavailable));
    world.reserve(5).await.unwrap();
    world.check_bytes(0, 5).await;
    world.check_events(&["1 files.reserved"]).await;
}

// proves: F32
#[tokio::test]
async fn row_32_a_look_at_an_object_that_panics_is_made_again() {
    let world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    world.land(key).await;
    world.plan.next(Op::Head, Fault::Panic);
    world.tell(ArrivalKind::Created, key).await;
    world.calls(Op::Head, 1).await;
    world.pass_and_ring(ACK_WAIT).await;
    world.wait_for_status(key, Status::Processed).await;
}

// proves: I21 F32
#[tokio::test]
async fn row_32_an_event_whose_publishing_panics_is_told_all_the_same() {
    let world = World::start().await;
    world.plan.next(Op::Publish(Stream::Events), Fault::Panic);
    world.reserve(5).await.unwrap();
    world.reserve(6).await.unwrap();
    world.check_events(&["1 files.reserved", "2 files.reserved"]).await;
}

// proves: F32
#[tokio::test]
async fn row_32_a_removal_that_panics_is_repeated() {
    let world = World::start().await;
    let key = world.upload(5).await;
    world.plan.next(Op::ObjectDelete, Fault::Panic);
    world.handle.remove(key.user, key.file, Removal::Permanent).await.unwrap();
    world.wait_for_status(key, Status::Gone).await;
    assert!(!world.is_in_the_bucket(key).await);
}

// proves: F32
#[tokio::test]
async fn row_32_a_feed_that_panics_is_started_again() {
    let world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    world.land(key).await;
    world.plan.next(Op::Pull, Fault::Panic);
    // Ends the pull that is waiting; the next one panics.
    world.pass_and_ring(ACK_WAIT).await;
    world.calls(Op::Pull, 2).await;
    world.tell(ArrivalKind::Created, key).await;
    world.wait_for_status(key, Status::Processed).await;
}

// proves: F32
#[tokio::test]
async fn row_32_a_sweep_that_panics_is_started_again() {
    let world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    world.pass(std::time::Duration::from_secs(3600));
    world.sweep().await;
    let late = world.reserve(5).await.unwrap();
    world.pass(std::time::Duration::from_secs(3600));
    world.plan.next(Op::Scan, Fault::Panic);
    world.sweep().await;
    world.wait_for_status(late, Status::Expired).await;
    world.check_status(key, Status::Expired).await;
}

// proves: F28
#[tokio::test]
async fn row_28_a_consumer_that_stalls_silently_is_opened_again() {
    let world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    world.land(key).await;
    world.plan.next(Op::Pull, Fault::Hang);
    world.pass_and_ring(ACK_WAIT).await;
    world.calls(Op::Pull, 2).await;
    world.tell(ArrivalKind::Created, key).await;
    world.wait_for_status(key, Status::Processed).await;
    assert!(world.plan.calls(Op::Consumer) >= 2, "another reader of the same place");
}

/// The recorder is shared by the binary; a test that does not use it must not meet it.
#[test]
fn the_tripwire_is_of_its_thread() {
    next_decision_panics();
    let other = std::thread::spawn(|| TRIPWIRE.get());
    assert_eq!(other.join().unwrap(), None);
    assert_eq!(Arc::strong_count(&Arc::new(TRIPWIRE.take())), 1);
}
