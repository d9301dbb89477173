//! What clients see while something behind is away. None of the reasons ever leaves the process.

use crate::fault_injection::{Fault, Op, Port, REASON};
use serde_json::json;
use wharfinger::actors::TreeOptions;

use crate::inside::Chosen;
use crate::world::World;

async fn check(world: &World, what: &str, expected: &str) {
    let body = json!({"filename": "a", "size_bytes": 1, "content_type": "a/b"});
    let answer = world.post("alice", what, &body).await;
    assert_eq!(answer.told(), expected, "{what}");
    assert!(answer.header("retry-after").is_some(), "{what}: {answer:?}");
    assert_eq!(answer.json()["retryable"], true);
    assert!(!answer.text().contains("10.0.0"), "{}", answer.text());
    assert!(!answer.text().contains(REASON), "{}", answer.text());
}

// proves: F49
#[tokio::test]
async fn a_desk_that_is_full_says_so() {
    let options = TreeOptions { admission_max: 0, ..TreeOptions::default() };
    let world = World::start_with(|_| (), Chosen { options, ..Chosen::default() }).await;
    check(&world, "POST /v1/files", "503 overloaded").await;
}

#[tokio::test]
async fn a_desk_that_cannot_write_or_look_says_so() {
    let mut world = World::start().await;
    let file = world.presign("alice", "a", 1).await;
    world.inside.plan.set(Op::Commit, Fault::Unavailable);
    check(&world, "POST /v1/files", "503 ledger_unavailable").await;
    world.inside.plan.heal();
    world.inside.plan.set_port(Port::Objects, Fault::Unavailable);
    check(&world, &format!("POST /v1/files/{file}/complete"), "503 objects_unavailable").await;
    world.inside.stop().await;
    check(&world, "POST /v1/files", "503 draining").await;
}

// proves: I12 F35
#[tokio::test]
async fn a_ledger_that_is_away_is_told_and_a_sick_one_too() {
    let world = World::start().await;
    let file = world.upload("alice", "a", 1).await;
    world.inside.plan.set_port(Port::Ledger, Fault::Unavailable);
    for path in
        ["/v1/usage", "/v1/files", &format!("/v1/files/{file}"), &format!("/v1/files/{file}/download-url")]
    {
        check(&world, &format!("GET {path}"), "503 ledger_unavailable").await;
    }
    world.inside.plan.set_port(Port::Ledger, Fault::Corrupt);
    check(&world, "GET /v1/usage", "500 internal").await;
}

#[tokio::test]
async fn a_panic_costs_one_request() {
    let world = World::start().await;
    world.inside.plan.next(Op::Load, Fault::Panic);
    check(&world, "GET /v1/usage", "500 internal").await;
    assert_eq!(world.get("alice", "/v1/usage").await.told(), "200");
}

// proves: I12 F35
#[tokio::test(start_paused = true)]
async fn a_ledger_that_is_silent_is_not_waited_for() {
    let world = World::start().await;
    world.inside.plan.set_port(Port::Ledger, Fault::Hang);
    check(&world, "GET /v1/usage", "504 upstream_timeout").await;
}

#[tokio::test]
async fn a_signer_and_a_log_that_are_away_are_told() {
    let world = World::start().await;
    let file = world.upload("alice", "a", 1).await;
    world.inside.plan.set_port(Port::Signer, Fault::Unavailable);
    check(&world, "POST /v1/files", "503 signer_unavailable").await;
    check(&world, &format!("GET /v1/files/{file}/download-url"), "503 signer_unavailable").await;
    world.inside.plan.set_port(Port::Log, Fault::Unavailable);
    check(&world, "GET /v1/events", "503 log_unavailable").await;
}
