//! The whole bridge, actors and all, between two ends that fail.

use super::*;
use crate::bridge::doubles::{PublishFault, ReceiveFault, Seen, World, notification};
use crate::ports::{QueuePort as _, Stream};

/// Waits for a condition; what does not come within five seconds does not come.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(timeout(Duration::from_secs(5), waiting).await.is_ok(), "{what}");
}

async fn send(world: &World, count: u32) {
    for n in 0..count {
        world.send(notification(n)).await.unwrap();
    }
}

#[tokio::test]
async fn pollers_share_the_work_and_stop_when_asked() {
    let world = World::default();
    send(&world, 200).await;
    let bridge = Bridge::start(world.parts(3)).await.unwrap();
    until("everything is moved", || world.queued() == 0).await;
    assert_eq!(world.records(Stream::Ingest).len(), 200);
    assert!(world.publishing_max() <= 30, "a batch a poller");
    bridge.stop().await;
    send(&world, 1).await;
    assert_eq!(world.waiting(), 1, "no poller takes it any more");
}

// proves: I26 F51
#[tokio::test]
async fn a_stop_in_an_outage_gives_back_what_is_held() {
    let world = World::default();
    send(&world, 30).await;
    world.fail_publish(Stream::Ingest, std::iter::repeat_n(PublishFault::Unavailable, 100_000));
    let bridge = Bridge::start(world.parts(2)).await.unwrap();
    until("both hold a batch", || world.waiting() == 10).await;
    bridge.stop().await;
    assert_eq!((world.waiting(), world.queued()), (30, 30));
    world.heal();
    let bridge = Bridge::start(world.parts(2)).await.unwrap();
    until("everything is moved", || world.queued() == 0).await;
    assert_eq!(world.records(Stream::Ingest).len(), 30);
    bridge.stop().await;
}

#[tokio::test]
async fn an_outage_ends_by_itself() {
    let world = World::default();
    send(&world, 5).await;
    world.fail_receive([ReceiveFault::Unavailable; 3]);
    world.fail_publish(Stream::Ingest, [PublishFault::Full; 7]);
    let bridge = Bridge::start(world.parts(1)).await.unwrap();
    until("everything is moved", || world.queued() == 0).await;
    assert_eq!(world.records(Stream::Ingest).len(), 5);
    assert!(!bridge.given_up().is_cancelled(), "an outage outside is no failure of ours");
    bridge.stop().await;
}

#[tokio::test]
async fn a_poller_that_panics_is_started_again_and_the_others_go_on() {
    let world = World::default();
    world.fail_receive([ReceiveFault::Panic, ReceiveFault::Panic]);
    let bridge = Bridge::start(world.parts(2)).await.unwrap();
    send(&world, 20).await;
    until("everything is moved", || world.queued() == 0).await;
    assert!(!bridge.given_up().is_cancelled());
    bridge.stop().await;
}

#[tokio::test]
async fn a_bridge_that_cannot_be_kept_alive_says_so_and_still_stops() {
    let world = World::default();
    world.fail_receive([ReceiveFault::Panic; 1_000]);
    let bridge = Bridge::start(world.parts(1)).await.unwrap();
    let given_up = timeout(Duration::from_secs(20), bridge.given_up().cancelled_owned()).await;
    assert!(given_up.is_ok(), "five chances take some six seconds");
    timeout(Duration::from_secs(1), bridge.stop()).await.expect("there is nothing to wait for");
    assert!(!world.seen().iter().any(|seen| matches!(seen, Seen::Received(_))));
}

#[tokio::test]
async fn a_number_of_pollers_that_cannot_be_is_refused() {
    for asked in [0, POLLERS_MAX + 1] {
        let outcome = Bridge::start(World::default().parts(asked)).await;
        assert!(matches!(outcome, Err(BridgeError::Pollers { asked: of }) if of == asked));
    }
    let bridge = Bridge::start(World::default().parts(POLLERS_MAX)).await.unwrap();
    bridge.stop().await;
}
