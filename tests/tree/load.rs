//! Too much at once, and the end.

use crate::fault_injection::{Fault, Op};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use wharfinger::actors::{DeskError, TreeOptions};
use wharfinger::limits::DESK_QUEUE_MAX;

use crate::inside::Chosen;
use crate::world::World;

async fn with_room_for(admission_max: u32) -> World {
    World::with(Chosen {
        options: TreeOptions { admission_max, ..TreeOptions::default() },
        ..Chosen::default()
    })
    .await
}

// proves: I25 F49
#[tokio::test]
async fn row_49_when_all_places_are_taken_a_request_is_refused_without_waiting() {
    let world = with_room_for(2).await;
    world.plan.set(Op::Commit, Fault::Hang);
    {
        let mut both = std::pin::pin!(join_all([world.reserve(1), world.reserve(2)]));
        tokio::select! {
            answered = &mut both => panic!("answered without a write: {answered:?}"),
            () = world.calls(Op::Commit, 1) => {}
        }
        assert_eq!(world.reserve(3).now_or_never(), Some(Err(DeskError::Overloaded)));
    }
    // A caller that gives up keeps its place until the work is done: it is still taken.
    assert_eq!(world.reserve(3).now_or_never(), Some(Err(DeskError::Overloaded)));
    world.plan.heal();
    let reserved = async || world.reserve(3).await.ok();
    crate::inside::eventually("a place", reserved).await;
}

// proves: I25 F36
#[tokio::test]
async fn row_36_what_waits_for_one_user_is_bounded() {
    let world = World::start().await;
    world.plan.set(Op::Commit, Fault::Hang);
    let mut first = Box::pin(world.handle.set_quota(world.user, Some(7)));
    tokio::select! {
        _ = &mut first => panic!("answered without a write"),
        () = world.calls(Op::Commit, 1) => {}
    }
    let ask = |number| {
        let (asked, plan) = (world.handle.set_quota(world.user, Some(7)), &world.plan);
        async move {
            let outcome = asked.await;
            if number == DESK_QUEUE_MAX {
                assert_eq!(outcome, Err(DeskError::Overloaded), "the first that finds no room");
                plan.heal();
            }
            outcome
        }
    };
    let outcomes = join_all((0..DESK_QUEUE_MAX + 10).map(ask)).await;
    let refused = outcomes.iter().filter(|outcome| **outcome == Err(DeskError::Overloaded)).count();
    assert_eq!(refused, 10, "they did not wait");
    assert!(outcomes[..DESK_QUEUE_MAX].iter().all(Result::is_ok));
    first.await.unwrap();
    assert_eq!(world.account().await.version, 1, "they all wanted the same");
}

#[tokio::test]
async fn what_waits_together_is_written_together() {
    let world = World::start().await;
    world.plan.set(Op::Commit, Fault::Hang);
    let mut all = Box::pin(join_all((0..33).map(|_| world.reserve(1))));
    tokio::select! {
        _ = &mut all => panic!("answered without a write"),
        () = world.calls(Op::Commit, 1) => {}
    }
    world.plan.heal();
    assert!(all.await.iter().all(Result::is_ok));
    assert_eq!(world.plan.calls(Op::Commit), 2, "one, and the 32 that came meanwhile");
    world.check_bytes(0, 33).await;
    world.check_ledger().await;
}

// proves: I26 F51
#[tokio::test]
async fn row_51_a_stop_answers_what_is_inside_and_takes_nothing_new() {
    let mut world = World::start().await;
    world.plan.set(Op::Commit, Fault::Hang);
    let (tree, handle) = (world.tree.take().unwrap(), world.handle.clone());
    let inside = tokio::spawn({
        let user = world.user;
        async move { handle.set_quota(user, Some(7)).await }
    });
    world.calls(Op::Commit, 1).await;
    let stopped = tokio::spawn(tree.stop(crate::inside::PATIENCE));
    let is_draining =
        async || (world.reserve(1).now_or_never() == Some(Err(DeskError::Draining))).then_some(());
    crate::inside::eventually("the drain", is_draining).await;
    assert!(!stopped.is_finished(), "it waits for what is inside");
    world.plan.heal();
    inside.await.unwrap().unwrap();
    stopped.await.unwrap();
    assert_eq!(world.account().await.quota_bytes, Some(7));
}
