//! The main job as a client sees it: presign, PUT, processed, listed, downloaded, counted, published.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test stops where it is wrong, and tells")]

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::serve::Site;
use support::{Answer, Dev, SOON};

#[tokio::test]
async fn a_file_goes_in_is_processed_listed_counted_and_comes_back() {
    let dev = Dev::start(&[]);
    let api = dev.api();
    let text = "hello, wharf\n";

    let presigned = api.presign("hello.txt", text.len()).await.expect(201);
    assert_eq!(presigned.headers["cache-control"], "no-store");
    let grant = presigned.json();
    assert_eq!(grant["expires_in"], 900);
    assert_eq!(grant["method"], "PUT");
    assert_eq!(api.usage().await["reserved_bytes"], text.len());
    api.put(&grant, text).await.expect(200);

    let id = grant["file_id"].as_str().expect("an id");
    let file = api.wait_for_status(id, "processed").await;
    assert_eq!(file["size_bytes"], text.len());
    assert_eq!(file["filename"], "hello.txt");
    assert_eq!(api.get("/v1/files").await.expect(200).json()["items"][0]["file_id"], id);

    let link = api.get(&format!("/v1/files/{id}/download-url")).await.expect(200).json();
    let bytes = api.get(link["download_url"].as_str().expect("a URL")).await.expect(200);
    assert_eq!(bytes.body, text);
    assert!(
        bytes.headers["content-disposition"]
            .to_str()
            .unwrap()
            .starts_with("attachment; filename=\"hello.txt\"")
    );

    let usage = api.usage().await;
    assert_eq!((&usage["used_bytes"], &usage["reserved_bytes"]), (&json!(text.len()), &json!(0)));
    assert_eq!(api.events_until("0", "files.processed").await, ["files.reserved", "files.processed"]);
}

/// The names and labels of the counters in an answer of `/metrics`.
fn counter_series(answer: &Answer) -> BTreeSet<String> {
    let metrics = String::from_utf8_lossy(&answer.body);
    let series =
        metrics.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    let names = series.map(|(series, _)| series.to_owned());
    names.filter(|series| series.split('{').next().is_some_and(|name| name.ends_with("_total"))).collect()
}

/// `increase` of a series that first appears at one is nothing: an alert on it would miss its first event.
#[tokio::test]
async fn no_counter_first_appears_when_something_happens() {
    let dev = Dev::start(&[]);
    let api = dev.api();
    let metrics_url = format!("{}/metrics", dev.admin_url);
    let before = counter_series(&api.get(&metrics_url).await.expect(200));
    assert!(before.contains("wharf_desk_invariants_broken_total"), "{before:?}");

    let grant = api.presign("a.txt", 5).await.expect(201).json();
    api.put(&grant, "hello").await.expect(200);
    let id = grant["file_id"].as_str().expect("an id");
    api.wait_for_status(id, "processed").await;
    api.put(&grant, "hello").await.expect(412);
    api.get("/v1/files/nonsense").await.expect(404);
    api.get("/nowhere").await.expect(404);
    api.events_until("0", "files.processed").await;

    let after = counter_series(&api.get(&metrics_url).await.expect(200));
    let born: Vec<_> = after.difference(&before).collect();
    assert!(born.is_empty(), "{born:?}");
}

#[tokio::test]
async fn what_the_api_refuses_reserves_nothing() {
    let dev = Dev::start(&[("WHARF_QUOTA__DEFAULT_BYTES", "52428800")]);
    let api = dev.api();
    let presign = |body: serde_json::Value| {
        let api = api.clone();
        async move { api.post("/v1/files/presign-upload", &body).await }
    };
    let fine = json!({"filename": "a.txt", "size_bytes": 5, "content_type": "text/plain"});
    let with = |field: &str, value: serde_json::Value| {
        let mut body = fine.clone();
        body[field] = value;
        body
    };

    assert_eq!(presign(with("size_bytes", json!(52_428_801))).await.code(413), "file_too_large");
    assert_eq!(presign(with("size_bytes", json!(0.5))).await.code(400), "validation_failed");
    assert_eq!(presign(with("visibility", json!("public_link"))).await.code(400), "validation_failed");
    assert_eq!(presign(with("size_bytes", json!(-1))).await.code(400), "validation_failed");
    assert_eq!(presign(with("owner", json!("me"))).await.code(400), "validation_failed");
    assert_eq!(presign(with("filename", json!("a\nb"))).await.code(400), "validation_failed");
    assert_eq!(presign(with("filename", json!("x".repeat(256)))).await.code(400), "validation_failed");
    let not_json =
        api.send("POST", "/v1/files/presign-upload", &[("content-type", "application/json")], "{").await;
    assert_eq!(not_json.code(400), "invalid_json");
    assert_eq!(dev.with_token("").presign("a", 1).await.code(401), "token_missing");
    assert_eq!(dev.with_token("a.b.c").presign("a", 1).await.code(401), "token_invalid");
    assert_eq!(api.usage().await["reserved_bytes"], 0, "nothing was reserved");

    api.presign("big", 52_428_800).await.expect(201);
    let full = api.presign("one more", 1).await;
    assert_eq!(full.code(409), "quota_exceeded");
    let numbers = &full.json()["quota"];
    assert_eq!(numbers["limit_bytes"], 52_428_800);
    assert_eq!(numbers["reserved_bytes"], 52_428_800);
    assert_eq!(numbers["requested_bytes"], 1);
}

// proves: I27
#[tokio::test]
async fn another_users_file_looks_like_none_at_all() {
    let dev = Dev::start(&[]);
    let (alice, bob) = (dev.user("alice"), dev.user("bob"));
    let file = alice.upload("secret.txt", "alice's").await;
    let never = "0199a3c4-0000-7000-8000-000000000001";
    for path in ["", "/download-url", "/content"] {
        let theirs = bob.get(&format!("/v1/files/{file}{path}")).await;
        let none = bob.get(&format!("/v1/files/{never}{path}")).await;
        let no_id = bob.get(&format!("/v1/files/not-an-id{path}")).await;
        assert_eq!(theirs.code(404), "file_not_found");
        assert_eq!(none.code(404), "file_not_found");
        assert_eq!(no_id.code(404), "file_not_found");
        assert_eq!(theirs.body.len(), none.body.len());
        assert_eq!(theirs.body.len(), no_id.body.len());
    }
    assert_eq!(bob.delete(&format!("/v1/files/{file}?permanent=true")).await.code(404), "file_not_found");
    alice.get(&format!("/v1/files/{file}")).await.expect(200);
}

// proves: F8
#[tokio::test]
async fn the_endpoint_takes_exactly_what_was_signed_and_only_once() {
    let dev = Dev::start(&[]);
    let api = dev.api();
    let text = "exactly this";
    let sum = "Pss1XKwEkPGabjWz4O3BTuUk0uNRFwzhkHJGyRvw5pM=";
    let body = json!({"filename": "a", "size_bytes": text.len(), "content_type": "text/plain", "checksum_sha256": sum});
    let grant = api.post("/v1/files", &body).await.expect(201).json();

    api.put(&grant, "another length").await.expect(403);
    let mut other_type = grant.clone();
    other_type["headers"]["content-type"] = json!("text/html");
    api.put(&other_type, text).await.expect(403);
    let mut again_and_again = grant.clone();
    again_and_again["headers"].as_object_mut().expect("headers").remove("if-none-match");
    api.put(&again_and_again, text).await.expect(403);
    api.put(&grant, "exactly THIS").await.expect(400);
    assert_eq!(
        api.get(&format!("/v1/files/{}", grant["file_id"].as_str().unwrap())).await.json()["status"],
        "pending"
    );
}

// proves: I16 F9
#[tokio::test]
async fn a_second_put_is_refused() {
    let dev = Dev::start(&[]);
    let api = dev.api();
    let grant = api.presign("once.txt", 4).await.expect(201).json();
    api.put(&grant, "once").await.expect(200);
    api.put(&grant, "more").await.expect(412);
    let file = api.wait_for_status(grant["file_id"].as_str().unwrap(), "processed").await;
    let link = api.get(&format!("/v1/files/{}/download-url", file["file_id"].as_str().unwrap())).await.json();
    assert_eq!(api.get(link["download_url"].as_str().unwrap()).await.body, "once");
}

// proves: I10
#[tokio::test]
async fn a_file_goes_to_the_trash_comes_back_and_is_deleted_for_good() {
    let dev = Dev::start(&[]);
    let api = dev.api();
    let grant = api.presign("letter.txt", 8).await.expect(201).json();
    api.put(&grant, "dear all").await.expect(200);
    let file = grant["file_id"].as_str().unwrap().to_owned();
    api.wait_for_status(&file, "processed").await;
    let path = format!("/v1/files/{file}");
    let link = api.get(&format!("{path}/download-url")).await.expect(200).json();

    for _ in 0..2 {
        api.delete(&path).await.expect(204);
    }
    assert_eq!(api.usage().await["trashed_bytes"], 8);
    assert_eq!(api.get("/v1/files").await.json()["items"], json!([]), "trash is listed only as trash");
    assert_eq!(api.get("/v1/files?status=trashed").await.json()["items"][0]["file_id"], file.as_str());
    assert_eq!(api.get(&format!("{path}/download-url")).await.status, 404, "trash is not signed");
    api.post(&format!("{path}/restore"), &json!({})).await.expect(200);
    assert_eq!(api.usage().await["trashed_bytes"], 0);

    for _ in 0..2 {
        api.delete(&format!("{path}?permanent=true")).await.expect(204);
    }
    assert_eq!(api.get(&path).await.code(404), "file_not_found");
    assert_eq!(api.usage().await["used_bytes"], 0);
    let names = api.events_until("0", "files.purged").await;
    let expected = [
        "files.reserved",
        "files.processed",
        "files.trashed",
        "files.restored",
        "files.deleted",
        "files.purged",
    ];
    assert_eq!(names, expected);
    assert_eq!(api.get(link["download_url"].as_str().unwrap()).await.status, 404, "the bytes are gone");
    assert_eq!(
        api.put(&grant, "dear all").await.status,
        412,
        "and do not come back by the URL of the upload"
    );
    assert_eq!(api.get(link["download_url"].as_str().unwrap()).await.status, 404);
}

// proves: I8
#[tokio::test]
async fn a_cancelled_upload_stays_reserved_until_its_url_is_dead_and_is_never_processed() {
    let dev = Dev::start(&[]);
    let api = dev.api();
    let grant = api.presign("regret.txt", 6).await.expect(201).json();
    let path = format!("/v1/files/{}", grant["file_id"].as_str().unwrap());
    api.delete(&path).await.expect(204);
    let file = api.get(&path).await.expect(200).json();
    assert_eq!((&file["status"], &file["reason"]), (&json!("failed"), &json!("cancelled")));
    assert_eq!(api.usage().await["reserved_bytes"], 6);

    api.put(&grant, "regret").await.expect(200);
    assert!(api.events_until("0", "files.purged").await.contains(&"files.failed".to_owned()));
    let usage = api.usage().await;
    assert_eq!((&usage["reserved_bytes"], &usage["used_bytes"]), (&json!(0), &json!(0)));
}

// proves: I9
#[tokio::test]
async fn a_repeat_with_the_same_key_gets_the_same_file_and_reserves_nothing() {
    let dev = Dev::start(&[]);
    let api = dev.api();
    let post = |size: u32| {
        let body = json!({"filename": "a", "size_bytes": size, "content_type": "text/plain"}).to_string();
        let headers = [("content-type", "application/json"), ("idempotency-key", "one-and-only")];
        let api = api.clone();
        async move { api.send("POST", "/v1/files", &headers, body).await }
    };
    let first = post(7).await.expect(201).json();
    let second = post(7).await.expect(201).json();
    assert_eq!(first["file_id"], second["file_id"]);
    assert_eq!(api.usage().await["reserved_bytes"], 7);
    assert_eq!(post(8).await.code(422), "idempotency_key_reused");
    api.put(&second, "sevenb!").await.expect(200);
}

#[tokio::test]
async fn a_large_file_comes_in_chunks_and_back_whole() {
    let dev = Dev::start(&[]);
    let api = dev.api();
    let text = "hello, wharf\n".repeat(500_000);
    let file = api.upload_in_chunks("large.txt", &text, 5 << 20).await;
    let link = api.get(&format!("/v1/files/{file}/download-url")).await.expect(200).json();
    let bytes = api.get(link["download_url"].as_str().expect("a URL")).await.expect(200);
    assert!(bytes.body == text, "the bytes as they were sent");
    assert_eq!(api.events_until("0", "files.processed").await, ["files.reserved", "files.processed"]);

    let whole =
        json!({"filename": "a", "size_bytes": 9, "content_type": "text/plain", "chunk_bytes": 5 << 20});
    let begun = api.post("/v1/files", &whole).await.expect(201).json();
    let path = format!("/v1/files/{}", begun["file_id"].as_str().unwrap());
    let grant = api.send("PATCH", &format!("{path}/chunks/1"), &[], "").await.expect(200).json();
    api.put(&grant, "another length").await.expect(403);
    api.delete(&path).await.expect(204);
    let deadline = std::time::Instant::now() + support::SOON;
    while api.put(&grant, "nine byte").await.status != 404 {
        assert!(std::time::Instant::now() < deadline, "a cancelled upload is given up");
    }
}

#[tokio::test]
async fn a_client_that_says_it_is_done_need_not_wait_for_the_news() {
    let dev = Dev::start(&[]);
    let api = dev.api();
    let grant = api.presign("now.txt", 3).await.expect(201).json();
    let complete = format!("/v1/files/{}/complete", grant["file_id"].as_str().unwrap());
    assert_eq!(api.post(&complete, &json!({})).await.expect(202).json()["status"], "pending");
    api.put(&grant, "now").await.expect(200);
    assert_eq!(api.post(&complete, &json!({})).await.expect(200).json()["status"], "processed");
    assert_eq!(
        api.post(&complete, &json!({})).await.expect(200).json()["status"],
        "processed",
        "again is fine"
    );
}

// proves: I26 F51
#[tokio::test]
async fn a_stop_loses_nothing_and_ends_with_zero() {
    let folder = tempfile::tempdir().expect("a folder");
    let dev = Dev::start_in(folder.path(), &[]);
    let file = dev.api().upload("kept.txt", "kept").await;
    assert_eq!(dev.terminate(), Some(0));
    let dev = Dev::start_in(folder.path(), &[]);
    let api = dev.api();
    assert_eq!(api.get(&format!("/v1/files/{file}")).await.expect(200).json()["status"], "processed");
    assert_eq!(api.events_until("0", "files.processed").await, ["files.reserved", "files.processed"]);
}

// proves: I25 F52
#[cfg(target_os = "linux")]
#[tokio::test]
async fn row_52_more_connections_than_open_files_leave_room_for_what_must_be_written() {
    const FILES: u32 = 256;
    let dev = Dev::start_with_files(FILES);
    let api = dev.api();
    let grant = api.presign("before.txt", 6).await.expect(201).json(); // over a connection that stays open
    let mut crowd = Vec::new();
    for (url, count) in [(&dev.api_url, 192), (&dev.s3_url, 64)] {
        for _ in 0..count {
            let address = url.trim_start_matches("http://");
            crowd.push(tokio::net::TcpStream::connect(address).await.expect("the kernel takes it"));
        }
    }
    let open_files = || std::fs::read_dir(format!("/proc/{}/fd", dev.pid())).expect("Linux").count();
    let deadline = std::time::Instant::now() + support::SOON;
    while open_files() < 128 + 32 {
        assert!(std::time::Instant::now() < deadline, "half for clients, an eighth for uploads");
        tokio::task::yield_now().await;
    }
    api.presign("meanwhile.txt", 9).await.expect(201);
    let taken = open_files();
    assert!(taken < 224, "{taken} of {FILES} are taken");
    drop(crowd);
    api.put(&grant, "before").await.expect(200);
    api.wait_for_status(grant["file_id"].as_str().unwrap(), "processed").await;
    assert_eq!(api.usage().await["reserved_bytes"], 9);
    assert_eq!(dev.terminate(), Some(0));
}

/// The lines of a JSON log that have this value in some field.
fn lines_with(log: &str, value: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let has = |line: &Value| line.as_object().is_some_and(|line| line.values().any(|found| found == value));
    lines.filter(has).collect()
}

#[tokio::test]
async fn one_search_of_the_log_finds_the_life_of_a_file() {
    let site = Site::new("");
    let serve = site.serve().await;
    let api = serve.user("alice");
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    let headers =
        [("content-type", "application/json"), ("traceparent", &traceparent), ("x-request-id", "req_7/A=")];
    let body = json!({"filename": "a.txt", "size_bytes": 5, "content_type": "text/plain"}).to_string();
    let presigned = api.send("POST", "/v1/files/presign-upload", &headers, body).await.expect(201);
    assert_eq!(presigned.headers["x-request-id"], "req_7/A=");
    let grant = presigned.json();
    api.put(&grant, "hello").await.expect(200);
    let id = grant["file_id"].as_str().unwrap();
    api.wait_for_status(id, "processed").await;
    assert_eq!(api.get(&format!("/v1/files/{id}/chunks")).await.code(409), "not_chunked");

    let stations = [
        ("POST /v1/files/presign-upload 201", true),
        ("entry durable", true),
        ("object landed, the queue knows", false),
        ("arrival seen", false),
        ("gate asked", true),
        ("settled", true),
        ("event published", true),
        ("GET /v1/files/{file_id}/chunks 409", false),
    ];
    let said = |lines: &[Value], message: &str| lines.iter().any(|line| line["message"] == message);
    let deadline = Instant::now() + SOON;
    let lines = loop {
        let lines = lines_with(&serve.said(), id);
        if stations.iter().all(|(message, _)| said(&lines, message)) {
            break lines;
        }
        assert!(Instant::now() < deadline, "not all of {stations:?} in {lines:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let user = &lines.iter().find(|line| line["message"] == "settled").unwrap()["user_id"];
    for line in &lines {
        assert_eq!((line["file_id"].as_str(), &line["user_id"]), (Some(id), user), "{line}");
    }
    let of_trace = lines_with(&serve.said(), trace);
    for (message, knows_trace) in stations {
        assert_eq!(said(&of_trace, message), knows_trace, "{message} with the trace");
    }
    let access = |message: &str| lines.iter().find(|line| line["message"] == message).unwrap();
    assert_eq!(access(stations[0].0)["request_id"], "req_7/A=");
    assert_eq!(access(stations[7].0)["code"], "not_chunked");
}
