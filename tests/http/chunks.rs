//! Files that come in chunks, as clients see them.

use std::time::Duration;

use crate::fault_injection::{Fault, Op, Port};
use serde_json::{Value, json};
use wharfinger::domain::account::AccountState;
use wharfinger::domain::ids::{FileId, ObjectKey};

use crate::world::{Answer, NOW, World};

const CHUNK: u64 = 5 << 20;

fn body(size_bytes: u64, chunk_bytes: u64) -> Value {
    json!({"filename": "a.bin", "size_bytes": size_bytes, "content_type": "text/plain", "chunk_bytes": chunk_bytes})
}

async fn presign(world: &World, size_bytes: u64) -> String {
    let answer = world.post("alice", "POST /v1/files", &body(size_bytes, CHUNK)).await;
    assert_eq!(answer.told(), "201", "{answer:?}");
    answer.json()["file_id"].as_str().unwrap().to_owned()
}

async fn sign(world: &World, name: &str, file: &str, chunk: &str) -> Answer {
    world.send(name, &format!("PATCH /v1/files/{file}/chunks/{chunk}"), &[], "").await
}

async fn complete(world: &World, file: &str) -> Answer {
    world.send("alice", &format!("POST /v1/files/{file}/complete"), &[], "").await
}

async fn land(world: &World, file: &str, number: u16) {
    let key = ObjectKey { user: World::user("alice"), file: FileId::parse(file).unwrap() };
    assert_eq!(world.inside.land_chunk(key, number).await, 200);
}

#[tokio::test]
async fn a_presign_in_chunks_names_them_and_signs_nothing() {
    let world = World::start().await;
    let answer = world.post("alice", "POST /v1/files/presign-upload", &body(2 * CHUNK + 1, CHUNK)).await;
    assert_eq!((answer.told().as_str(), answer.header("cache-control")), ("201", Some("no-store")));
    let mut told = answer.json();
    let file = told["file_id"].take();
    let ends_at = NOW.after(Duration::from_secs(33 * 60));
    assert_eq!(
        told,
        json!({
            "file_id": null, "chunk_bytes": CHUNK,
            "chunks": [{"chunk_id": 1, "size_bytes": CHUNK}, {"chunk_id": 2, "size_bytes": CHUNK},
                       {"chunk_id": 3, "size_bytes": 1}],
            "expires_in": 33 * 60, "expires_at": ends_at.to_string(), "max_bytes": 2 * CHUNK + 1
        })
    );
    let usage = world.get("alice", "/v1/usage").await.json();
    assert_eq!(usage["reserved_bytes"], 2 * CHUNK + 1);
    let shown = world.get("alice", &format!("/v1/files/{}", file.as_str().unwrap())).await.json();
    assert_eq!(shown["status"], "pending");
}

#[tokio::test]
async fn chunks_that_cannot_be_are_refused() {
    let world = World::start().await;
    let check = async |body: Value, expected: &str| {
        let answer = world.post("alice", "POST /v1/files", &body).await;
        assert_eq!(answer.told(), "400 validation_failed", "{body}");
        let told = answer.json();
        let faults: Vec<_> =
            told["errors"].as_array().unwrap().iter().map(|fault| &fault["pointer"]).collect();
        assert_eq!(faults, [expected], "{body}");
    };
    check(body(1, CHUNK - 1), "/chunk_bytes").await;
    check(body(1, (5 << 30) + 1), "/chunk_bytes").await;
    check(body(1, 0), "/chunk_bytes").await;
    let mut text = body(1, 0);
    text["chunk_bytes"] = json!("8 MiB");
    check(text, "/chunk_bytes").await;
    let mut summed = body(1, CHUNK);
    summed["checksum_sha256"] = json!(crate::world::checksum());
    check(summed.clone(), "/checksum_sha256").await;
    let batch = world
        .post("alice", "POST /v1/files/presign-batch", &json!({"files": [body(1, CHUNK), summed]}))
        .await;
    assert_eq!(batch.json()["errors"][0]["pointer"], "/files/1/checksum_sha256");
    assert_eq!(world.inside.plan.calls(Op::CreateMultipart), 0);
}

#[tokio::test]
async fn a_batch_may_hold_both_kinds() {
    let world = World::start().await;
    let whole = json!({"filename": "a", "size_bytes": 1, "content_type": "a/b"});
    let answer =
        world.post("alice", "POST /v1/files/presign-batch", &json!({"files": [whole, body(9, CHUNK)]})).await;
    let files = &answer.json()["files"];
    assert!(files[0]["upload_url"].is_string() && files[0]["chunks"].is_null(), "{files}");
    assert!(files[1]["upload_url"].is_null() && files[1]["chunks"].is_array(), "{files}");
    assert_eq!(world.inside.plan.calls(Op::Commit), 1, "one write");
}

#[tokio::test]
async fn a_chunk_is_signed_for_exactly_its_bytes_as_often_as_wanted() {
    let world = World::start().await;
    let file = presign(&world, CHUNK + 7).await;
    for (chunk, size) in [("1", CHUNK), ("2", 7), ("1", CHUNK)] {
        let answer = sign(&world, "alice", &file, chunk).await;
        assert_eq!((answer.told().as_str(), answer.header("cache-control")), ("200", Some("no-store")));
        let mut told = answer.json();
        let url = told["upload_url"].take();
        let place = format!("/{file}?");
        assert!(
            url.as_str().unwrap().contains(&place) && url.as_str().unwrap().contains("partNumber="),
            "{url}"
        );
        assert_eq!(
            told,
            json!({
                "chunk_id": chunk.parse::<u16>().unwrap(), "upload_url": null, "expires_in": 900, "method": "PUT",
                "headers": {}, "size_bytes": size,
                "expires_at": NOW.after(Duration::from_secs(900)).to_string()
            })
        );
    }
}

#[tokio::test]
async fn chunks_are_signed_until_the_reservation_ends() {
    let world = World::start().await;
    let file = presign(&world, 9).await;
    world.inside.pass(Duration::from_secs(32 * 60));
    // A token lives a minute; the clock has gone on.
    let at = |secs: u64| json!({"sub": "alice", "exp": NOW.as_secs() + secs});
    let ask = async |secs: u64| {
        let token = format!("Bearer {}", World::token_with(at(secs)));
        let what = format!("PATCH /v1/files/{file}/chunks/1");
        world.send("", &what, &[("authorization", &token)], "").await
    };
    assert_eq!(ask(32 * 60 + 60).await.json()["expires_in"], 60, "no longer than the reservation");
    world.inside.pass(Duration::from_secs(60));
    assert_eq!(ask(33 * 60 + 60).await.told(), "410 upload_expired");
}

#[tokio::test]
async fn the_bucket_says_which_chunks_have_arrived_and_complete_which_are_missing() {
    let world = World::start().await;
    let file = presign(&world, CHUNK + 7).await;
    land(&world, &file, 2).await;
    let seen = world.get("alice", &format!("/v1/files/{file}/chunks")).await;
    assert_eq!(
        seen.json(),
        json!({
            "file_id": file, "chunk_bytes": CHUNK, "arrived_bytes": 7,
            "chunks": [{"chunk_id": 1, "size_bytes": CHUNK, "arrived": false},
                       {"chunk_id": 2, "size_bytes": 7, "arrived": true}]
        })
    );
    let early = complete(&world, &file).await;
    assert_eq!(early.told(), "409 chunks_incomplete");
    assert_eq!(early.json()["missing_chunks"], json!([1]));
    land(&world, &file, 1).await;
    for _ in 0..2 {
        let done = complete(&world, &file).await;
        assert_eq!((done.told().as_str(), &done.json()["status"]), ("200", &json!("processed")));
    }
    let seen = world.get("alice", &format!("/v1/files/{file}/chunks")).await.json();
    assert_eq!(seen["arrived_bytes"], CHUNK + 7);
    assert_eq!(sign(&world, "alice", &file, "1").await.told(), "409 upload_complete");
    assert_eq!(world.get("alice", "/v1/usage").await.json()["used_bytes"], CHUNK + 7);
    let link = world.get("alice", &format!("/v1/files/{file}/download-url")).await;
    assert_eq!(link.told(), "200");
    world.send("alice", &format!("DELETE /v1/files/{file}"), &[], "").await;
    assert_eq!(sign(&world, "alice", &file, "1").await.told(), "409 upload_complete", "in the trash");
    world.send("alice", &format!("DELETE /v1/files/{file}?permanent=true"), &[], "").await;
    assert_eq!(sign(&world, "alice", &file, "1").await.told(), "404 file_not_found");
}

#[tokio::test]
async fn a_file_whose_chunks_are_being_joined_says_so() {
    let world = World::start().await;
    let file = presign(&world, 9).await;
    land(&world, &file, 1).await;
    // As if another request had joined the chunks meanwhile, and the bucket still knew them.
    world.inside.plan.next(Op::CompleteMultipart, Fault::Corrupt);
    let early = complete(&world, &file).await;
    assert_eq!((early.told().as_str(), &early.json()["status"]), ("202", &json!("pending")));
    assert_eq!(early.json()["awaiting"], json!({"step": "assembly", "missing_bytes": 0}));
    assert_eq!(complete(&world, &file).await.told(), "200");
}

// proves: I27
#[tokio::test]
async fn chunks_are_their_owners_and_exist() {
    let world = World::start().await;
    let file = presign(&world, 9).await;
    let whole = world.presign("alice", "a", 1).await.to_string();
    let never = "0199a3c4-0000-7000-8000-000000000001";
    let mut sizes = Vec::new();
    for id in [file.as_str(), never, "nonsense"] {
        let answer = sign(&world, "bob", id, "1").await;
        assert_eq!(answer.told(), "404 file_not_found");
        sizes.push(answer.body.len());
        assert_eq!(sign(&world, "bob", id, "999").await.told(), "404 file_not_found", "whatever the chunk");
        assert_eq!(world.get("bob", &format!("/v1/files/{id}/chunks")).await.told(), "404 file_not_found");
    }
    assert!(sizes.windows(2).all(|pair| pair[0] == pair[1]), "{sizes:?}");
    for chunk in ["0", "2", "01", "x", "65537"] {
        assert_eq!(sign(&world, "alice", &file, chunk).await.told(), "404 chunk_not_found", "{chunk}");
    }
    assert_eq!(sign(&world, "alice", &whole, "1").await.told(), "409 not_chunked");
    assert_eq!(world.get("alice", &format!("/v1/files/{whole}/chunks")).await.told(), "409 not_chunked");
    assert_eq!(sign(&world, "", &file, "1").await.told(), "401 token_missing");
    assert_eq!(
        world.get("alice", &format!("/v1/files/{file}/chunks/1")).await.told(),
        "405 method_not_allowed"
    );
}

#[tokio::test]
async fn nothing_is_signed_for_who_may_not_or_for_what_was_given_up() {
    let world = World::start().await;
    let file = presign(&world, 9).await;
    let user = World::user("alice");
    world.inside.handle.set_state(user, AccountState::Suspended).await.unwrap();
    assert_eq!(sign(&world, "alice", &file, "1").await.told(), "403 user_suspended");
    world.inside.handle.set_state(user, AccountState::Active).await.unwrap();
    world.send("alice", &format!("DELETE /v1/files/{file}"), &[], "").await;
    let signed = sign(&world, "alice", &file, "1").await;
    assert_eq!((signed.told().as_str(), &signed.json()["reason"]), ("409 file_failed", &json!("cancelled")));
    let seen = world.get("alice", &format!("/v1/files/{file}/chunks")).await;
    assert_eq!((seen.told().as_str(), &seen.json()["reason"]), ("409 file_failed", &json!("cancelled")));
    let done = complete(&world, &file).await;
    assert_eq!((done.told().as_str(), &done.json()["reason"]), ("200", &json!("cancelled")));
}

// proves: I12 F15 F35
#[tokio::test]
async fn a_bucket_or_a_ledger_that_is_away_is_told() {
    let world = World::start().await;
    let file = presign(&world, 9).await;
    world.inside.plan.set_port(Port::Objects, Fault::Unavailable);
    let answer = world.post("alice", "POST /v1/files", &body(9, CHUNK)).await;
    assert_eq!(answer.told(), "503 objects_unavailable");
    let seen = world.get("alice", &format!("/v1/files/{file}/chunks")).await;
    assert_eq!(seen.told(), "503 objects_unavailable");
    assert_eq!(sign(&world, "alice", &file, "1").await.told(), "200", "signing asks nobody");
    assert_eq!(world.get("alice", "/v1/usage").await.json()["reserved_bytes"], 9);
    world.inside.plan.heal();
    world.inside.plan.set_port(Port::Signer, Fault::Unavailable);
    assert_eq!(sign(&world, "alice", &file, "1").await.told(), "503 signer_unavailable");
    world.inside.plan.set_port(Port::Ledger, Fault::Unavailable);
    world.inside.pass(Duration::from_secs(2));
    assert_eq!(sign(&world, "alice", &file, "1").await.told(), "503 ledger_unavailable");
}

// proves: I9
#[tokio::test]
async fn a_repeat_of_a_presign_in_chunks_is_the_same_file() {
    let world = World::start().await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let text = body(9, CHUNK).to_string();
    let first = world.send("alice", "POST /v1/files", &headers, &text).await;
    let again = world.send("alice", "POST /v1/files", &headers, &text).await;
    assert_eq!((first.told().as_str(), first.json()), ("201", again.json()));
    let other = world.send("alice", "POST /v1/files", &headers, &body(8, CHUNK).to_string()).await;
    assert_eq!(other.told(), "422 idempotency_key_reused");
    assert_eq!(world.inside.plan.calls(Op::CreateMultipart), 1);
}
