//! The forwarder between ends that fail: nothing is forgotten before it is held, and nothing is lost.

use super::*;
use crate::bridge::doubles::{PublishFault, ReceiveFault, Seen, World, notification, record};
use crate::telemetry::health::PartState;

/// Full, unavailable and both sorts of unknown.
const FAULTS: [PublishFault; 4] = [
    PublishFault::Full,
    PublishFault::Unavailable,
    PublishFault::Unknown { stored: false },
    PublishFault::Unknown { stored: true },
];

async fn world_with(bodies: impl IntoIterator<Item = String>) -> World {
    let world = World::default();
    for body in bodies {
        world.send(body).await.unwrap();
    }
    world
}

fn forwarder(world: &World) -> Forwarder {
    Forwarder::new(Arc::new(world.parts(1)))
}

/// Steps until the queue has nothing left; a world that does not heal fails here. What was left to the queue is delivered
/// again, as after its time.
async fn run_dry(forwarder: &mut Forwarder, world: &World) {
    for _ in 0..200 {
        if world.queued() == 0 {
            return;
        }
        if world.waiting() == 0 && forwarder.held.is_empty() && forwarder.pending_deletes.is_empty() {
            world.show_hidden();
            forwarder.dlq_rests_until = None;
        }
        forwarder.step().await;
    }
    panic!("{} deliveries are still there: {:?}", world.queued(), world.seen());
}

/// Invariant 19 over everything that happened: as many records stood in the log as the deleted ones asked for.
fn assert_nothing_deleted_before_its_ack(world: &World, records_each: usize) {
    let (mut stored, mut deleted) = (std::collections::BTreeSet::new(), 0);
    for seen in world.seen() {
        match seen {
            Seen::Stored(stream, id) => {
                stored.insert((stream, id));
            }
            Seen::Deleted(id) => {
                deleted += 1;
                assert!(
                    deleted * records_each <= stored.len(),
                    "{id} was deleted too early: {:?}",
                    world.seen()
                );
            }
            Seen::Received(_) | Seen::Extended(..) => {}
        }
    }
}

fn state(forwarder: &Forwarder, part: Part) -> PartState {
    forwarder.parts.health.state(part)
}

// proves: I19
#[tokio::test]
async fn what_arrives_is_stored_once_and_then_deleted() {
    let world = world_with((0..35).map(notification)).await;
    let mut forwarder = forwarder(&world);
    run_dry(&mut forwarder, &world).await;
    assert_eq!(world.records(Stream::Ingest).len(), 35);
    assert_eq!(world.records(Stream::Dlq).len(), 0);
    assert_nothing_deleted_before_its_ack(&world, 1);
    assert_eq!(world.publishing_max(), 10, "a batch is published side by side, and no more than that");
    assert_eq!(state(&forwarder, Part::PublishIngest), PartState::Up);
    assert_eq!(state(&forwarder, Part::Queue), PartState::Up);
}

// proves: I19 F25
#[tokio::test]
async fn a_publish_that_fails_many_times_loses_nothing() {
    for fault in FAULTS {
        let world = world_with((0..25).map(notification)).await;
        world.fail_publish(Stream::Ingest, std::iter::repeat_n(fault, 60));
        let mut forwarder = forwarder(&world);
        assert_eq!(forwarder.step().await, Progress::Stuck, "{fault:?}");
        assert!(!world.seen().iter().any(|seen| matches!(seen, Seen::Deleted(_))), "{fault:?}");
        run_dry(&mut forwarder, &world).await;
        assert_eq!(world.records(Stream::Ingest).len(), 25, "{fault:?}: all, each once");
        assert_nothing_deleted_before_its_ack(&world, 1);
    }
}

// proves: F24
#[tokio::test]
async fn an_unknown_publish_is_repeated_at_once_with_the_same_id() {
    let world = world_with([notification(1)]).await;
    world.fail_publish(Stream::Ingest, [PublishFault::Unknown { stored: true }; 2]);
    let mut forwarder = forwarder(&world);
    assert_eq!(forwarder.step().await, Progress::Flowing);
    let ids: Vec<Seen> = world.seen().into_iter().filter(|seen| matches!(seen, Seen::Stored(..))).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|seen| *seen == ids[0]));
    assert_eq!(world.records(Stream::Ingest).len(), 1);
}

// proves: F24
#[tokio::test]
async fn a_publish_without_an_answer_ends_with_its_deadline_as_unknown() {
    for stored in [true, false] {
        let world = world_with([notification(1)]).await;
        let mut forwarder = forwarder(&world);
        let mut deliveries = forwarder.receive().await.unwrap();
        world.fail_publish(Stream::Ingest, [PublishFault::Hang { stored }]);
        let deadline = Instant::now() + Duration::from_millis(20);
        let outcome = forward(&forwarder.parts.log, &mut deliveries[0], deadline, false).await;
        let failed = outcome.failed;
        assert!(matches!(failed, Some((Stream::Ingest, PublishError::Unknown { .. }))), "{failed:?}");
        forwarder.held = deliveries;
        run_dry(&mut forwarder, &world).await;
        assert_eq!(world.records(Stream::Ingest).len(), 1, "stored {stored}");
    }
}

// proves: I25 F21 F23 F25
#[tokio::test]
async fn while_the_log_is_away_nothing_more_is_received_and_what_is_held_stays_hidden() {
    let world = world_with((0..25).map(notification)).await;
    world.fail_publish(Stream::Ingest, std::iter::repeat_n(PublishFault::Full, 1_000));
    let mut forwarder = forwarder(&world);
    for _ in 0..5 {
        assert_eq!(forwarder.step().await, Progress::Stuck);
    }
    let seen = world.seen();
    let received = seen.iter().filter(|seen| matches!(seen, Seen::Received(_))).count();
    let extended = seen.iter().filter(|seen| matches!(seen, Seen::Extended(_, HOLD_VISIBILITY))).count();
    assert_eq!((received, world.waiting()), (10, 15));
    assert_eq!(extended, 10, "each once; the next time is half a minute away");
    assert!(matches!(state(&forwarder, Part::PublishIngest), PartState::Down { .. }));
    world.heal();
    run_dry(&mut forwarder, &world).await;
    assert_eq!(world.records(Stream::Ingest).len(), 25);
    assert_eq!(state(&forwarder, Part::PublishIngest), PartState::Up);
}

#[tokio::test]
async fn one_arrival_that_does_not_pass_holds_back_only_its_own_delivery() {
    let world = world_with((0..10).map(notification)).await;
    world.fail_publish(Stream::Ingest, [PublishFault::Unavailable]);
    let mut forwarder = forwarder(&world);
    assert_eq!(forwarder.step().await, Progress::Flowing);
    assert_eq!((world.records(Stream::Ingest).len(), forwarder.held.len()), (9, 1));
    run_dry(&mut forwarder, &world).await;
    assert_eq!(world.records(Stream::Ingest).len(), 10);
}

// proves: F22
#[tokio::test]
async fn an_arrival_that_never_passes_is_left_to_the_queue_once_others_passed_it() {
    let world = world_with((0..10).map(notification)).await;
    world.refuse("8000-000000000007");
    let mut forwarder = forwarder(&world);
    let mut steps = 0;
    while steps == 0 || !forwarder.held.is_empty() {
        world.send(notification(100 + steps)).await.unwrap();
        forwarder.step().await;
        steps += 1;
        assert!(steps <= PASSED_OVER_MAX + 1, "still held");
    }
    assert!(world.seen().iter().any(|seen| matches!(seen, Seen::Extended(_, LEFT_HIDDEN))));
    assert!(
        forwarder.pending_deletes.len() <= 1 && world.queued() <= 2,
        "only the one that does not pass is left"
    );
}

// proves: F20
#[tokio::test]
async fn a_delete_that_fails_in_part_is_repeated_for_that_part() {
    let world = world_with((0..10).map(notification)).await;
    world.fail_delete([Some(10), Some(4), None, Some(3)]);
    let mut forwarder = forwarder(&world);
    run_dry(&mut forwarder, &world).await;
    let deleted = world.seen().iter().filter(|seen| matches!(seen, Seen::Deleted(_))).count();
    assert_eq!(deleted, 10, "each once");
    assert_eq!(world.records(Stream::Ingest).len(), 10);
    assert!(forwarder.pending_deletes.is_empty());
}

// proves: F20
#[tokio::test]
async fn a_delete_that_never_works_is_given_up_and_the_delivery_comes_again() {
    let world = world_with([notification(1)]).await;
    world.fail_delete(std::iter::repeat_n(None, 5));
    let mut forwarder = forwarder(&world);
    for _ in 0..6 {
        forwarder.step().await;
    }
    assert!(forwarder.pending_deletes.is_empty(), "tries are counted");
    assert_eq!(world.queued(), 1);
    world.show_hidden();
    run_dry(&mut forwarder, &world).await;
    assert_eq!(world.records(Stream::Ingest).len(), 1, "known by its id");
}

// proves: I19 I22 F19
#[tokio::test]
async fn killed_between_publish_and_delete_it_is_delivered_again_and_counts_once() {
    let world = world_with([notification(1)]).await;
    let mut first = forwarder(&world);
    first.step().await;
    assert_eq!((world.records(Stream::Ingest).len(), world.queued()), (1, 1));
    drop(first);
    world.show_hidden();
    run_dry(&mut forwarder(&world), &world).await;
    assert_eq!(world.records(Stream::Ingest).len(), 1);
    assert_eq!(world.seen().iter().filter(|seen| matches!(seen, Seen::Received(_))).count(), 2);
}

// proves: I19 F18
#[tokio::test]
async fn killed_before_the_ack_it_is_delivered_again_and_not_lost() {
    let world = world_with([notification(1)]).await;
    let mut first = forwarder(&world);
    world.fail_publish(Stream::Ingest, [PublishFault::Unavailable]);
    first.step().await;
    drop(first);
    assert_eq!((world.records(Stream::Ingest).len(), world.queued()), (0, 1));
    world.show_hidden();
    run_dry(&mut forwarder(&world), &world).await;
    assert_eq!(world.records(Stream::Ingest).len(), 1);
}

// proves: I19 F22
#[tokio::test]
async fn poison_is_kept_with_its_reason_and_then_deleted() {
    let world = world_with(["not json".to_owned(), notification(1).replace("wharf", "other")]).await;
    world.fail_publish(Stream::Dlq, [PublishFault::Full]);
    let mut forwarder = forwarder(&world);
    run_dry(&mut forwarder, &world).await;
    let kept = world.records(Stream::Dlq);
    let mut reasons: Vec<&str> = kept.iter().map(|record| record.headers[0].1.as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["foreign_bucket", "not_json"]);
    assert!(kept.iter().any(|record| record.payload == "not json"));
    assert_nothing_deleted_before_its_ack(&world, 1);
    assert!(world.records(Stream::Ingest).is_empty());
}

#[tokio::test]
async fn a_full_dlq_does_not_stop_arrivals() {
    let world = world_with(["poison".to_owned()]).await;
    world.fail_publish(Stream::Dlq, std::iter::repeat_n(PublishFault::Full, 1_000));
    let mut forwarder = forwarder(&world);
    assert_eq!(forwarder.step().await, Progress::Flowing);
    for n in 0..30 {
        world.send(notification(n)).await.unwrap();
    }
    for _ in 0..10 {
        forwarder.step().await;
    }
    assert_eq!((world.records(Stream::Ingest).len(), world.queued()), (30, 1));
    assert_eq!(state(&forwarder, Part::PublishIngest), PartState::Up);
    world.show_hidden();
    forwarder.dlq_rests_until = None;
    assert!(matches!(state(&forwarder, Part::PublishDlq), PartState::Down { .. }), "arrivals do not hide it");
    world.heal();
    run_dry(&mut forwarder, &world).await;
    assert_eq!(world.records(Stream::Dlq).len(), 1);
}

// proves: I19 F22
#[tokio::test]
async fn any_number_of_messages_that_the_dlq_refuses_takes_no_place_and_is_left_to_the_queue() {
    for fault in FAULTS {
        let world = world_with((0..50).map(|n| format!("poison {n}"))).await;
        world.fail_publish(Stream::Dlq, std::iter::repeat_n(fault, 10_000));
        let mut forwarder = forwarder(&world);
        for n in 0..30 {
            world.send(notification(n)).await.unwrap();
        }
        for _ in 0..12 {
            assert_eq!(forwarder.step().await, Progress::Flowing, "{fault:?}");
            assert!(forwarder.held.is_empty(), "{fault:?}");
        }
        assert_eq!(world.records(Stream::Ingest).len(), 30, "{fault:?}");
        assert_eq!(world.queued(), 50, "{fault:?}: none is deleted");
        let left = world.seen().iter().filter(|seen| matches!(seen, Seen::Extended(_, LEFT_HIDDEN))).count();
        assert_eq!(left, 50, "{fault:?}: each is hidden for a while");
        assert!(matches!(state(&forwarder, Part::PublishDlq), PartState::Down { .. }));
        world.heal();
        run_dry(&mut forwarder, &world).await;
        assert_eq!(world.records(Stream::Dlq).len(), 50, "{fault:?}");
        assert_eq!(state(&forwarder, Part::PublishDlq), PartState::Up);
    }
}

// proves: F22
#[tokio::test]
async fn a_message_that_is_too_large_for_the_dlq_is_cut_and_kept() {
    let world = world_with(["x".repeat(5_000)]).await;
    world.limit(1_000);
    let mut forwarder = forwarder(&world);
    run_dry(&mut forwarder, &world).await;
    let kept = world.records(Stream::Dlq).remove(0);
    assert!(kept.size_bytes() <= 1_000 && kept.payload.len() > 500, "{}", kept.payload.len());
    let header = ("Wharf-Truncated".to_owned(), "original length 5000".to_owned());
    assert!(kept.headers.contains(&header), "{:?}", kept.headers);
}

// proves: F22
#[tokio::test]
async fn the_test_event_is_deleted_and_leaves_nothing() {
    let world = world_with([r#"{"Service":"Amazon S3","Event":"s3:TestEvent"}"#.to_owned()]).await;
    run_dry(&mut forwarder(&world), &world).await;
    assert!(world.records(Stream::Ingest).is_empty() && world.records(Stream::Dlq).is_empty());
}

// proves: I19 F22
#[tokio::test]
async fn good_records_go_on_and_bad_ones_beside_them_are_kept() {
    let body = format!(r#"{{"Records":[{},{{"bad":1}},{}]}}"#, record(1), record(2));
    for (stream, fault) in [(Stream::Ingest, FAULTS[1]), (Stream::Dlq, FAULTS[0]), (Stream::Dlq, FAULTS[3])] {
        let world = world_with([body.clone()]).await;
        world.fail_publish(stream, [fault]);
        run_dry(&mut forwarder(&world), &world).await;
        assert_eq!((world.records(Stream::Ingest).len(), world.records(Stream::Dlq).len()), (2, 1));
        assert_nothing_deleted_before_its_ack(&world, 3);
    }
}

#[tokio::test]
async fn a_queue_that_does_not_answer_is_a_pause() {
    let world = world_with([notification(1)]).await;
    world.fail_receive([ReceiveFault::Unavailable; 2]);
    let mut forwarder = forwarder(&world);
    assert_eq!(forwarder.step().await, Progress::Stuck);
    assert_eq!(forwarder.step().await, Progress::Stuck);
    assert!(matches!(state(&forwarder, Part::Queue), PartState::Down { .. }));
    assert_eq!(forwarder.step().await, Progress::Flowing);
    assert_eq!(state(&forwarder, Part::Queue), PartState::Up);
}

#[tokio::test]
async fn the_last_words_delete_what_is_done_and_give_the_rest_back_at_once() {
    let world = world_with((0..4).map(notification)).await;
    world.fail_publish(Stream::Ingest, [PublishFault::Full]);
    let mut forwarder = forwarder(&world);
    forwarder.step().await;
    forwarder.finish().await;
    assert_eq!((world.queued(), world.waiting()), (1, 1), "shown again without waiting for its time");
}

// proves: F21
#[tokio::test]
async fn a_delivery_that_is_held_for_too_long_is_left_to_come_again() {
    let world = world_with([notification(1)]).await;
    world.fail_publish(Stream::Ingest, [PublishFault::Full]);
    let mut forwarder = forwarder(&world);
    forwarder.step().await;
    forwarder.renew_held(Instant::now() + HOLD_WITHIN / 2).await;
    assert_eq!(forwarder.held.len(), 1);
    forwarder.renew_held(Instant::now() + HOLD_WITHIN).await;
    assert!(forwarder.held.is_empty());
    assert_eq!((world.queued(), world.records(Stream::Ingest).len()), (1, 0));
}
