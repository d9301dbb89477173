//! Every change is published once, in order, whatever happens to the log.

use std::time::{Duration, Instant};

use crate::fault_injection::{Fault, Op, Port};
use futures_util::future::join_all;
use wharfinger::domain::decide::{NewUpload, Reserve};
use wharfinger::domain::event::filter_of;
use wharfinger::domain::ids::UserId;
use wharfinger::domain::transitions::Removal;
use wharfinger::limits::ENTRIES_PAGE_MAX;
use wharfinger::ports::Stream;

use crate::inside::eventually;
use crate::world::World;

/// Long enough for everybody who waits to have tried again a few times, if they did.
const AN_OUTAGE: Duration = Duration::from_secs(3);

const EVENTS: Op = Op::Publish(Stream::Events);

/// Puts a file in the trash and takes it out, this often; two versions each time.
async fn to_and_fro(world: &World, times: usize) {
    let key = world.upload(1).await;
    for _ in 0..times {
        world.handle.remove(key.user, key.file, Removal::Trash).await.unwrap();
        world.handle.restore(key.user, key.file).await.unwrap();
    }
}

/// Waits until all is published, each version once and in order.
async fn check_all_told_in_order(world: &World) {
    let told = world.wait_for_events().await;
    let versions: Vec<u64> =
        told.iter().map(|event| event.split(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(versions, (1..=world.account().await.version).collect::<Vec<_>>(), "in order, without a gap");
}

#[tokio::test]
async fn an_event_says_beside_its_payload_what_it_is_and_whose_trace_it_belongs_to() {
    let world = World::start().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let traced = NewUpload { traceparent: Some(trace.to_owned()), ..world.upload_of("a.txt", 1) };
    for upload in [traced, world.upload_of("b.txt", 1)] {
        let asked = Reserve { uploads: vec![upload], idempotency: None, subject: None };
        world.handle.reserve(world.user, asked).await.unwrap();
    }
    world.check_events(&["1 files.reserved", "2 files.reserved"]).await;
    for (record, trace) in
        world.records(Stream::Events, &filter_of(world.user)).await.iter().zip([Some(trace), None])
    {
        let event: serde_json::Value = serde_json::from_slice(&record.payload).unwrap();
        let header =
            |name: &str| record.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        assert_eq!(header("Content-Type"), Some("application/cloudevents+json; charset=utf-8"));
        let is_attribute = |(name, _): &&(String, String)| name.to_ascii_lowercase().starts_with("ce-");
        assert_eq!(
            record.headers.iter().find(is_attribute),
            None,
            "structured mode has no attribute headers"
        );
        assert_eq!((header("traceparent"), event["traceparent"].as_str()), (trace, trace));
        assert_eq!(Some(record.id.as_str()), event["id"].as_str());
    }
}

// proves: I21 F25
#[tokio::test]
async fn row_25_while_the_log_is_away_changes_go_on_and_are_told_when_it_is_back() {
    let world = World::start().await;
    world.reserve(1).await.unwrap();
    world.wait_for_events().await;
    world.plan.set(EVENTS, Fault::Unavailable);
    // More than is held in memory for one user: the rest waits in the ledger (invariant 25).
    to_and_fro(&world, ENTRIES_PAGE_MAX).await;
    assert_eq!(world.events().await.len(), 1, "nothing was told meanwhile");
    world.plan.heal();
    check_all_told_in_order(&world).await;
}

// proves: I21 I25 F25
#[tokio::test]
async fn row_25_a_log_that_is_away_is_no_load_on_the_ledger_and_all_is_told_when_it_is_back() {
    let world = World::start().await;
    world.plan.set(EVENTS, Fault::Unavailable);
    let users: Vec<UserId> = (0..200)
        .map(|n| UserId::from_subject("https://issuer.example", &format!("user {n}")).unwrap())
        .collect();
    for _ in 0..2 {
        let reserved = users.iter().map(|user| {
            let upload = world.upload_of("a.txt", 1);
            world.handle.reserve(*user, Reserve { uploads: vec![upload], idempotency: None, subject: None })
        });
        assert!(join_all(reserved).await.iter().all(Result::is_ok));
    }
    let (begun, before) = (Instant::now(), world.plan.calls(Op::EntriesAfter));
    let is_long = async || (begun.elapsed() > AN_OUTAGE).then_some(());
    eventually("an outage", is_long).await;
    let reads = world.plan.calls(Op::EntriesAfter) - before;
    assert!(reads < 20, "{reads} reads for 200 users that wait");
    world.plan.heal();
    for user in users {
        let told = async || Some(world.events_of(user).await).filter(|told| told.len() == 2);
        assert_eq!(eventually("two events", told).await, ["1 files.reserved", "2 files.reserved"]);
    }
}

// proves: I21 F24 F27
#[tokio::test]
async fn rows_24_27_a_log_that_answers_badly_is_told_again_and_keeps_each_event_once() {
    let world = World::start().await;
    for fault in [Fault::Unanswered, Fault::Fine, Fault::Lost, Fault::Twice, Fault::Unanswered] {
        world.plan.next(EVENTS, fault);
    }
    to_and_fro(&world, 5).await;
    check_all_told_in_order(&world).await;
}

// proves: I21 F24 F25
#[tokio::test]
async fn what_becomes_durable_behind_an_event_that_failed_is_told_after_it() {
    let world = World::start().await;
    world.plan.set(EVENTS, Fault::Hang);
    world.reserve(1).await.unwrap();
    world.calls(EVENTS, 1).await;
    world.reserve(2).await.unwrap();
    world.plan.set(EVENTS, Fault::Unavailable);
    world.calls(EVENTS, 2).await;
    world.plan.heal();
    check_all_told_in_order(&world).await;
}

// proves: I21 F47
#[tokio::test]
async fn the_ledger_learns_what_only_a_sweep_has_told() {
    let mut world = World::start().await;
    world.plan.set(EVENTS, Fault::Unavailable);
    to_and_fro(&world, 1).await;
    world.restart().await;
    world.plan.heal();
    world.sweep().await;
    check_all_told_in_order(&world).await;
    world.wait_until_saved().await;
}

// proves: I21 F4 F47
#[tokio::test]
async fn row_47_what_was_durable_and_not_told_before_the_end_is_told_by_the_next_sweep() {
    let mut world = World::start().await;
    world.plan.set(EVENTS, Fault::Unavailable);
    to_and_fro(&world, 3).await;
    world.restart().await;
    assert_eq!(world.events().await, Vec::<String>::new());
    world.plan.heal();
    world.sweep().await;
    check_all_told_in_order(&world).await;
}

// proves: I21 F47
#[tokio::test]
async fn row_47_or_by_the_next_touch() {
    let mut world = World::start().await;
    world.plan.set(EVENTS, Fault::Unavailable);
    to_and_fro(&world, 3).await;
    world.plan.set(Op::Scan, Fault::Unavailable);
    world.restart().await;
    world.plan.set(EVENTS, Fault::Fine);
    world.reserve(1).await.unwrap();
    check_all_told_in_order(&world).await;
}

// proves: I21
#[tokio::test]
async fn the_ledger_learns_what_was_told_after_a_rest() {
    // Invariant 21: at quiescence `published` is the version.
    let world = World::start().await;
    world.upload(1).await;
    assert_eq!(world.wait_until_saved().await, 2, "without an entry of its own");
}

#[tokio::test]
async fn a_ledger_that_is_away_does_not_keep_what_is_held_from_being_told() {
    let world = World::start().await;
    world.plan.next(EVENTS, Fault::Unavailable);
    world.reserve(1).await.unwrap();
    world.plan.set_port(Port::Ledger, Fault::Unavailable);
    world.calls(EVENTS, 1).await;
    world.plan.heal();
    check_all_told_in_order(&world).await;
}

// proves: I21 F47
#[tokio::test]
async fn what_only_a_sweep_knew_of_is_noted_as_told_though_nobody_touches_the_user() {
    let mut world = World::start().await;
    to_and_fro(&world, 3).await;
    check_all_told_in_order(&world).await;
    world.restart().await;
    world.sweep().await;
    world.wait_until_saved().await;
}
