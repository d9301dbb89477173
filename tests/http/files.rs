//! One file: show, change, trash, restore, delete, complete.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::world::World;

async fn check(world: &World, name: &str, what: &str, expected: &str) {
    assert_eq!(world.send(name, what, &[], "").await.told(), expected, "{what} by {name}");
}

#[tokio::test]
async fn a_file_is_shown_to_its_owner() {
    let world = World::start().await;
    let file = world.upload("alice", "a.txt", 5).await;
    let answer = world.get("alice", &format!("/v1/files/{file}")).await;
    assert_eq!(answer.header("etag"), Some("\"2\""));
    let at = crate::world::NOW.to_string();
    // The client declared none; the bucket knows it.
    let found = STANDARD.encode(digest(&SHA256, b"xxxxx"));
    assert_eq!(
        answer.json(),
        json!({
            "file_id": file, "filename": "a.txt", "size_bytes": 5, "content_type": "text/plain",
            "checksum_sha256": found, "visibility": "private", "status": "processed", "reason": null,
            "created_at": at, "processed_at": at, "trashed_at": null, "revision": 2
        })
    );
}

// proves: I27
#[tokio::test]
async fn a_file_that_is_not_ones_own_is_like_none() {
    let world = World::start().await;
    let file = world.upload("alice", "a.txt", 5).await;
    let mut told = Vec::new();
    let nobody = "0199a3c4-0000-7000-8000-000000000001";
    for id in [file.to_string().as_str(), nobody, "nonsense", "..%2f..", &"x".repeat(300)] {
        let answer = world.get("bob", &format!("/v1/files/{id}")).await;
        if id.contains('%') {
            assert_eq!(answer.told(), "400 validation_failed");
            continue;
        }
        assert_eq!(answer.told(), "404 file_not_found", "{id}");
        let mut body = answer.json();
        for changing in ["request_id", "instance"] {
            body[changing].take();
        }
        told.push((body, answer.body.len()));
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "one body and size: {told:?}");
    for what in [
        "DELETE /v1/files/F",
        "POST /v1/files/F/restore",
        "POST /v1/files/F/complete",
        "GET /v1/files/F/download-url",
        "GET /v1/files/F/content",
    ] {
        check(&world, "bob", &what.replace('F', &file.to_string()), "404 file_not_found").await;
        check(&world, "bob", &what.replace('F', "nonsense"), "404 file_not_found").await;
    }
    check(&world, "alice", &format!("GET /v1/files/{file}"), "200").await;
}

#[tokio::test]
async fn a_known_revision_is_not_sent_again() {
    let world = World::start().await;
    let file = world.upload("alice", "a.txt", 5).await;
    let what = format!("GET /v1/files/{file}");
    let answer = world.send("alice", &what, &[("if-none-match", "\"2\"")], "").await;
    assert_eq!((answer.status.as_u16(), answer.body.len(), answer.header("etag")), (304, 0, Some("\"2\"")));
    let whole = world.send("alice", &what, &[("if-none-match", "\"1\"")], "").await;
    assert_eq!(whole.told(), "200");
    for name in ["etag", "cache-control"] {
        assert_eq!(answer.header(name), whole.header(name), "{name}");
    }
}

#[tokio::test]
async fn a_head_is_a_get_without_its_body() {
    let world = World::start().await;
    let file = world.upload("alice", "a.txt", 5).await;
    for path in
        [format!("/v1/files/{file}"), "/v1/files".to_owned(), "/v1/usage".to_owned(), "/livez".to_owned()]
    {
        let (get, head) =
            (world.get("alice", &path).await, world.send("alice", &format!("HEAD {path}"), &[], "").await);
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        assert_eq!(head.header("content-length"), Some(get.body.len().to_string().as_str()), "{path}");
        assert_eq!(head.header("etag"), get.header("etag"), "{path}");
    }
}

async fn patch(world: &World, file: &str, if_match: Option<&str>, body: &str) -> crate::world::Answer {
    let mut headers = vec![("content-type", "application/merge-patch+json")];
    headers.extend(if_match.map(|tag| ("if-match", tag)));
    world.send("alice", &format!("PATCH /v1/files/{file}"), &headers, body).await
}

#[tokio::test]
async fn a_patch_changes_what_it_names() {
    let world = World::start().await;
    let file = world.upload("alice", "a.txt", 5).await.to_string();
    let answer = patch(&world, &file, None, r#"{"filename": "b.txt"}"#).await;
    assert_eq!((answer.told().as_str(), answer.header("etag")), ("200", Some("\"3\"")));
    assert_eq!(
        (&answer.json()["filename"], &answer.json()["visibility"]),
        (&json!("b.txt"), &json!("private"))
    );
    let named = r#"{"visibility": "private"}"#;
    for word in ["public_link", "team"] {
        let answer = patch(&world, &file, None, &format!(r#"{{"visibility": "{word}"}}"#)).await;
        assert_eq!(answer.told(), "400 validation_failed");
        assert_eq!(answer.json()["errors"][0]["code"], "not_available", "{word}");
    }
    assert_eq!(patch(&world, &file, Some("\"2\""), named).await.told(), "412 precondition_failed");
    assert_eq!(patch(&world, &file, Some("\"2\", \"9\""), named).await.told(), "412 precondition_failed");
    assert_eq!(patch(&world, &file, Some("W/\"3\""), named).await.told(), "412 precondition_failed");
    assert_eq!(patch(&world, &file, Some("\"2\", \"3\""), named).await.told(), "200");
    assert_eq!(
        patch(&world, &file, Some("\"4\""), r#"{"size_bytes": 1}"#).await.told(),
        "400 validation_failed"
    );
    assert_eq!(patch(&world, "nonsense", None, named).await.told(), "404 file_not_found");
    let what = format!("PATCH /v1/files/{file}");
    let answer = world.send("alice", &what, &[("content-type", "text/plain")], named).await;
    assert_eq!(answer.told(), "415 unsupported_media_type");
}

#[tokio::test]
async fn what_is_bound_to_a_revision_does_nothing_to_another() {
    let world = World::start().await;
    let file = world.upload("alice", "a.txt", 5).await;
    let ask = async |what: &str, tag: &str| {
        let what = what.replace("{}", &file.to_string());
        world.send("alice", &what, &[("if-match", tag)], "").await.told()
    };
    assert_eq!(ask("GET /v1/files/{}", "\"1\"").await, "412 precondition_failed");
    assert_eq!(ask("GET /v1/files/{}", "\"1\", \"2\"").await, "200");
    for delete in ["DELETE /v1/files/{}", "DELETE /v1/files/{}?permanent=true"] {
        assert_eq!(ask(delete, "\"1\"").await, "412 precondition_failed");
        assert_eq!(ask(delete, "\"1\", \"9\"").await, "412 precondition_failed");
    }
    assert_eq!(world.get("alice", &format!("/v1/files/{file}")).await.json()["status"], "processed");
    assert_eq!(ask("DELETE /v1/files/{}", "\"2\"").await, "204");
    assert_eq!(ask("POST /v1/files/{}/restore", "\"2\"").await, "412 precondition_failed");
    assert_eq!(ask("POST /v1/files/{}/restore", "\"3\"").await, "200");
    assert_eq!(ask("DELETE /v1/files/{}?permanent=true", "*").await, "204");
}

#[tokio::test]
async fn an_answer_without_a_body_is_of_no_type() {
    let world = World::start().await;
    let file = world.upload("alice", "a.txt", 5).await;
    let ask =
        async |what: &str, accept: &str| world.send("alice", what, &[("accept", accept)], "").await.told();
    assert_eq!(ask(&format!("GET /v1/files/{file}/content"), "text/plain").await, "302");
    assert_eq!(ask(&format!("GET /v1/files/{file}/content"), "image/*").await, "302");
    assert_eq!(ask(&format!("GET /v1/files/{file}"), "image/*").await, "406 not_acceptable");
    assert_eq!(ask(&format!("GET /v1/files/{file}"), "").await, "200");
    assert_eq!(ask(&format!("DELETE /v1/files/{file}"), "text/plain").await, "204");
}

#[tokio::test]
async fn trash_comes_back_and_delete_does_not() {
    let world = World::start().await;
    let file = world.upload("alice", "a.txt", 5).await;
    let restore = format!("POST /v1/files/{file}/restore");
    check(&world, "alice", &format!("DELETE /v1/files/{file}"), "204").await;
    check(&world, "alice", &format!("DELETE /v1/files/{file}"), "204").await;
    let usage = world.get("alice", "/v1/usage").await.json();
    assert_eq!((&usage["used_bytes"], &usage["trashed_bytes"]), (&json!(5), &json!(5)));
    let restored = world.send("alice", &restore, &[], "").await;
    let again = world.send("alice", &restore, &[], "").await;
    assert_eq!((restored.told().as_str(), &restored.json()["status"]), ("200", &json!("processed")));
    assert_eq!((again.told().as_str(), again.json()), ("200", restored.json()), "the file as it is");
    assert_eq!(again.header("etag"), restored.header("etag"), "nothing has changed");
    check(&world, "alice", &format!("DELETE /v1/files/{file}?permanent=maybe"), "400 validation_failed")
        .await;
    check(&world, "alice", &format!("DELETE /v1/files/{file}?permanent=true"), "204").await;
    check(&world, "alice", &format!("DELETE /v1/files/{file}?permanent=true"), "204").await;
    check(&world, "alice", &restore, "404 file_not_found").await;
    check(&world, "alice", &format!("GET /v1/files/{file}"), "404 file_not_found").await;
    let known = world.send("alice", &format!("GET /v1/files/{file}"), &[("if-none-match", "*")], "").await;
    assert_eq!(known.told(), "404 file_not_found");
    assert_eq!(world.get("alice", "/v1/usage").await.json()["used_bytes"], 0);
}

#[tokio::test]
async fn a_pending_file_is_cancelled_and_not_restored() {
    let world = World::start().await;
    let file = world.presign("alice", "a.txt", 5).await;
    check(&world, "alice", &format!("POST /v1/files/{file}/restore"), "409 not_in_trash").await;
    check(&world, "alice", &format!("DELETE /v1/files/{file}"), "204").await;
    let shown = world.get("alice", &format!("/v1/files/{file}")).await.json();
    assert_eq!((&shown["status"], &shown["reason"]), (&json!("failed"), &json!("cancelled")));
}

#[tokio::test]
async fn complete_settles_once_the_bytes_are_there() {
    let world = World::start().await;
    let file = world.presign("alice", "a.txt", 5).await;
    let complete = format!("POST /v1/files/{file}/complete");
    let early = world.send("alice", &complete, &[], "").await;
    assert_eq!((early.told().as_str(), &early.json()["status"]), ("202", &json!("pending")));
    assert_eq!(early.json()["awaiting"], json!({"step": "upload", "missing_bytes": 5}));
    world.land("alice", file).await;
    for _ in 0..2 {
        let settled = world.send("alice", &complete, &[], "").await;
        assert_eq!((settled.told().as_str(), &settled.json()["status"]), ("200", &json!("processed")));
        assert!(settled.json()["awaiting"].is_null(), "{settled:?}");
    }
    let usage = world.get("alice", "/v1/usage").await.json();
    let expected = json!({"used_bytes": 5, "reserved_bytes": 0, "trashed_bytes": 0, "limit_bytes": 1 << 30,
                          "file_count": 1, "pending_count": 0, "state": "active"});
    assert_eq!(usage, expected);
}
