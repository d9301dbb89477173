//! Events that a broker lost, published again out of the ledger.

use std::time::Duration;

use crate::fault_injection::{Fault, Op};
use wharfinger::actors::{Republish, RepublishError, Republished, republish};
use wharfinger::domain::event::{EventSource, filter_of};
use wharfinger::domain::ids::UserId;
use wharfinger::domain::transitions::Removal;
use wharfinger::ports::{PublishError, Record, Stream};

use crate::inside::BUCKET;
use crate::world::World;

const EVENTS: Op = Op::Publish(Stream::Events);

/// Longer than the log knows a repeat: what is published again after it is as if it had been lost.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10 * 60);

/// A user with so many versions, all published and marked so in the ledger, each event in the log.
async fn told(times: u64) -> World {
    let world = World::start().await;
    let key = world.upload(1).await;
    for _ in 1..times / 2 {
        world.handle.remove(key.user, key.file, Removal::Trash).await.unwrap();
        world.handle.restore(key.user, key.file).await.unwrap();
    }
    world.wait_until_saved().await;
    assert_eq!(world.account().await.version, times);
    world
}

fn asked(world: &World, from: u64, to: Option<u64>) -> Republish {
    Republish { user: world.user, from, to, is_dry_run: false }
}

async fn run(world: &World, asked: Republish) -> Result<Republished, RepublishError> {
    let source =
        EventSource { deployment: "test".to_owned(), bucket: BUCKET.to_owned(), redact_names: false };
    republish(&world.faulty.ledger, &world.faulty.log, &source, asked).await
}

/// What subscribers see of each record: all but its place and time in the log.
async fn seen(world: &World) -> Vec<(String, Vec<(String, String)>, Vec<u8>)> {
    let seen = |record: Record| {
        let mut headers = record.headers;
        headers.sort();
        (record.subject, headers, record.payload.to_vec())
    };
    world.records(Stream::Events, &filter_of(world.user)).await.into_iter().map(seen).collect()
}

// proves: I21 F27
#[tokio::test]
async fn what_was_lost_is_published_again_the_same_to_the_byte() {
    // More than one page.
    let world = told(140).await;
    let before = seen(&world).await;
    world.pass(FORGOTTEN_AFTER);
    let done = run(&world, asked(&world, 1, None)).await.unwrap();
    assert_eq!(done, Republished { entries: 140, events: 140, known: 0, versions: Some((1, 140)) });
    let after = seen(&world).await;
    assert_eq!(after.len(), 280);
    assert_eq!(after[140..], before[..], "ids, headers and bytes, in the same order");
}

#[tokio::test]
async fn a_range_is_kept_to_and_what_the_log_still_knows_is_kept_once() {
    let world = told(10).await;
    let before = seen(&world).await;
    let done = run(&world, asked(&world, 3, Some(5))).await.unwrap();
    assert_eq!(done, Republished { entries: 3, events: 3, known: 3, versions: Some((3, 5)) });
    assert_eq!(seen(&world).await, before);
    let beyond = run(&world, asked(&world, 9, Some(99))).await.unwrap();
    assert_eq!(beyond.versions, Some((9, 10)));
    assert_eq!(run(&world, asked(&world, 11, None)).await.unwrap(), Republished::default());
}

#[tokio::test]
async fn a_dry_run_counts_and_publishes_nothing() {
    let world = told(10).await;
    let published = world.plan.calls(EVENTS);
    world.pass(FORGOTTEN_AFTER);
    let done = run(&world, Republish { is_dry_run: true, ..asked(&world, 1, None) }).await.unwrap();
    assert_eq!((done.events, done.versions), (10, Some((1, 10))));
    assert_eq!(world.plan.calls(EVENTS), published);
}

#[tokio::test]
async fn a_log_that_fails_is_asked_again_and_says_where_to_go_on() {
    let world = told(4).await;
    world.pass(FORGOTTEN_AFTER);
    for fault in [Fault::Fine, Fault::Unavailable, Fault::Unanswered] {
        world.plan.next(EVENTS, fault);
    }
    let done = run(&world, asked(&world, 1, None)).await.unwrap();
    assert_eq!((done.events, done.known), (4, 1), "the second was there when it was asked for again");
    world.plan.set(EVENTS, Fault::Unavailable);
    let failed = run(&world, asked(&world, 3, None)).await.unwrap_err();
    assert!(
        matches!(failed, RepublishError::Log { version: 3, error: PublishError::Unavailable { .. } }),
        "{failed}"
    );
    world.plan.heal();
    world.plan.set(Op::EntriesAfter, Fault::Unavailable);
    assert!(matches!(run(&world, asked(&world, 1, None)).await, Err(RepublishError::Ledger(_))));
}

#[tokio::test]
async fn a_user_that_never_was_is_told() {
    let world = World::start().await;
    let user = UserId::from_subject("https://issuer.example", "nobody").unwrap();
    let asked = Republish { user, ..asked(&world, 1, None) };
    assert_eq!(run(&world, asked).await, Err(RepublishError::UnknownUser(user)));
}
