//! Who may call, and from where.

use serde_json::json;

use crate::world::{ISSUER, NOW, World};
use wharfinger::config::{IssuerSettings, SubjectKind};
use wharfinger::domain::account::AccountState;

async fn check(world: &World, headers: &[(&str, &str)], expected: &str) {
    assert_eq!(world.send("", "GET /v1/usage", headers, "").await.told(), expected, "{headers:?}");
}

#[tokio::test]
async fn a_token_is_needed_and_must_be_right() {
    let world = World::start().await;
    check(&world, &[], "401 token_missing").await;
    check(&world, &[("authorization", "Bearer x.y.z")], "401 token_invalid").await;
    let old = format!("Bearer {}", World::token_with(json!({"sub": "alice", "exp": NOW.as_secs() - 60})));
    check(&world, &[("authorization", &old)], "401 token_expired").await;
    let good = format!("Bearer {}", World::token("alice"));
    check(&world, &[("authorization", &good)], "200").await;
}

#[tokio::test]
async fn a_subject_that_names_no_user_is_refused() {
    let world = World::start().await;
    let long = "x".repeat(256);
    for sub in [json!(null), json!(""), json!(7), json!(["a"]), json!(long), json!("a\nb"), json!("a\u{7f}")]
    {
        let token = format!("Bearer {}", World::token_with(json!({"sub": sub})));
        check(&world, &[("authorization", &token)], "401 token_invalid").await;
    }
    let without = format!("Bearer {}", World::token_with(json!({})));
    check(&world, &[("authorization", &without)], "401 token_invalid").await;
    let longest = format!("Bearer {}", World::token_with(json!({"sub": "x".repeat(255)})));
    check(&world, &[("authorization", &longest)], "200").await;
}

/// Two issuers with one key, so that only their names tell their users apart; the second one's UUIDs are user ids.
async fn two_issuers() -> World {
    World::configured(|config| {
        let ours = &mut config.auth.issuers;
        ours[0].subject = Some(SubjectKind::Name);
        let subject = Some(SubjectKind::Uuid);
        ours.push(IssuerSettings { issuer: OTHER.to_owned(), subject, ..ours[0].clone() });
    })
    .await
}

const OTHER: &str = "https://other.example";

#[tokio::test]
async fn no_token_reaches_another_users_files_by_naming_their_id() {
    let world = two_issuers().await;
    let file = world.upload("alice", "a.txt", 5).await;
    let alice = World::user("alice").to_string();
    for (issuer, sub) in [(ISSUER, alice.clone()), (OTHER, alice.clone()), (OTHER, alice.to_uppercase())] {
        let token = format!("Bearer {}", World::token_with(json!({"iss": issuer, "sub": sub})));
        let by = [("authorization", token.as_str())];
        for path in [format!("/v1/files/{file}"), format!("/v1/files/{file}/download-url")] {
            let answer = world.send("", &format!("GET {path}"), &by, "").await;
            assert_eq!(answer.told(), "404 file_not_found", "{path} by {sub} of {issuer}");
        }
        let listed = world.send("", "GET /v1/files", &by, "").await.json();
        assert_eq!(listed["items"], json!([]), "{sub} of {issuer}");
    }
    // The same name of another issuer is another user, and the chosen issuer's UUID is the user with that id.
    let other = format!("Bearer {}", World::token_with(json!({"iss": OTHER, "sub": "alice"})));
    let listed = world.send("", "GET /v1/files", &[("authorization", &other)], "").await.json();
    assert_eq!(listed["items"], json!([]));
    let id = "0199a3c4-0000-7000-8000-000000000001";
    let theirs = format!("Bearer {}", World::token_with(json!({"iss": OTHER, "sub": id})));
    let body = json!({"filename": "a", "size_bytes": 1, "content_type": "a/b"}).to_string();
    let headers = [("authorization", theirs.as_str()), ("content-type", "application/json")];
    let url = world.send("", "POST /v1/files", &headers, &body).await.json()["upload_url"].to_string();
    assert!(url.contains(&format!("/user/{id}/")), "{url}");
}

#[tokio::test]
async fn a_401_says_what_it_wants_and_no_more() {
    let world = World::start().await;
    let answer = world.get("", "/v1/files").await;
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    assert_eq!(answer.json()["error"], "Unauthorized");
    let minimal = world.send("", "GET /v1/files", &[("prefer", "return=minimal")], "").await;
    assert_eq!(minimal.text(), r#"{"error":"Unauthorized"}"#);
    let bad = world.send("", "GET /v1/files", &[("authorization", "Bearer x")], "").await;
    assert_eq!(bad.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
}

#[tokio::test]
async fn a_cookie_counts_but_not_from_another_site() {
    let world =
        World::configured(|config| config.http.allowed_origins = vec!["https://app.example".to_owned()])
            .await;
    let cookie = format!("a=b; credentials={}", World::token("alice"));
    check(&world, &[("cookie", &cookie)], "200").await;
    let body = json!({"filename": "a", "size_bytes": 1, "content_type": "a/b"}).to_string();
    let post = async |site: &[(&str, &str)], expected: &str| {
        let mut headers = vec![("cookie", cookie.as_str()), ("content-type", "application/json")];
        headers.extend_from_slice(site);
        assert_eq!(world.send("", "POST /v1/files", &headers, &body).await.told(), expected, "{site:?}");
    };
    post(&[("sec-fetch-site", "cross-site")], "403 csrf_rejected").await;
    post(&[("origin", "https://evil.example")], "403 csrf_rejected").await;
    post(&[], "403 csrf_rejected").await;
    post(&[("sec-fetch-site", "same-origin")], "201").await;
    post(&[("origin", "https://app.example")], "201").await;
}

#[tokio::test]
async fn a_token_that_names_an_unknown_key_is_refused() {
    let world = World::configured(|config| config.auth.issuers[0].kid = Some("one".to_owned())).await;
    for (kid, expected) in [(None, "200"), (Some("one"), "200"), (Some("two"), "401 token_invalid")] {
        let token = format!("Bearer {}", World::token_of_key("alice", kid));
        check(&world, &[("authorization", &token)], expected).await;
    }
    let unnamed = World::start().await;
    let token = format!("Bearer {}", World::token_of_key("alice", Some("one")));
    check(&unnamed, &[("authorization", &token)], "401 token_invalid").await;
}

#[tokio::test]
async fn only_a_list_gives_roles() {
    let world = World::start().await;
    for (roles, expected) in [
        (json!(["admin"]), "200"),
        (json!("admin"), "403 admin_required"),
        (json!({"admin": true}), "403 admin_required"),
    ] {
        let token = format!("Bearer {}", World::token_with(json!({"sub": "olga", "roles": roles})));
        let answer = world.send("", "GET /v1/admin/users?sub=olga", &[("authorization", &token)], "").await;
        assert_eq!(answer.told(), expected, "{roles}");
    }
}

/// Every route of a user's own, with a file of each kind, asked by a suspended user.
#[tokio::test]
async fn a_suspended_user_reads_and_deletes_and_does_nothing_else() {
    let world = World::start().await;
    let (done, binned) = (world.upload("alice", "a.txt", 5).await, world.upload("alice", "b.txt", 5).await);
    world.send("alice", &format!("DELETE /v1/files/{binned}"), &[], "").await;
    let whole = world.presign("alice", "c.txt", 5).await;
    world.land("alice", whole).await;
    let chunked = json!({"filename": "d", "size_bytes": 9, "content_type": "a/b", "chunk_bytes": 5 << 20});
    let chunked = world.post("alice", "POST /v1/files", &chunked).await.json()["file_id"].clone();
    let chunked = chunked.as_str().unwrap();
    world.inside.handle.set_state(World::user("alice"), AccountState::Suspended).await.unwrap();
    let one = json!({"filename": "e", "size_bytes": 1, "content_type": "a/b"});
    let (one, batch, name) =
        (one.to_string(), json!({"files": [one]}).to_string(), json!({"filename": "f"}).to_string());
    let refused = "403 user_suspended";
    let rows = [
        ("POST /v1/files".to_owned(), one.as_str(), refused),
        ("POST /v1/files/presign-upload".to_owned(), &one, refused),
        ("POST /v1/files/presign-batch".to_owned(), &batch, refused),
        (format!("PATCH /v1/files/{chunked}/chunks/1"), "", refused),
        (format!("POST /v1/files/{whole}/complete"), "", refused),
        (format!("POST /v1/files/{chunked}/complete"), "", refused),
        (format!("POST /v1/files/{done}/complete"), "", refused),
        (format!("PATCH /v1/files/{done}"), &name, refused),
        (format!("POST /v1/files/{binned}/restore"), "", refused),
        (format!("GET /v1/files/{done}/download-url"), "", refused),
        (format!("GET /v1/files/{done}/content"), "", refused),
        ("GET /v1/files".to_owned(), "", "200"),
        (format!("GET /v1/files/{done}"), "", "200"),
        (format!("GET /v1/files/{chunked}/chunks"), "", "200"),
        (format!("GET /v1/files/{done}/timeline"), "", "200"),
        ("GET /v1/usage".to_owned(), "", "200"),
        ("GET /v1/usage/ledger".to_owned(), "", "200"),
        (format!("DELETE /v1/files/{done}"), "", "204"),
        (format!("DELETE /v1/files/{done}?permanent=true"), "", "204"),
        (format!("DELETE /v1/files/{whole}"), "", "204"),
    ];
    let mut wrong = Vec::new();
    for (what, body, expected) in rows {
        let headers: &[_] = if body.is_empty() { &[] } else { &[("content-type", "application/json")] };
        let told = world.send("alice", &what, headers, body).await.told();
        if told != expected {
            wrong.push(format!("{what}: {told} instead of {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(world.get("alice", "/v1/usage").await.json()["state"], "suspended");
}

#[tokio::test]
async fn a_suspended_account_gets_no_signature() {
    let world = World::start().await;
    let file = world.upload("alice", "a.txt", 5).await;
    world.inside.handle.set_state(World::user("alice"), AccountState::Suspended).await.unwrap();
    let body = json!({"filename": "a", "size_bytes": 1, "content_type": "a/b"});
    assert_eq!(world.post("alice", "POST /v1/files", &body).await.told(), "403 user_suspended");
    for path in ["download-url", "content"] {
        let answer = world.get("alice", &format!("/v1/files/{file}/{path}")).await;
        assert_eq!(answer.told(), "403 user_suspended", "{path}");
    }
    assert_eq!(world.get("alice", &format!("/v1/files/{file}")).await.told(), "200");
    assert_eq!(world.get("alice", "/v1/usage").await.json()["state"], "suspended");
}

#[tokio::test]
async fn pages_of_listed_origins_may_call() {
    let world =
        World::configured(|config| config.http.allowed_origins = vec!["https://app.example".to_owned()])
            .await;
    let preflight = [("origin", "https://app.example"), ("access-control-request-method", "POST")];
    let answer = world.send("", "OPTIONS /v1/files", &preflight, "").await;
    assert_eq!(answer.told(), "204");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET, HEAD, POST, OPTIONS"));
    let refused = world.send("", "GET /v1/files", &[("origin", "https://app.example")], "").await;
    assert_eq!(
        refused.header("access-control-allow-origin"),
        Some("https://app.example"),
        "errors are readable too"
    );
    // A page can read that a path is not there, and what it may set includes what its libraries add.
    let unknown = world.send("", "OPTIONS /v1/nothing", &preflight, "").await;
    assert_eq!(unknown.told(), "204");
    assert!(unknown.header("access-control-allow-methods").unwrap().contains("POST"));
    assert!(unknown.header("access-control-allow-headers").unwrap().contains("sentry-trace"));
    let missing = world.send("", "POST /v1/nothing", &[("origin", "https://app.example")], "").await;
    assert_eq!(missing.told(), "404 route_not_found");
    assert_eq!(missing.header("access-control-allow-origin"), Some("https://app.example"));
    assert!(missing.header("access-control-expose-headers").unwrap().contains("content-disposition"));
    assert_eq!(world.send("", "OPTIONS /v1/nothing", &[], "").await.told(), "404 route_not_found");
    let other = world.send("", "OPTIONS /v1/files", &[("origin", "https://evil.example")], "").await;
    assert_eq!((other.told().as_str(), other.header("access-control-allow-origin")), ("204", None));
    assert_eq!(other.header("vary"), Some("origin"));
}
