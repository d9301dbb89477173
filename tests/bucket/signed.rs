//! What the holder of a signed request can do with it, and what not.

use std::time::Duration;

use aws_lc_rs::digest;
use wharfinger::adapters::embedded::bucket::BucketOptions;
use wharfinger::domain::file::Sha256;
use wharfinger::ports::{
    Clock, DownloadGrant, DownloadMethod, ObjectsPort as _, SignedRequest, SignerPort as _, UploadGrant,
};

use crate::world::{World, download, grant, new_key};

fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256(digest::digest(&digest::SHA256, bytes).as_ref().try_into().unwrap())
}

/// The request without one header, or with another value of it.
fn with(signed: &SignedRequest, name: &str, value: Option<&str>) -> Vec<(String, String)> {
    let mut headers: Vec<_> = signed.headers.iter().filter(|(n, _)| n != name).cloned().collect();
    headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    headers
}

#[tokio::test]
async fn what_was_signed_is_taken_and_kept() {
    let world = World::new().await;
    let key = new_key();
    let grant = UploadGrant { checksum_sha256: Some(sha256(b"hello")), ..grant(key, b"hello") };
    let answer = world.http.follow(&world.upload(&grant).await, b"hello").await;
    assert_eq!((answer.status, answer.header("etag")), (200, "\"5d41402abc4b2a76b9719d911017c592\""));

    let meta = world.bucket.head(key).await.unwrap().unwrap();
    assert_eq!(meta.size_bytes, 5);
    assert_eq!(meta.etag, "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(meta.checksum_sha256, Some(sha256(b"hello")));
    assert_eq!(meta.content_type.as_deref(), Some("text/plain"));
    assert!(Clock::System.now().since(meta.landed_at) < Duration::from_secs(60));
}

#[tokio::test]
async fn an_empty_object_is_an_object() {
    let world = World::new().await;
    let key = new_key();
    assert_eq!(world.put(key, b"").await.status, 200);
    let answer = world.get(key).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
}

/// Sends `body` under a grant for `hello`, with a changed header; expects a refusal, and nothing kept.
async fn check_refused(change: Option<(&str, Option<&str>)>, body: &[u8], status: u16) {
    let world = World::new().await;
    let key = new_key();
    let signed =
        world.upload(&UploadGrant { checksum_sha256: Some(sha256(b"hello")), ..grant(key, b"hello") }).await;
    let headers = change.map_or(signed.headers.clone(), |(name, value)| with(&signed, name, value));
    let answer = world.http.send("PUT", signed.url.expose(), &headers, body).await;
    assert_eq!(answer.status, status, "{change:?}: {answer:?}");
    assert_eq!(world.bucket.head(key).await, Ok(None), "{change:?}");
    assert_eq!((world.files("objects"), world.files("tmp"), world.files("outbox")), (0, 0, 0), "{change:?}");
    assert_eq!(world.heard.records().len(), 0);
}

// proves: F8
#[tokio::test]
async fn another_length_is_refused() {
    check_refused(None, b"hello!", 403).await;
    check_refused(None, b"hell", 403).await;
    check_refused(None, b"", 403).await;
}

// proves: F8
#[tokio::test]
async fn other_or_missing_headers_are_refused() {
    check_refused(Some(("content-type", Some("text/html"))), b"hello", 403).await;
    check_refused(Some(("content-type", None)), b"hello", 403).await;
    check_refused(Some(("if-none-match", None)), b"hello", 403).await;
    check_refused(Some(("x-amz-checksum-sha256", None)), b"hello", 403).await;
    check_refused(Some(("x-amz-meta-file-id", Some("other"))), b"hello", 403).await;
}

#[tokio::test]
async fn headers_that_were_not_signed_are_refused() {
    check_refused(Some(("x-amz-meta-more", Some("1"))), b"hello", 403).await;
    check_refused(Some(("x-amz-copy-source", Some("/wharf/user/x"))), b"hello", 403).await;
    check_refused(Some(("x-amz-acl", Some("public-read"))), b"hello", 403).await;
}

// proves: F8
#[tokio::test]
async fn other_bytes_of_the_same_length_are_refused() {
    check_refused(None, b"jello", 400).await;
}

#[tokio::test]
async fn a_wrong_md5_is_refused() {
    // Not signed, and still an honest client's word about its bytes.
    check_refused(Some(("content-md5", Some("AAAAAAAAAAAAAAAAAAAAAA=="))), b"hello", 400).await;
}

// proves: I16 F9
#[tokio::test]
async fn a_second_upload_is_refused_and_changes_nothing() {
    let world = World::new().await;
    let key = new_key();
    let signed = world.upload(&grant(key, b"hello")).await;
    assert_eq!(world.http.follow(&signed, b"hello").await.status, 200);
    let first = world.bucket.head(key).await.unwrap();
    let second = world.http.follow(&signed, b"jello").await;
    assert_eq!((second.status, second.code().as_str()), (412, "PreconditionFailed"));
    assert_eq!(world.bucket.head(key).await.unwrap(), first);
    assert_eq!(&world.get(key).await.body[..], b"hello");
    assert_eq!(world.files("tmp"), 0);
}

// proves: I16 F11
#[tokio::test]
async fn an_upload_url_does_not_bring_back_what_was_deleted_for_good() {
    let world = World::new().await;
    let (key, other) = (new_key(), new_key());
    let signed = world.upload(&grant(key, b"hello")).await;
    assert_eq!(world.http.follow(&signed, b"hello").await.status, 200);
    let link = world.signer.download(&download(key)).await.unwrap();
    world.bucket.delete(key).await.unwrap();
    let refused = async |world: &World| {
        let again = world.http.follow(&world.upload(&grant(key, b"hello")).await, b"hello").await;
        assert_eq!((again.status, again.code().as_str()), (412, "PreconditionFailed"));
        let text = String::from_utf8_lossy(&again.body).into_owned();
        assert!(text.contains("was deleted for good") && !text.contains("there is an object"), "{text}");
        assert_eq!(world.bucket.head(key).await.unwrap(), None);
        assert_eq!((world.files("objects"), world.files("tmp")), (0, 0));
    };
    assert_eq!(world.http.follow(&signed, b"hello").await.status, 412, "the URL that made it");
    refused(&world).await;
    assert_eq!(world.http.follow(&link, b"").await.status, 404);

    let heard = world.heard.clone();
    let world = World::start(world.stop().await, BucketOptions::default(), heard).await;
    refused(&world).await;
    assert_eq!(world.put(other, b"hello").await.status, 200, "other keys are free");
}

#[tokio::test]
async fn a_bucket_that_keeps_no_tombstones_takes_the_key_again_as_s3_does() {
    let options = BucketOptions { tombstones_kept_for: Duration::ZERO, ..BucketOptions::default() };
    let world = World::with(options).await;
    let key = new_key();
    assert_eq!(world.put(key, b"hello").await.status, 200);
    world.bucket.delete(key).await.unwrap();
    assert_eq!(world.put(key, b"again").await.status, 200);
}

#[tokio::test]
async fn another_key_or_method_is_refused() {
    let world = World::new().await;
    let (key, other) = (new_key(), new_key());
    let signed = world.upload(&grant(key, b"hello")).await;
    let url = signed.url.expose().replace(&key.to_string(), &other.to_string());
    assert_eq!(world.http.send("PUT", &url, &signed.headers, b"hello").await.status, 403);
    assert_eq!(world.put(key, b"hello").await.status, 200);
    for method in ["GET", "DELETE", "POST"] {
        let answer = world.http.send(method, signed.url.expose(), &signed.headers, b"hello").await;
        assert_eq!(answer.status, 403, "{method}");
    }
    assert!(world.bucket.head(key).await.unwrap().is_some());
}

#[tokio::test]
async fn an_expired_request_is_refused() {
    let world = World::new().await;
    let now = Clock::System.now().before(Duration::from_secs(61));
    let late = world.upload(&UploadGrant { now, ..grant(new_key(), b"hello") }).await;
    assert_eq!(world.http.follow(&late, b"hello").await.status, 403);
    let longer = late.url.expose().replace("X-Amz-Expires=60", "X-Amz-Expires=600");
    assert_eq!(world.http.send("PUT", &longer, &late.headers, b"hello").await.status, 403);
}

#[tokio::test]
async fn a_download_answers_as_it_was_signed() {
    let world = World::new().await;
    let key = new_key();
    world.put(key, b"hello").await;
    let answer = world.get(key).await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"hello"[..]));
    assert_eq!(answer.header("content-disposition"), download(key).disposition);
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert_eq!(answer.header("content-length"), "5");
    assert_eq!(answer.header("x-amz-meta-file-id"), key.file.to_string());
    assert_eq!(answer.header("x-content-type-options"), "nosniff");

    let url = world.signer.download(&download(key)).await.unwrap().url;
    for (from, to) in [
        ("response-content-type=application%2Foctet-stream", "response-content-type=text%2Fhtml"),
        ("attachment", "inline"),
    ] {
        let changed = url.expose().replace(from, to);
        assert_ne!(changed, url.expose());
        assert_eq!(world.http.send("GET", &changed, &[], b"").await.status, 403);
    }
    let more = format!("{}&response-cache-control=public", url.expose());
    assert_eq!(world.http.send("GET", &more, &[], b"").await.status, 403);
}

#[tokio::test]
async fn a_head_of_a_download_has_the_headers_of_the_download() {
    let world = World::new().await;
    let key = new_key();
    world.put(key, b"hello").await;
    let grant = DownloadGrant { method: DownloadMethod::Head, ..download(key) };
    let answer = world.http.follow(&world.signer.download(&grant).await.unwrap(), b"").await;
    assert_eq!((answer.status, answer.body.len(), answer.header("content-length")), (200, 0, "5"));
    assert_eq!(answer.header("content-disposition"), grant.disposition);
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert_eq!(answer.header("etag"), world.get(key).await.header("etag"));
}

#[tokio::test]
async fn a_range_of_a_download_is_a_range_of_its_bytes() {
    let world = World::new().await;
    let key = new_key();
    let bytes: Vec<u8> = (0..600_000_u32).flat_map(u32::to_be_bytes).collect();
    world.put(key, &bytes).await;
    let url = world.signer.download(&download(key)).await.unwrap().url;
    let size = bytes.len();
    for (range, wanted) in [
        ("bytes=0-0", 0..1),
        ("bytes=5-9", 5..10),
        ("bytes=262143-262145", 262_143..262_146),
        ("bytes=2399990-", 2_399_990..size),
        ("bytes=-7", size - 7..size),
        ("bytes=10-99999999", 10..size),
    ] {
        let answer =
            world.http.send("GET", url.expose(), &[("range".to_owned(), range.to_owned())], b"").await;
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(
            answer.header("content-range"),
            format!("bytes {}-{}/{size}", wanted.start, wanted.end - 1)
        );
        assert!(answer.body[..] == bytes[wanted], "{range}");
    }
    for range in ["bytes=0-0,2-3", "bytes=3-1", "bytes=+1-2", "bytes=-", "lines=1-2", "nonsense"] {
        let answer =
            world.http.send("GET", url.expose(), &[("range".to_owned(), range.to_owned())], b"").await;
        assert_eq!((answer.status, answer.body.len()), (200, size), "{range}");
    }
    let beyond = [("range".to_owned(), format!("bytes={size}-"))];
    assert_eq!(world.http.send("GET", url.expose(), &beyond, b"").await.status, 416);
}

#[tokio::test]
async fn nothing_is_done_without_a_signature() {
    let world = World::new().await;
    let key = new_key();
    world.put(key, b"hello").await;
    for (method, path) in [
        ("GET", format!("/wharf/{key}")),
        ("HEAD", format!("/wharf/{key}")),
        ("PUT", format!("/wharf/{}", new_key())),
        ("DELETE", format!("/wharf/{key}")),
        ("POST", format!("/wharf/{key}?uploads")),
        ("POST", "/wharf?delete".to_owned()),
        ("GET", "/wharf?list-type=2".to_owned()),
        ("GET", "/wharf".to_owned()),
        ("HEAD", "/wharf".to_owned()),
        ("GET", "/".to_owned()),
        ("GET", format!("/wharf/{key}?X-Amz-Signature=0")),
    ] {
        let answer = world.http.send(method, &format!("{}{path}", world.url), &[], b"").await;
        let is_refused = answer.status == 403 || (answer.status == 400 && path.contains("X-Amz-Signature"));
        assert!(is_refused, "{method} {path}: {answer:?}");
    }
    let form = [("content-type".to_owned(), "multipart/form-data; boundary=x".to_owned())];
    assert_eq!(world.http.send("POST", &format!("{}/wharf", world.url), &form, b"--x").await.status, 405);
    assert!(world.bucket.head(key).await.unwrap().is_some());
}

#[tokio::test]
async fn an_object_over_the_limit_is_refused_before_its_bytes_are_taken() {
    let world = World::with(BucketOptions { object_bytes_max: 8, ..BucketOptions::default() }).await;
    assert_eq!(world.put(new_key(), b"12345678").await.status, 200);
    let answer = world.put(new_key(), b"123456789").await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "EntityTooLarge"));
    assert_eq!(world.files("objects"), 1);
}

#[tokio::test]
async fn pages_of_allowed_origins_may_upload_and_read() {
    let options =
        BucketOptions { allowed_origins: vec!["https://app.example".to_owned()], ..BucketOptions::default() };
    let world = World::with(options).await;
    let key = new_key();
    let signed = world.upload(&grant(key, b"hello")).await;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let preflight = |origin: &str| {
        vec![
            pair("origin", origin),
            pair("access-control-request-method", "PUT"),
            pair(
                "access-control-request-headers",
                "baggage,content-type,if-none-match,sentry-trace,traceparent,x-amz-meta-file-id",
            ),
        ]
    };
    let answer =
        world.http.send("OPTIONS", signed.url.expose(), &preflight("https://app.example"), b"").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, "https://app.example"));
    let answer =
        world.http.send("OPTIONS", signed.url.expose(), &preflight("https://evil.example"), b"").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, ""));

    let mut headers = signed.headers.clone();
    headers.push(pair("origin", "https://app.example"));
    let answer = world.http.send("PUT", signed.url.expose(), &headers, b"hello").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example");
    let exposed = answer.header("access-control-expose-headers");
    for name in ["ETag", "Accept-Ranges", "Content-Range", "Content-Disposition", "Last-Modified"] {
        assert!(exposed.split(", ").any(|one| one == name), "{name}: {exposed}");
    }
    assert!(answer.header("vary").contains("Origin"));

    let url = world.signer.download(&download(key)).await.unwrap().url;
    let answer = world.http.send("GET", url.expose(), &[pair("origin", "https://evil.example")], b"").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, ""));
}
