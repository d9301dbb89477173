//! What operators see and do.

use crate::fault_injection::{Fault, Op};
use serde_json::{Value, json};
use wharfinger::domain::event::filter_of;
use wharfinger::ports::{LogPort as _, ReplayFrom, ReplayPort as _, Stream};

use crate::inside::{Inside, eventually};
use crate::world::{Answer, World};

/// `what` by somebody with this role, with a body of JSON if there is one.
async fn by(world: &World, role: &str, what: &str, body: Option<&Value>) -> Answer {
    let token = World::token_with(json!({"sub": "olga", "roles": [role]}));
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("authorization", bearer.as_str())];
    let body = body.map(Value::to_string);
    if body.is_some() {
        headers.push(("content-type", "application/json"));
    }
    world.send("", what, &headers, body.as_deref().unwrap_or_default()).await
}

async fn put(world: &World, name: &str, what: &str, body: Value) -> Answer {
    by(world, "admin", &format!("PUT /v1/admin/users/{}/{what}", World::user(name)), Some(&body)).await
}

fn sized(size_bytes: u64) -> Value {
    json!({"filename": "a.txt", "size_bytes": size_bytes, "content_type": "text/plain"})
}

/// The user's events so far: type and data.
async fn events(inside: &Inside, name: &str) -> Vec<(String, Value)> {
    let mut replay = inside
        .well
        .log
        .replay(Stream::Events, filter_of(World::user(name)), ReplayFrom::Start)
        .await
        .unwrap();
    let mut events = Vec::new();
    while let Some(record) = replay.next(std::time::Duration::ZERO).await.unwrap() {
        let event: Value = serde_json::from_slice(&record.payload).unwrap();
        events.push((event["type"].as_str().unwrap().to_owned(), event["data"].clone()));
    }
    events
}

async fn wait_for_event(world: &World, name: &str, event_type: &str) -> Value {
    let event_type = format!("io.wharfinger.usage.{event_type}.v1");
    let look = async || {
        let events = events(&world.inside, name).await;
        events.into_iter().rev().find(|(found, _)| *found == event_type).map(|(_, data)| data)
    };
    eventually(&event_type, look).await
}

#[tokio::test]
async fn support_reads_admins_change_and_nobody_else_learns_anything() {
    let world = World::start().await;
    world.presign("alice", "a.txt", 5).await;
    world.inside.sweep().await;
    let user = World::user("alice");
    let nobody = World::user("nobody");
    let check = async |what: &str, body: Option<Value>, expected: [&str; 3]| {
        for (role, expected) in ["user", "support", "admin"].into_iter().zip(expected) {
            assert_eq!(by(&world, role, what, body.as_ref()).await.told(), expected, "{what} by {role}");
        }
    };
    let no = "403 admin_required";
    check("GET /v1/admin/usage", None, [no, "200", "200"]).await;
    check(&format!("GET /v1/admin/users/{user}/usage"), None, [no, "200", "200"]).await;
    // The answer of those who may not is the same whether there is such a user or not.
    check(
        &format!("GET /v1/admin/users/{nobody}/usage"),
        None,
        [no, "404 user_not_found", "404 user_not_found"],
    )
    .await;
    check("GET /v1/admin/users/alice/usage", None, [no, "404 user_not_found", "404 user_not_found"]).await;
    let quota = Some(json!({"quota_bytes": 9}));
    check(&format!("PUT /v1/admin/users/{user}/quota"), quota.clone(), [no, no, "200"]).await;
    check("PUT /v1/admin/users/x/quota", quota, [no, no, "404 user_not_found"]).await;
    let state = Some(json!({"state": "active"}));
    check(&format!("PUT /v1/admin/users/{user}/state"), state, [no, no, "200"]).await;
    assert_eq!(world.send("", "GET /v1/admin/usage", &[], "").await.told(), "401 token_missing");
}

#[tokio::test]
async fn the_totals_are_those_of_the_last_sweep() {
    let world = World::start().await;
    world.upload("alice", "a.txt", 5).await;
    world.presign("bob", "b.txt", 4).await;
    world.inside.sweep().await;
    let totals = by(&world, "support", "GET /v1/admin/usage", None).await.json();
    let alice = json!({"user_id": World::user("alice").to_string(), "used_bytes": 5, "reserved_bytes": 0,
        "trashed_bytes": 0, "file_count": 1});
    let expected = json!({"as_of": world.inside.now().to_string(), "users": 2, "files": 2, "used_bytes": 5,
        "reserved_bytes": 4, "trashed_bytes": 0, "top_users": [alice]});
    assert_eq!(totals, expected);
}

#[tokio::test]
async fn a_new_deployment_shows_its_totals_at_once() {
    let world = World::start().await;
    let totals = by(&world, "support", "GET /v1/admin/usage", None).await;
    assert_eq!(totals.told(), "200", "{totals:?}");
    let expected = json!({"as_of": world.inside.now().to_string(), "users": 0, "files": 0, "used_bytes": 0,
        "reserved_bytes": 0, "trashed_bytes": 0, "top_users": []});
    assert_eq!(totals.json(), expected);
    world.upload("alice", "a.txt", 5).await;
    let later = wharfinger::domain::time::Timestamp::from_millis(world.inside.now().as_millis() + 6000);
    world.inside.clock.set(later);
    let totals = by(&world, "support", "GET /v1/admin/usage", None).await.json();
    assert_eq!((&totals["users"], &totals["used_bytes"]), (&json!(1), &json!(5)));
    assert_eq!(totals["as_of"], later.to_string());
    // Without the ledger the last count stands, whenever that was.
    world.inside.sweep().await;
    world.inside.plan.set(Op::Scan, Fault::Unavailable);
    world.inside.clock.set(wharfinger::domain::time::Timestamp::from_millis(later.as_millis() + 60_000));
    let totals = by(&world, "support", "GET /v1/admin/usage", None).await.json();
    assert_eq!((&totals["users"], &totals["as_of"]), (&json!(1), &json!(later.to_string())));
}

#[tokio::test]
async fn a_user_is_found_by_the_subject_of_their_tokens() {
    let world = World::start().await;
    let file = world.presign("alice", "a.txt", 5).await;
    let alice = World::user("alice");
    let ask = async |query: &str| by(&world, "support", &format!("GET /v1/admin/users{query}"), None).await;
    let found = ask("?sub=alice").await.json();
    let account = &found["items"][0]["account"];
    assert_eq!(
        (&found["items"][0]["user_id"], &found["items"][0]["issuer"], &found["items"][0]["subject"]),
        (&json!(alice.to_string()), &json!(crate::world::ISSUER), &json!("alice"))
    );
    assert_eq!((&account["reserved_bytes"], &account["state"]), (&json!(5), &json!("active")));
    assert_eq!(account["subject"], "alice");
    let open = &account["open_uploads"][0];
    assert_eq!((&open["file_id"], &open["size_bytes"]), (&json!(file.to_string()), &json!(5)));
    assert!(open["release_at"].is_string(), "{open}");
    let shown = ask(&format!("/{alice}")).await.json();
    assert_eq!(shown, *account, "by id it is the same");
    // Somebody who stored nothing yet has an id, and no account.
    let found = ask("?sub=bob&issuer=https%3A%2F%2Fissuer.example").await.json();
    let bob = json!([{"issuer": crate::world::ISSUER, "subject": "bob", "user_id": World::user("bob").to_string(),
        "account": null}]);
    assert_eq!(found["items"], bob);
    assert_eq!(ask(&format!("/{}", World::user("bob"))).await.told(), "404 user_not_found");
    for (query, pointer) in [
        ("", "?sub"),
        ("?issuer=x", "?sub"),
        ("?sub=", "?sub"),
        ("?sub=a%0Ab", "?sub"),
        ("?sub=alice&issuer=https%3A%2F%2Fother.example", "?issuer"),
        ("?sub=alice&page=1", "?page"),
    ] {
        let answer = ask(query).await;
        assert_eq!(answer.told(), "400 validation_failed", "{query}");
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{query}");
    }
    for what in ["GET /v1/admin/users?sub=alice".to_owned(), format!("GET /v1/admin/users/{alice}")] {
        assert_eq!(by(&world, "user", &what, None).await.told(), "403 admin_required", "{what}");
    }
}

#[tokio::test]
async fn half_a_count_is_no_count() {
    let mut world = World::start().await;
    world.inside.plan.set(Op::Scan, Fault::Unavailable);
    // Another tree, which has counted nothing yet: the one behind the server keeps its count.
    world.inside.restart().await;
    assert_eq!(world.inside.handle.census(), None);
}

#[tokio::test]
async fn one_user_is_shown_with_their_own_limit() {
    let world = World::configured(|config| config.quota.default_bytes = 100).await;
    world.upload("alice", "a.txt", 5).await;
    let path = format!("GET /v1/admin/users/{}/usage", World::user("alice"));
    let shown = by(&world, "support", &path, None).await.json();
    let expected = json!({"user_id": World::user("alice").to_string(), "used_bytes": 5, "reserved_bytes": 0,
        "trashed_bytes": 0, "limit_bytes": 100, "quota_bytes": null, "file_count": 1, "pending_count": 0,
        "state": "active"});
    assert_eq!(shown, expected);
    let changed = put(&world, "alice", "quota", json!({"quota_bytes": 7})).await.json();
    assert_eq!((&changed["limit_bytes"], &changed["quota_bytes"]), (&json!(7), &json!(7)));
    let back = put(&world, "alice", "quota", json!({"quota_bytes": null})).await.json();
    assert_eq!((&back["limit_bytes"], &back["quota_bytes"]), (&json!(100), &json!(null)));
}

// proves: I3
#[tokio::test]
async fn under_a_lowered_quota_nothing_new_starts_until_there_is_room_again() {
    let world = World::start().await;
    let file = world.upload("alice", "a.txt", 50).await;
    let waiting = world.presign("alice", "b.txt", 30).await;
    assert_eq!(put(&world, "alice", "quota", json!({"quota_bytes": 60})).await.told(), "200");
    let refused = world.post("alice", "POST /v1/files", &sized(1)).await;
    assert_eq!(refused.told(), "409 quota_exceeded");
    assert_eq!(refused.json()["quota"]["limit_bytes"], 60);
    // What was promised is kept: the upload that is under way is settled.
    world.land("alice", waiting).await;
    let settled = world.send("alice", &format!("POST /v1/files/{waiting}/complete"), &[], "").await;
    assert_eq!((settled.told().as_str(), &settled.json()["status"]), ("200", &json!("processed")));
    world.send("alice", &format!("DELETE /v1/files/{file}?permanent=true"), &[], "").await;
    assert_eq!(world.post("alice", "POST /v1/files", &sized(31)).await.told(), "409 quota_exceeded");
    assert_eq!(world.post("alice", "POST /v1/files", &sized(30)).await.told(), "201");
}

#[tokio::test]
async fn a_quota_of_nothing_takes_nothing_and_may_be_set_before_the_first_upload() {
    let world = World::start().await;
    assert_eq!(put(&world, "newcomer", "quota", json!({"quota_bytes": 0})).await.told(), "200");
    assert_eq!(world.post("newcomer", "POST /v1/files", &sized(1)).await.told(), "409 quota_exceeded");
}

#[tokio::test]
async fn what_an_operator_does_is_told_once() {
    let world = World::configured(|config| config.quota.default_bytes = 100).await;
    world.upload("alice", "a.txt", 50).await;
    for _ in 0..2 {
        put(&world, "alice", "quota", json!({"quota_bytes": 52})).await;
        put(&world, "alice", "state", json!({"state": "suspended"})).await;
    }
    let state = wait_for_event(&world, "alice", "state_changed").await;
    assert_eq!(state["state"], "suspended");
    let quota = wait_for_event(&world, "alice", "quota_changed").await;
    assert_eq!(quota["usage"]["limit_bytes"], 52);
    // 50 of 52: the lower limit crossed a threshold, and its own entry says so.
    let threshold = wait_for_event(&world, "alice", "threshold").await;
    assert_eq!(
        (&threshold["threshold_percent"], &threshold["usage"]["limit_bytes"]),
        (&json!(95), &json!(52))
    );
    assert_eq!(events(&world.inside, "alice").await.len(), 5, "a repeat tells nothing");
}

#[tokio::test]
async fn a_suspended_user_gets_no_signature_not_even_again_and_reads_and_deletes_on() {
    let world = World::start().await;
    let file = world.upload("alice", "a.txt", 5).await;
    let again = async || {
        let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
        world.send("alice", "POST /v1/files", &headers, &sized(1).to_string()).await.told()
    };
    assert_eq!(again().await, "201");
    assert_eq!(
        put(&world, "alice", "state", json!({"state": "suspended"})).await.json()["state"],
        "suspended"
    );
    assert_eq!(again().await, "403 user_suspended");
    let batch = json!({"files": [sized(1)]});
    assert_eq!(
        world.post("alice", "POST /v1/files/presign-batch", &batch).await.told(),
        "403 user_suspended"
    );
    let signed = world.get("alice", &format!("/v1/files/{file}/download-url")).await;
    assert_eq!(signed.told(), "403 user_suspended");
    assert_eq!(world.get("alice", "/v1/files").await.told(), "200");
    assert_eq!(world.send("alice", &format!("DELETE /v1/files/{file}"), &[], "").await.told(), "204");
    put(&world, "alice", "state", json!({"state": "active"})).await;
    assert_eq!(again().await, "201");
}

#[tokio::test]
async fn a_body_that_is_wrong_changes_nothing() {
    let world = World::start().await;
    let check = async |what: &str, body: Value, expected: &str| {
        assert_eq!(put(&world, "alice", what, body.clone()).await.told(), expected, "{what} {body}");
    };
    check("quota", json!({}), "400 validation_failed").await;
    check("quota", json!({"quota_bytes": -1}), "400 validation_failed").await;
    check("state", json!({"state": "banned"}), "400 validation_failed").await;
    let path = format!("GET /v1/admin/users/{}/usage", World::user("alice"));
    assert_eq!(by(&world, "admin", &path, None).await.told(), "404 user_not_found");
    let plain = format!("PUT /v1/admin/users/{}/state", World::user("alice"));
    assert_eq!(by(&world, "admin", &plain, None).await.told(), "415 unsupported_media_type");
}
