//! Presigning several uploads at once: all or none.

use std::collections::BTreeSet;

use crate::fault_injection::{Fault, Op};
use serde_json::{Value, json};

use crate::world::{Answer, World};

const BATCH: &str = "POST /v1/files/presign-batch";

fn file(size_bytes: u64) -> Value {
    json!({"filename": "a.txt", "size_bytes": size_bytes, "content_type": "text/plain"})
}

fn batch(sizes: &[u64]) -> Value {
    json!({"files": sizes.iter().copied().map(file).collect::<Vec<_>>()})
}

async fn keyed(world: &World, key: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    world.send("alice", BATCH, &headers, &body.to_string()).await
}

fn ids(answer: &Answer) -> Vec<String> {
    let told = answer.json();
    let files = told["files"].as_array().unwrap_or_else(|| panic!("no files: {told}"));
    files.iter().map(|file| file["file_id"].as_str().unwrap().to_owned()).collect()
}

async fn reserved(world: &World) -> Value {
    let usage = world.get("alice", "/v1/usage").await.json();
    json!([usage["reserved_bytes"], usage["pending_count"]])
}

// proves: I3 I7
#[tokio::test]
async fn a_batch_is_reserved_in_one_write_and_each_file_signed() {
    let world = World::start().await;
    let answer = world.post("alice", BATCH, &batch(&[1, 2, 3])).await;
    assert_eq!((answer.told().as_str(), answer.header("cache-control")), ("201", Some("no-store")));
    assert_eq!(world.inside.plan.calls(Op::Commit), 1, "one write");
    let files = answer.json()["files"].as_array().unwrap().clone();
    for (file, size) in files.iter().zip(1..) {
        let id = file["file_id"].as_str().unwrap();
        assert!(file["upload_url"].as_str().unwrap().contains(id), "{file}");
        assert_eq!((&file["max_bytes"], &file["expires_in"]), (&json!(size), &json!(900)));
        assert_eq!(world.get("alice", &format!("/v1/files/{id}")).await.json()["size_bytes"], size);
    }
    assert_eq!(ids(&answer).into_iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(reserved(&world).await, json!([6, 3]));
    assert_eq!(world.post("alice", BATCH, &batch(&[1; 32])).await.told(), "201");
    assert_eq!(world.inside.plan.calls(Op::Commit), 2, "one write, as large as one may be");
}

async fn check_none(world: &World, body: &Value, expected: &str) -> Value {
    let before = reserved(world).await;
    let answer = world.post("alice", BATCH, body).await;
    assert_eq!(answer.told(), expected, "{body}");
    assert_eq!(reserved(world).await, before, "{body}");
    answer.json()
}

// proves: I3
#[tokio::test]
async fn a_batch_of_which_one_does_not_fit_reserves_nothing() {
    let world = World::configured(|config| {
        config.quota.default_bytes = 10;
        config.quota.files_max = 4;
        config.upload.max_bytes = 10;
    })
    .await;
    let told = check_none(&world, &batch(&[5, 6]), "409 quota_exceeded").await;
    assert_eq!(told["quota"]["requested_bytes"], 11);
    check_none(&world, &batch(&[1; 5]), "409 too_many_files").await;
    let told = check_none(&world, &batch(&[1, 11]), "413 file_too_large").await;
    assert_eq!((&told["pointer"], &told["max_bytes"]), (&json!("/files/1/size_bytes"), &json!(10)));
    let told =
        check_none(&world, &json!({"files": [file(1), {"size_bytes": "x"}]}), "400 validation_failed").await;
    let pointers: Vec<_> = told["errors"].as_array().unwrap().iter().map(|fault| &fault["pointer"]).collect();
    assert_eq!(pointers, ["/files/1/filename", "/files/1/size_bytes", "/files/1/content_type"]);
    check_none(&world, &batch(&[]), "400 validation_failed").await;
    check_none(&world, &batch(&[1; 33]), "400 validation_failed").await;
    world.post("alice", BATCH, &batch(&[5, 5])).await;
    assert_eq!(reserved(&world).await, json!([10, 2]), "what fits is reserved");
}

#[tokio::test]
async fn a_batch_that_would_open_too_many_reserves_nothing() {
    let world = World::start().await;
    for _ in 0..7 {
        world.post("alice", BATCH, &batch(&[1; 32])).await;
    }
    world.post("alice", BATCH, &batch(&[1; 31])).await;
    check_none(&world, &batch(&[1, 1]), "409 too_many_pending_uploads").await;
    assert_eq!(world.post("alice", BATCH, &batch(&[1])).await.told(), "201");
}

// proves: I9
#[tokio::test]
async fn a_repeat_of_a_batch_is_the_same_files_signed_anew() {
    let world = World::start().await;
    let (first, again) =
        (keyed(&world, "k", &batch(&[1, 2])).await, keyed(&world, "k", &batch(&[1, 2])).await);
    assert_eq!((first.told(), ids(&first)), (again.told(), ids(&again)));
    assert_eq!(reserved(&world).await, json!([3, 2]));
    assert_eq!(keyed(&world, "k", &batch(&[1, 3])).await.told(), "422 idempotency_key_reused");
    assert_eq!(keyed(&world, "", &batch(&[1])).await.told(), "400 idempotency_key_invalid");
}

#[tokio::test]
async fn a_repeat_says_of_each_file_how_far_it_has_come() {
    let world = World::start().await;
    let first = ids(&keyed(&world, "k", &batch(&[1, 2, 3])).await);
    world.send("alice", &format!("DELETE /v1/files/{}", first[0]), &[], "").await;
    world.land("alice", wharfinger::domain::ids::FileId::parse(&first[1]).unwrap()).await;
    world.send("alice", &format!("POST /v1/files/{}/complete", first[1]), &[], "").await;
    let again = keyed(&world, "k", &batch(&[1, 2, 3])).await.json();
    assert_eq!(again["files"][0], json!({"file_id": first[0], "status": "failed", "reason": "cancelled"}));
    assert_eq!(again["files"][1], json!({"file_id": first[1], "status": "processed"}));
    assert!(again["files"][2]["upload_url"].is_string(), "{again}");
    for file in &first[1..] {
        world.send("alice", &format!("DELETE /v1/files/{file}?permanent=true"), &[], "").await;
    }
    let past = keyed(&world, "k", &batch(&[1, 2, 3])).await.json();
    assert_eq!(past["files"][1], json!({"file_id": first[1], "status": "deleted"}));
    assert_eq!(past["files"][2], json!({"file_id": first[2], "status": "failed", "reason": "cancelled"}));
}

#[tokio::test]
async fn a_batch_is_for_callers_who_may() {
    let world = World::start().await;
    assert_eq!(world.post("", BATCH, &batch(&[1])).await.told(), "401 token_missing");
    assert_eq!(world.send("alice", BATCH, &[], "").await.told(), "415 unsupported_media_type");
    assert_eq!(world.get("alice", "/v1/files/presign-batch").await.told(), "405 method_not_allowed");
    let state = wharfinger::domain::account::AccountState::Suspended;
    world.inside.handle.set_state(World::user("alice"), state).await.unwrap();
    assert_eq!(world.post("alice", BATCH, &batch(&[1])).await.told(), "403 user_suspended");
}

// proves: I12 F3
#[tokio::test]
async fn a_batch_whose_outcome_nobody_told_is_reserved_once() {
    let world = World::start().await;
    world.inside.plan.next(Op::Commit, Fault::Unanswered);
    assert_eq!(keyed(&world, "a", &batch(&[1, 2])).await.told(), "201");
    world.inside.plan.next(Op::Commit, Fault::Unavailable);
    assert_eq!(keyed(&world, "b", &batch(&[1, 2])).await.told(), "503 ledger_unavailable");
    assert_eq!(reserved(&world).await, json!([3, 2]));
    assert_eq!(keyed(&world, "b", &batch(&[1, 2])).await.told(), "201");
    assert_eq!(reserved(&world).await, json!([6, 4]));
}
