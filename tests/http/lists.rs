//! Lists.

use serde_json::Value;
use wharfinger::domain::draft::Write;
use wharfinger::domain::file::{File, Reason, Status};
use wharfinger::ports::LedgerPort as _;

use crate::world::World;

/// The names on a page, and where it goes on.
async fn page(world: &World, name: &str, query: &str) -> (Vec<String>, Option<String>) {
    let answer = world.get(name, &format!("/v1/files?{query}")).await;
    assert_eq!(answer.told(), "200", "{query}: {answer:?}");
    let told = answer.json();
    let names =
        told["items"].as_array().unwrap().iter().map(|item| item["filename"].as_str().unwrap().to_owned());
    let next = told["next_cursor"].as_str().map(str::to_owned);
    let link = answer.header("link").map(str::to_owned);
    assert_eq!(link.is_some(), next.is_some(), "a next page has a link");
    if let (Some(link), Some(next)) = (link, &next) {
        assert!(link.contains(next) && link.ends_with("; rel=\"next\""), "{link}");
    }
    (names.collect(), next)
}

async fn check(world: &World, query: &str, expected: &str) {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let (names, next) = page(world, "alice", &format!("{query}{cursor}")).await;
        pages.push(names.join(" "));
        match next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(pages.join(" | "), expected, "{query}");
}

#[tokio::test]
async fn files_are_listed_newest_first_in_pages() {
    let world = World::start().await;
    for name in ["a1", "b2", "a3", "b4", "a5"] {
        world.upload("alice", name, 1).await;
    }
    world.upload("bob", "x", 1).await;
    check(&world, "", "a5 b4 a3 b2 a1").await;
    check(&world, "size=2", "a5 b4 | a3 b2 | a1").await;
    check(&world, "size=5", "a5 b4 a3 b2 a1").await;
    check(&world, "size=2&name_prefix=a", "a5 a3 | a1").await;
    check(&world, "name_prefix=c", "").await;
    world.upload("alice", "\u{e9}t\u{e9}", 1).await;
    check(&world, "name_prefix=e%CC%81t", "\u{e9}t\u{e9}").await;
    assert_eq!(world.get("alice", "/files").await.told(), "200");
}

#[tokio::test]
async fn a_list_shows_what_its_status_says() {
    let world = World::start().await;
    world.presign("alice", "pending", 1).await;
    world.upload("alice", "processed", 1).await;
    for (name, query) in [("trashed", ""), ("deleted", "?permanent=true")] {
        let file = world.upload("alice", name, 1).await;
        world.send("alice", &format!("DELETE /v1/files/{file}{query}"), &[], "").await;
    }
    let cancelled = world.presign("alice", "cancelled", 1).await;
    world.send("alice", &format!("DELETE /v1/files/{cancelled}"), &[], "").await;
    check(&world, "", "cancelled processed pending").await;
    check(&world, "status=pending", "pending").await;
    check(&world, "status=processed", "processed").await;
    check(&world, "status=failed", "cancelled").await;
    check(&world, "status=trashed", "trashed").await;
    assert_eq!(world.get("alice", "/v1/files?status=gone").await.told(), "400 validation_failed");
    assert_eq!(world.get("alice", "/v1/files?size=0").await.told(), "400 validation_failed");
}

#[tokio::test]
async fn a_cursor_is_bound_and_outlives_its_row() {
    let world = World::start().await;
    for name in ["a", "b", "c"] {
        world.upload("alice", name, 1).await;
    }
    let (names, cursor) = page(&world, "alice", "size=1").await;
    assert_eq!(names, ["c"]);
    let cursor = cursor.unwrap();
    let newest =
        world.get("alice", "/v1/files").await.json()["items"][0]["file_id"].as_str().unwrap().to_owned();
    world.send("alice", &format!("DELETE /v1/files/{newest}?permanent=true"), &[], "").await;
    assert_eq!(page(&world, "alice", &format!("size=1&cursor={cursor}")).await.0, ["b"]);
    for (name, query) in [("bob", ""), ("alice", "&status=processed"), ("alice", "&name_prefix=b")] {
        let answer = world.get(name, &format!("/v1/files?cursor={cursor}{query}")).await;
        assert_eq!(answer.told(), "400 cursor_invalid", "{name} {query}");
    }
    assert_eq!(world.get("alice", "/v1/files?cursor=AAAA").await.told(), "400 cursor_invalid");
}

#[tokio::test]
async fn a_search_without_hits_goes_on_with_a_cursor() {
    let world = World::start().await;
    world.presign("alice", "needle", 1).await;
    world.inside.fill(World::user("alice"), (1..2_100).map(|number| format!("hay{number}"))).await;
    let (names, cursor) = page(&world, "alice", "name_prefix=needle").await;
    assert_eq!(names, Vec::<String>::new());
    let next = format!("name_prefix=needle&cursor={}", cursor.unwrap());
    assert_eq!(page(&world, "alice", &next).await, (vec!["needle".to_owned()], None));
}

// proves: I4
#[tokio::test]
async fn deleted_files_leave_no_empty_pages() {
    let world = World::start().await;
    world.upload("alice", "living", 1).await;
    let user = World::user("alice");
    world.inside.fill(user, (0..2_500).map(|number| format!("gone{number}"))).await;
    let account = world.inside.well.ledger.load(user).await.unwrap().unwrap();
    let rows = world.inside.rows(user).await;
    let hidden = rows.into_iter().filter(|row| row.filename.starts_with("gone")).map(|row| File {
        status: Status::Gone,
        reason: Some(Reason::User),
        ..row
    });
    let mut account = account;
    account.totals.file_count = 1;
    let write = Write { files: hidden.collect(), ..Write::on(account, world.inside.time.op_id()) };
    world.inside.well.ledger.commit(write).await.unwrap();
    assert_eq!(page(&world, "alice", "").await, (vec!["living".to_owned()], None));
    assert_eq!(page(&world, "alice", "size=1").await, (vec!["living".to_owned()], None));
}

#[tokio::test]
async fn a_page_is_never_longer_than_its_bound() {
    let world = World::start().await;
    for number in 0..210 {
        world.presign("alice", &number.to_string(), 1).await;
    }
    let answer = world.get("alice", "/v1/files?size=1000000000").await.json();
    assert_eq!(answer["items"].as_array().map(Vec::len), Some(200));
    assert!(matches!(answer["next_cursor"], Value::String(_)));
}
