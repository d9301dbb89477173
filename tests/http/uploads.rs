//! Presigning.

use serde_json::{Value, json};

use crate::world::{NOW, World, checksum};
use wharfinger::domain::time::Timestamp;

fn report(size_bytes: u64) -> Value {
    json!({"filename": "report.pdf", "size_bytes": size_bytes, "content_type": "application/pdf"})
}

#[tokio::test]
async fn a_presign_answers_as_the_contract_says() {
    let world = World::start().await;
    let mut body = report(1_048_576);
    body["checksum_sha256"] = json!(checksum());
    let answer = world.post("alice", "POST /v1/files/presign-upload", &body).await;
    assert_eq!(answer.told(), "201");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("location"), None);
    let mut told = answer.json();
    let url = told["upload_url"].take();
    let file = told["file_id"].take();
    let place = format!("/wharf/user/{}/{}?", World::user("alice"), file.as_str().unwrap());
    assert!(url.as_str().unwrap().starts_with("http://127.0.0.1:"), "{url}");
    assert!(url.as_str().unwrap().contains(&place), "{url}");
    assert_eq!(
        told,
        json!({
            "file_id": null, "upload_url": null, "expires_in": 900, "method": "PUT",
            "headers": {
                "content-type": "application/pdf", "if-none-match": "*",
                "x-amz-checksum-sha256": checksum(),
                "x-amz-meta-file-id": file, "x-amz-meta-name": "report%2Epdf", "x-amz-meta-size": "1048576"
            },
            "expires_at": NOW.after(std::time::Duration::from_secs(900)).to_string(), "max_bytes": 1_048_576
        })
    );
    let shown = world.get("alice", &format!("/v1/files/{}", file.as_str().unwrap())).await.json();
    assert_eq!((&shown["status"], &shown["checksum_sha256"]), (&json!("pending"), &json!(checksum())));
}

#[tokio::test]
async fn a_create_says_where_the_file_is() {
    let world =
        World::configured(|config| config.http.public_url = "https://files.example/".to_owned()).await;
    let answer = world.post("alice", "POST /v1/files", &report(5)).await;
    let place = format!("https://files.example/v1/files/{}", answer.json()["file_id"].as_str().unwrap());
    assert_eq!((answer.told().as_str(), answer.header("location")), ("201", Some(place.as_str())));
    assert_eq!(world.post("alice", "POST /files/presign-upload", &report(5)).await.told(), "201");
    assert_eq!(world.post("alice", "POST /files", &report(5)).await.told(), "201");
}

async fn keyed(world: &World, key: &str, body: &Value) -> crate::world::Answer {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    world.send("alice", "POST /v1/files", &headers, &body.to_string()).await
}

// proves: I9
#[tokio::test]
async fn a_repeat_with_the_same_key_is_the_same_file() {
    let world = World::start().await;
    let (first, again) = (keyed(&world, "k1", &report(5)).await, keyed(&world, "k1", &report(5)).await);
    assert_eq!(first.json()["file_id"], again.json()["file_id"]);
    assert_eq!(world.get("alice", "/v1/usage").await.json()["reserved_bytes"], 5);
    assert_eq!(keyed(&world, "k1", &report(6)).await.told(), "422 idempotency_key_reused");
    assert_eq!(keyed(&world, "k2", &report(5)).await.told(), "201");
    assert_eq!(keyed(&world, &"k".repeat(256), &report(5)).await.told(), "400 idempotency_key_invalid");
}

#[tokio::test]
async fn a_repeat_gets_what_is_left_of_the_time_and_then_nothing() {
    let world = World::start().await;
    keyed(&world, "k1", &report(5)).await;
    let after = |secs: u64| Timestamp::from_millis(NOW.as_millis() + secs * 1000);
    world.inside.clock.set(after(60));
    assert_eq!(keyed(&world, "k1", &report(5)).await.json()["expires_in"], 840);
    world.inside.clock.set(after(0));
    let file = keyed(&world, "k1", &report(5)).await.json()["file_id"].as_str().unwrap().to_owned();
    world.send("alice", &format!("DELETE /v1/files/{file}"), &[], "").await;
    let past = keyed(&world, "k1", &report(5)).await;
    assert_eq!(past.told(), "410 upload_expired");
    let past = past.json();
    assert_eq!((&past["file"]["file_id"], &past["file"]["status"]), (&json!(file), &json!("failed")));
    assert_eq!(past["file"]["reason"], "cancelled");
}

#[tokio::test]
async fn a_repeat_after_the_upload_names_the_file_that_came_of_it() {
    let world = World::start().await;
    let file = keyed(&world, "k1", &report(5)).await.json()["file_id"].as_str().unwrap().to_owned();
    world.land("alice", wharfinger::domain::ids::FileId::parse(&file).unwrap()).await;
    world.send("alice", &format!("POST /v1/files/{file}/complete"), &[], "").await;
    let past = keyed(&world, "k1", &report(5)).await;
    assert_eq!(past.told(), "410 upload_expired");
    let past = past.json();
    assert_eq!((&past["file"]["file_id"], &past["file"]["status"]), (&json!(file), &json!("processed")));
    assert!(past["file"]["reason"].is_null(), "{past}");
}

// proves: I3
#[tokio::test]
async fn quota_is_kept_and_told() {
    let world = World::configured(|config| config.upload.max_bytes = 1 << 31).await;
    world.post("alice", "POST /v1/files", &report(1 << 29)).await;
    let answer = world.post("alice", "POST /v1/files", &report((1 << 29) + 1)).await;
    assert_eq!(answer.told(), "409 quota_exceeded");
    let quota = json!({"limit_bytes": 1 << 30, "used_bytes": 0, "reserved_bytes": 1 << 29,
                       "requested_bytes": (1 << 29) + 1});
    assert_eq!(answer.json()["quota"], quota);
    assert_eq!(world.post("bob", "POST /v1/files", &report((1 << 29) + 1)).await.told(), "201");
}

// proves: I25
#[tokio::test]
async fn open_reservations_are_bounded() {
    let world = World::start().await;
    for number in 0..256 {
        world.presign("alice", &format!("{number}"), 1).await;
    }
    assert_eq!(
        world.post("alice", "POST /v1/files", &report(1)).await.told(),
        "409 too_many_pending_uploads"
    );
}

#[tokio::test]
async fn an_empty_file_is_a_file() {
    let world = World::start().await;
    let file = world.upload("alice", "empty.txt", 0).await;
    let shown = world.get("alice", &format!("/v1/files/{file}")).await.json();
    assert_eq!((&shown["status"], &shown["size_bytes"]), (&json!("processed"), &json!(0)));
    let usage = world.get("alice", "/v1/usage").await.json();
    assert_eq!((&usage["used_bytes"], &usage["file_count"]), (&json!(0), &json!(1)));
    let mut chunked = report(0);
    chunked["chunk_bytes"] = json!(5 << 20);
    let answer = world.post("alice", "POST /v1/files", &chunked).await;
    assert_eq!(answer.json()["errors"][0]["pointer"], "/chunk_bytes");
}

#[tokio::test]
async fn names_and_types_are_taken_as_browsers_write_them() {
    let world = World::start().await;
    for (content_type, normal) in [
        ("video/webm;codecs=vp8,opus", "video/webm; codecs=\"vp8,opus\""),
        ("text/plain;", "text/plain"),
        ("Text/Plain;Charset=UTF-8", "text/plain; charset=utf-8"),
    ] {
        // 255 characters of four bytes: the longest name there is goes all the way, into the bucket and out of it.
        let name = "\u{1f4e6}".repeat(255);
        let body = json!({"filename": name, "size_bytes": 5, "content_type": content_type});
        let told = world.post("alice", "POST /v1/files", &body).await;
        assert_eq!(told.told(), "201", "{content_type}");
        let told = told.json();
        assert_eq!(told["headers"]["content-type"], normal);
        let file = wharfinger::domain::ids::FileId::parse(told["file_id"].as_str().unwrap()).unwrap();
        world.land("alice", file).await;
        let done = world.send("alice", &format!("POST /v1/files/{file}/complete"), &[], "").await;
        assert_eq!((done.told().as_str(), &done.json()["filename"]), ("200", &json!(name)));
        assert_eq!(done.json()["content_type"], normal);
        let url = world.get("alice", &format!("/v1/files/{file}/download-url")).await.json();
        assert!(url["download_url"].as_str().unwrap().len() < 8192, "servers take lines of 8 KB");
    }
}

#[tokio::test]
async fn what_cannot_be_uploaded_is_refused() {
    let world = World::configured(|config| {
        config.upload.max_bytes = 10;
        config.upload.allowed_types = vec!["application/pdf".to_owned()];
    })
    .await;
    let check = async |body: &str, expected: &str| {
        let headers = [("content-type", "application/json")];
        let answer = world.send("alice", "POST /v1/files", &headers, body).await;
        assert_eq!(answer.told(), expected, "{body}");
        answer
    };
    check("{", "400 invalid_json").await;
    check(&report(11).to_string(), "413 file_too_large").await;
    let html = report(1).to_string().replace("application/pdf", "text/html");
    check(&html, "415 content_type_not_allowed").await;
    let faults = check(r#"{"size_bytes": -1, "user_id": 1}"#, "400 validation_failed").await.json();
    let pointers: Vec<_> =
        faults["errors"].as_array().unwrap().iter().map(|fault| &fault["pointer"]).collect();
    assert_eq!(
        pointers,
        ["/filename", "/size_bytes", "/content_type", "/user_id"].map(Value::from).each_ref()
    );
    for word in ["public_link", "team"] {
        let mut body = report(1);
        body["visibility"] = json!(word);
        let fault = check(&body.to_string(), "400 validation_failed").await.json()["errors"][0].take();
        assert_eq!((&fault["pointer"], &fault["code"]), (&json!("/visibility"), &json!("not_available")));
        assert!(fault["detail"].as_str().unwrap().contains(word), "{fault}");
    }
    check(&format!("{{\"filename\": \"{}\"}}", "x".repeat(70_000)), "413 body_too_large").await;
    assert_eq!(world.get("alice", "/v1/usage").await.json()["reserved_bytes"], 0);
}
