//! The caller's ledger and a file's timeline.

use std::time::Duration;

use crate::fault_injection::{Fault, Port};
use serde_json::{Value, json};

use crate::inside::eventually;
use crate::world::{NOW, World};

/// All lines of a ledger, page by page, newest first.
async fn lines(world: &World, name: &str, query: &str) -> Vec<Value> {
    let (mut lines, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = world.get(name, &format!("/v1/usage/ledger?{query}{cursor}")).await;
        assert_eq!(answer.told(), "200", "{query}{cursor}: {answer:?}");
        let told = answer.json();
        lines.extend(told["items"].as_array().unwrap().iter().cloned());
        match told["next_cursor"].as_str() {
            Some(next) => {
                assert!(answer.header("link").is_some_and(|link| link.contains(next)), "{answer:?}");
                cursor = format!("&cursor={next}");
            }
            None => return lines,
        }
    }
}

fn told(lines: &[Value]) -> Vec<String> {
    lines.iter().map(|line| format!("{} {}", line["version"], line["type"].as_str().unwrap())).collect()
}

/// A user with some history: six entries.
async fn with_history() -> World {
    let world = World::start().await;
    let file = world.upload("alice", "a.txt", 5).await;
    world.upload("alice", "b.txt", 7).await;
    world.send("alice", &format!("DELETE /v1/files/{file}"), &[], "").await;
    world.send("alice", &format!("DELETE /v1/files/{file}?permanent=true"), &[], "").await;
    world
}

const HISTORY: [&str; 7] = [
    "7 files.purged",
    "6 files.deleted",
    "5 files.trashed",
    "4 files.processed",
    "3 files.reserved",
    "2 files.processed",
    "1 files.reserved",
];

async fn settled_lines(world: &World, query: &str) -> Vec<Value> {
    let purged = async || {
        let lines = lines(world, "alice", query).await;
        (lines[0]["type"] == "files.purged").then_some(lines)
    };
    eventually("the bytes to go", purged).await
}

#[tokio::test]
async fn a_line_says_what_happened_by_how_much_and_what_came_of_it() {
    let world = World::start().await;
    let file = world.upload("alice", "a.txt", 5).await;
    let lines = lines(&world, "alice", "").await;
    let mut line = lines[0].clone();
    let event = line["event_id"].take();
    assert_eq!(event, json!(event_id(&world, "files.processed").await), "the id that subscribers heard");
    assert_eq!(
        line,
        json!({
            "version": 2, "time": NOW.to_string(), "type": "files.processed", "event_id": null, "file_id": file,
            "size_bytes": 5, "reason": null,
            "step": {"used_bytes": 5, "reserved_bytes": -5, "trashed_bytes": 0, "file_count": 0},
            "totals": {"used_bytes": 5, "reserved_bytes": 0, "trashed_bytes": 0, "file_count": 1,
                       "limit_bytes": 1 << 30, "state": "active"}
        })
    );
}

/// The id of the newest event of this name in the log.
async fn event_id(world: &World, name: &str) -> String {
    use wharfinger::domain::event::filter_of;
    use wharfinger::ports::{LogPort as _, ReplayFrom, ReplayPort as _, Stream};
    let found = async || {
        let filter = filter_of(World::user("alice"));
        let mut replay =
            world.inside.well.log.replay(Stream::Events, filter, ReplayFrom::Start).await.unwrap();
        let mut id = None;
        while let Some(record) = replay.next(Duration::ZERO).await.unwrap() {
            let event: Value = serde_json::from_slice(&record.payload).unwrap();
            if event["type"].as_str().unwrap().contains(name) {
                id = event["id"].as_str().map(str::to_owned);
            }
        }
        id
    };
    eventually(name, found).await
}

// proves: I28
#[tokio::test]
async fn the_ledger_replays_to_every_version_whatever_the_pages() {
    let world = with_history().await;
    let all = settled_lines(&world, "").await;
    assert_eq!(told(&all), HISTORY);
    for size in [1, 2, 3, 6, 7, 8] {
        assert_eq!(lines(&world, "alice", &format!("size={size}")).await, all, "pages of {size}");
    }
    let names = ["used_bytes", "reserved_bytes", "trashed_bytes", "file_count"];
    let mut totals = names.map(|_| 0);
    for line in all.iter().rev() {
        for (total, name) in totals.iter_mut().zip(names) {
            *total += line["step"][name].as_i64().unwrap_or_else(|| panic!("no step: {line}"));
        }
        assert_eq!(totals.map(Value::from), names.map(|name| line["totals"][name].clone()), "{line}");
    }
    let usage = world.get("alice", "/v1/usage").await.json();
    assert_eq!(totals.map(Value::from), names.map(|name| usage[name].clone()));
}

#[tokio::test]
async fn the_ledger_can_be_asked_about_one_file() {
    let world = with_history().await;
    let all = settled_lines(&world, "").await;
    let file = all[6]["file_id"].as_str().unwrap();
    let own =
        ["7 files.purged", "6 files.deleted", "5 files.trashed", "2 files.processed", "1 files.reserved"];
    for size in [1, 4, 50] {
        let found = lines(&world, "alice", &format!("size={size}&file_id={file}")).await;
        assert_eq!(told(&found), own);
        assert!(found.iter().all(|line| all.contains(line)), "the same steps as among all");
    }
    let never = "0199a3c4-0000-7000-8000-000000000001";
    assert_eq!(lines(&world, "alice", &format!("file_id={never}")).await, Vec::<Value>::new());
}

// proves: I27
#[tokio::test]
async fn a_ledger_is_its_owners_and_so_is_its_cursor() {
    let world = with_history().await;
    assert_eq!(lines(&world, "bob", "").await, Vec::<Value>::new());
    let page = world.get("alice", "/v1/usage/ledger?size=2").await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let file = page["items"][0]["file_id"].as_str().unwrap();
    let check = async |name: &str, query: &str, expected: &str| {
        assert_eq!(world.get(name, &format!("/v1/usage/ledger?{query}")).await.told(), expected, "{query}");
    };
    check("alice", &format!("cursor={cursor}"), "200").await;
    check("bob", &format!("cursor={cursor}"), "400 cursor_invalid").await;
    check("alice", &format!("cursor={cursor}&file_id={file}"), "400 cursor_invalid").await;
    check("alice", "cursor=AAAA", "400 cursor_invalid").await;
    let of_files = world.get("alice", "/v1/files?size=1").await.json();
    if let Some(other) = of_files["next_cursor"].as_str() {
        check("alice", &format!("cursor={other}"), "400 cursor_invalid").await;
    }
    check("alice", "size=0", "400 validation_failed").await;
    check("alice", "file_id=x", "400 validation_failed").await;
    check("alice", "before=3", "400 validation_failed").await;
    check("", "", "401 token_missing").await;
    assert_eq!(
        world.post("alice", "POST /v1/usage/ledger", &json!({})).await.told(),
        "405 method_not_allowed"
    );
    world.inside.plan.set_port(Port::Ledger, Fault::Unavailable);
    check("alice", "", "503 ledger_unavailable").await;
}

#[tokio::test]
async fn a_search_through_a_long_ledger_goes_on_with_a_cursor() {
    let world = World::start().await;
    let file = world.presign("alice", "needle", 1).await;
    world.inside.fill(World::user("alice"), (0..1_100).map(|number| format!("hay{number}"))).await;
    let page = world.get("alice", &format!("/v1/usage/ledger?file_id={file}")).await.json();
    assert_eq!(page["items"], json!([]));
    assert!(page["next_cursor"].is_string(), "{page}");
    assert_eq!(told(&lines(&world, "alice", &format!("file_id={file}")).await), ["1 files.reserved"]);
    let way = world.get("alice", &format!("/v1/files/{file}/timeline")).await.json();
    assert_eq!((&way["is_complete"], &way["steps"][0]["step"]), (&json!(false), &json!("presigned")));
}

/// The stations of a file with the milliseconds between them.
async fn way(world: &World, file: &str) -> Vec<(String, u64)> {
    let answer = world.get("alice", &format!("/v1/files/{file}/timeline")).await;
    assert_eq!(answer.told(), "200", "{answer:?}");
    let told = answer.json();
    let station =
        |step: &Value| (step["step"].as_str().unwrap().to_owned(), step["after_ms"].as_u64().unwrap());
    told["steps"].as_array().unwrap().iter().map(station).collect()
}

#[tokio::test]
async fn a_timeline_says_when_each_thing_happened_and_how_long_it_took() {
    let world = World::start().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("content-type", "application/json"), ("traceparent", trace)];
    let body = json!({"filename": "a", "size_bytes": 5, "content_type": "text/plain"}).to_string();
    let granted = world.send("alice", "POST /v1/files", &headers, &body).await.json();
    let file = granted["file_id"].as_str().unwrap();
    assert_eq!(way(&world, file).await, [("presigned".to_owned(), 0)]);
    world.inside.pass(Duration::from_secs(2));
    world.land("alice", wharfinger::domain::ids::FileId::parse(file).unwrap()).await;
    world.inside.pass(Duration::from_secs(3));
    world.send("alice", &format!("POST /v1/files/{file}/complete"), &[], "").await;
    world.inside.pass(Duration::from_secs(10));
    world.send("alice", &format!("DELETE /v1/files/{file}"), &[], "").await;
    let expected = [
        ("presigned", 0),
        ("landed", 2000),
        ("arrival_seen", 3000),
        ("inspected", 0),
        ("processed", 0),
        ("trashed", 10_000),
    ];
    assert_eq!(way(&world, file).await, expected.map(|(step, after_ms)| (step.to_owned(), after_ms)));
    let told = world.get("alice", &format!("/v1/files/{file}/timeline")).await.json();
    assert_eq!(told["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!((&told["file_id"], &told["is_complete"]), (&json!(file), &json!(true)));
    assert_eq!(told["steps"][0]["at"], NOW.to_string());
}

// proves: I27
#[tokio::test]
async fn a_timeline_is_its_owners() {
    let world = World::start().await;
    let file = world.upload("alice", "a.txt", 5).await;
    let never = "0199a3c4-0000-7000-8000-000000000001";
    let mut sizes = Vec::new();
    for id in [&file.to_string(), never, "nonsense"] {
        let answer = world.get("bob", &format!("/v1/files/{id}/timeline")).await;
        assert_eq!(answer.told(), "404 file_not_found", "{id}");
        sizes.push(answer.body.len());
    }
    assert!(sizes.windows(2).all(|pair| pair[0] == pair[1]), "{sizes:?}");
    assert_eq!(world.get("", &format!("/v1/files/{file}/timeline")).await.told(), "401 token_missing");
    world.send("alice", &format!("DELETE /v1/files/{file}?permanent=true"), &[], "").await;
    assert_eq!(
        world.get("alice", &format!("/v1/files/{file}/timeline")).await.told(),
        "404 file_not_found",
        "deleted by its owner"
    );
}
