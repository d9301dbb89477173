//! Downloads.

use serde_json::{Value, json};

use crate::fault_injection::{Fault, Op};
use crate::world::World;
use wharfinger::domain::ids::{FileId, ObjectKey};

async fn upload(world: &World, filename: &str, content_type: &str) -> FileId {
    let body = json!({"filename": filename, "size_bytes": 5, "content_type": content_type});
    let answer = world.post("alice", "POST /v1/files", &body).await.json();
    let file = FileId::parse(answer["file_id"].as_str().unwrap()).unwrap();
    world.land("alice", file).await;
    world.send("alice", &format!("POST /v1/files/{file}/complete"), &[], "").await;
    file
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and the rest";

async fn upload_bytes(world: &World, filename: &str, content_type: &str, bytes: &[u8]) -> FileId {
    let body = json!({"filename": filename, "size_bytes": bytes.len(), "content_type": content_type});
    let answer = world.post("alice", "POST /v1/files", &body).await.json();
    let file = FileId::parse(answer["file_id"].as_str().unwrap()).unwrap();
    let key = ObjectKey { user: World::user("alice"), file };
    world.inside.put_bytes(key, content_type.to_owned(), bytes).await;
    world.send("alice", &format!("POST /v1/files/{file}/complete"), &[], "").await;
    file
}

/// What was granted, read back from the signed URL: the type and the disposition of the answer.
fn granted(url: &str, file: FileId) -> String {
    let (path, query) = url.split_once('?').unwrap();
    let user = World::user("alice");
    assert!(path.starts_with("http://127.0.0.1:"), "{url}");
    assert!(path.ends_with(&format!("/wharf/user/{user}/{file}")), "{url}");
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(found, _)| *found == name).unwrap_or_else(|| panic!("{name} in {url}"));
        percent_encoding::percent_decode_str(value).decode_utf8().unwrap().into_owned()
    };
    format!("{} {}", value("response-content-type"), value("response-content-disposition"))
}

async fn check(world: &World, file: FileId, query: &str, expected: &str) {
    let answer = world.get("alice", &format!("/v1/files/{file}/download-url{query}")).await;
    assert_eq!(answer.told(), "200", "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let url = answer.json()["download_url"].as_str().unwrap().to_owned();
    assert_eq!(granted(&url, file), expected, "{query}");
}

#[tokio::test]
async fn a_download_is_an_attachment_unless_it_is_safe_to_show() {
    let world = World::start().await;
    let png = upload_bytes(&world, "a.png", "image/png", PNG).await;
    check(&world, png, "", "image/png attachment; filename=\"a.png\"; filename*=UTF-8''a.png").await;
    check(&world, png, "?disposition=inline", "image/png inline; filename=\"a.png\"; filename*=UTF-8''a.png")
        .await;
    let text = upload(&world, "a.txt", "text/plain;Charset=UTF-8").await;
    let kept = "text/plain; charset=utf-8 attachment; filename=\"a.txt\"; filename*=UTF-8''a.txt";
    check(&world, text, "", kept).await;
    let svg = upload(&world, "a.svg", "image/svg+xml").await;
    let bytes = "application/octet-stream attachment; filename=\"a.svg\"; filename*=UTF-8''a.svg";
    check(&world, svg, "?disposition=inline", bytes).await;
    let html = upload(&world, "ü\".html", "text/html").await;
    let bytes = "application/octet-stream attachment; filename=\"__.html\"; filename*=UTF-8''%C3%BC%22.html";
    check(&world, html, "?disposition=attachment", bytes).await;
    let answer = world.get("alice", &format!("/v1/files/{png}/download-url?disposition=x")).await;
    assert_eq!(answer.told(), "400 validation_failed");
}

#[tokio::test]
async fn what_is_not_what_it_was_declared_as_is_an_attachment() {
    let world = World::start().await;
    let asked = "?disposition=inline";
    for (content_type, bytes, expected) in [
        ("image/png", PNG, "image/png inline"),
        ("image/png", b"<html><script>alert(1)</script>", "image/png attachment"),
        ("image/png", b"GIF89a and the rest", "image/png attachment"),
        ("image/gif", b"GIF89a and the rest", "image/gif inline"),
        ("image/jpeg", PNG, "image/jpeg attachment"),
        ("image/webp", b"", "image/webp attachment"),
        ("text/html", PNG, "application/octet-stream attachment"),
        ("application/pdf", b"%PDF-1.7", "application/pdf attachment"),
    ] {
        let file = upload_bytes(&world, "a", content_type, bytes).await;
        check(&world, file, asked, &format!("{expected}; filename=\"a\"; filename*=UTF-8''a")).await;
        for method in ["GET", "HEAD"] {
            let answer =
                world.send("alice", &format!("{method} /v1/files/{file}/content{asked}"), &[], "").await;
            let (_, disposition) = expected.split_once(' ').unwrap();
            let place = answer.header("location").unwrap();
            assert!(place.contains(&format!("response-content-disposition={disposition}%3B")), "{place}");
        }
    }
}

#[tokio::test]
async fn first_bytes_are_read_only_for_what_may_be_shown() {
    let world = World::start().await;
    let png = upload_bytes(&world, "a.png", "image/png", PNG).await;
    let text = upload(&world, "a.txt", "text/plain").await;
    let ask = async |file: FileId, query: &str| {
        world.get("alice", &format!("/v1/files/{file}/download-url{query}")).await.told()
    };
    assert_eq!(ask(png, "").await, "200");
    assert_eq!(ask(text, "?disposition=inline").await, "200");
    assert_eq!(world.inside.plan.calls(Op::FirstBytes), 0);
    world.inside.plan.set(Op::FirstBytes, Fault::Unavailable);
    assert_eq!(ask(png, "?disposition=inline").await, "503 objects_unavailable");
    assert_eq!(ask(png, "?disposition=attachment").await, "200");
    assert_eq!(ask(text, "?disposition=inline").await, "200");
    assert_eq!(world.inside.plan.calls(Op::FirstBytes), 1);
}

// proves: I11
#[tokio::test]
async fn a_download_lives_five_minutes_and_redirects_too() {
    let world = World::start().await;
    let file = upload(&world, "a.txt", "text/plain").await;
    let signed = world.get("alice", &format!("/files/{file}/download-url")).await.json();
    assert_eq!(signed["expires_in"], 300);
    let redirect = world.get("alice", &format!("/v1/files/{file}/content")).await;
    assert_eq!((redirect.status.as_u16(), redirect.header("cache-control")), (302, Some("no-store")));
    assert_eq!(redirect.header("location").map(Value::from), Some(signed["download_url"].clone()));
    assert_eq!(redirect.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(redirect.header("vary"), Some("accept"));
    let json = [("accept", "application/json")];
    let page = world.send("alice", &format!("GET /v1/files/{file}/content"), &json, "").await;
    assert_eq!((page.status.as_u16(), page.header("vary")), (200, Some("accept")));
    assert_eq!(page.json(), signed, "a page gets the URL itself");
    let by_default = [("accept", "application/json, text/plain, */*")];
    let library = world.send("alice", &format!("GET /v1/files/{file}/content"), &by_default, "").await;
    assert_eq!(library.status.as_u16(), 302, "a client that accepts anything gets the file");
    let head = world.send("alice", &format!("HEAD /v1/files/{file}/content"), &[], "").await;
    assert_eq!(head.status.as_u16(), 302);
    assert_ne!(head.header("location"), redirect.header("location"), "it is signed for a HEAD");
}

#[tokio::test]
async fn a_download_lives_as_long_as_the_operator_says_or_shorter() {
    let world = World::configured(|config| config.download.url_ttl_secs = 43_200).await;
    let file = upload(&world, "a.mp4", "video/mp4").await;
    let signed =
        async |query: &str| world.get("alice", &format!("/v1/files/{file}/download-url{query}")).await;
    for (query, expected) in
        [("", 43_200), ("?expires_in=60", 60), ("?expires_in=1", 1), ("?expires_in=90000", 43_200)]
    {
        let answer = signed(query).await.json();
        assert_eq!(answer["expires_in"], expected, "{query}");
        let url = answer["download_url"].as_str().unwrap();
        assert!(url.contains(&format!("X-Amz-Expires={expected}&")), "{url}");
    }
    for query in ["?expires_in=0", "?expires_in=-1", "?expires_in=soon", "?expires_in=", "?expires_in=1.5"] {
        let answer = signed(query).await;
        assert_eq!(answer.told(), "400 validation_failed", "{query}");
        assert_eq!(answer.json()["errors"][0]["pointer"], "?expires_in");
    }
    let redirect = world.get("alice", &format!("/v1/files/{file}/content?expires_in=60")).await;
    assert!(redirect.header("location").unwrap().contains("X-Amz-Expires=60&"));
}

// proves: I11
#[tokio::test]
async fn only_a_processed_file_is_handed_out() {
    let world = World::start().await;
    let pending = world.presign("alice", "a.txt", 5).await;
    let url = format!("/v1/files/{pending}/download-url");
    let answer = world.get("alice", &url).await;
    assert_eq!((answer.told().as_str(), answer.header("retry-after")), ("409 file_not_ready", Some("1")));
    world.send("alice", &format!("DELETE /v1/files/{pending}"), &[], "").await;
    let answer = world.get("alice", &url).await;
    assert_eq!((answer.told().as_str(), &answer.json()["reason"]), ("409 file_failed", &json!("cancelled")));
    let file = upload(&world, "a.txt", "text/plain").await;
    world.send("alice", &format!("DELETE /v1/files/{file}"), &[], "").await;
    assert_eq!(
        world.get("alice", &format!("/v1/files/{file}/download-url")).await.told(),
        "404 file_not_found"
    );
}
