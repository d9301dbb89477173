//! The reasons that a refused signature is answered with.

use std::time::Duration;

use aws_lc_rs::digest;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use wharfinger::domain::file::Sha256;
use wharfinger::ports::{
    Clock, DownloadGrant, ObjectsPort as _, PartGrant, SignedRequest, SignerPort as _, UploadGrant,
};

use crate::sdk::client;
use crate::sign::Asked;
use crate::world::{Answer, World, download, grant, new_key};

/// The text of an element of an error.
fn element(answer: &Answer, name: &str) -> String {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let after = text.split_once(&format!("<{name}>")).map_or("", |(_, rest)| rest);
    after.split_once("</").map_or("", |(text, _)| text).to_owned()
}

/// A refusal has a code, a message and an id, whatever it is.
fn check_form(answer: &Answer, case: &str) {
    assert!((400..500).contains(&answer.status), "{case}: {answer:?}");
    for name in ["Code", "Message", "RequestId"] {
        assert!(!element(answer, name).is_empty(), "{case} has no {name}: {answer:?}");
    }
    assert_eq!(element(answer, "RequestId"), answer.header("x-amz-request-id"), "{case}");
}

/// A header with another value, or without one.
type Change<'a> = Option<(&'a str, Option<&'a str>)>;

async fn signed(world: &World) -> SignedRequest {
    let sha256 = digest::digest(&digest::SHA256, b"hello");
    let sha256 = Sha256(sha256.as_ref().try_into().unwrap());
    world.upload(&UploadGrant { checksum_sha256: Some(sha256), ..grant(new_key(), b"hello") }).await
}

/// Sends an upload of `body` for `hello` with a header changed or left out; returns the message of the refusal.
async fn message(world: &World, change: Change<'_>, body: &[u8]) -> String {
    let signed = signed(world).await;
    let mut headers = signed.headers.clone();
    if let Some((name, value)) = change {
        headers.retain(|(found, _)| found != name);
        headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }
    let answer = world.http.send("PUT", signed.url.expose(), &headers, body).await;
    check_form(&answer, &format!("{change:?}"));
    assert_eq!((answer.status, answer.code().as_str()), (403, "SignatureDoesNotMatch"), "{change:?}");
    let message = element(&answer, "Message");
    let is_secret = |secret: &str| message.contains(secret);
    assert!(!is_secret(world.bucket.credentials().expose_secret()), "{message}");
    message
}

#[tokio::test]
async fn a_refused_upload_names_the_header_that_is_missing_or_differs() {
    let world = World::new().await;
    let host = world.url.strip_prefix("http://").unwrap().to_owned();
    let elsewhere = format!("the signature covers host: {host}, the request has files.example");
    let cases: &[(Change<'_>, &[u8], &str)] = &[
        (None, b"hello!", "the signature covers content-length: 5, the request has 6"),
        (None, b"hell", "the signature covers content-length: 5, the request has 4"),
        (
            Some(("content-type", Some("text/html"))),
            b"hello",
            "covers content-type: text/plain, the request has text/html",
        ),
        (
            Some(("content-type", None)),
            b"hello",
            "the signed header content-type is missing (signed: text/plain)",
        ),
        (Some(("if-none-match", None)), b"hello", "the signed header if-none-match is missing (signed: *)"),
        (Some(("x-amz-meta-file-id", None)), b"hello", "the signed header x-amz-meta-file-id is missing"),
        (Some(("x-amz-meta-file-id", Some("other"))), b"hello", "x-amz-meta-file-id has another value"),
        (Some(("x-amz-checksum-sha256", Some("AAAA"))), b"hello", "x-amz-checksum-sha256 has another value"),
        (Some(("host", Some("files.example"))), b"hello", &elsewhere),
    ];
    for (change, body, expected) in cases {
        let message = message(&world, *change, body).await;
        assert!(message.contains(expected), "{change:?}: {message}");
        assert_eq!(message.matches("; ").count(), 0, "only that: {message}");
    }
    assert_eq!((world.files("objects"), world.files("tmp")), (0, 0));
}

#[tokio::test]
async fn several_reasons_are_all_named() {
    let world = World::new().await;
    let signed = signed(&world).await;
    let answer = world.http.send("PUT", signed.url.expose(), &[], b"hello!").await;
    let message = element(&answer, "Message");
    for name in
        ["content-length", "content-type", "if-none-match", "x-amz-checksum-sha256", "x-amz-meta-file-id"]
    {
        assert!(message.contains(name), "{name}: {message}");
    }
    assert!(!message.contains("host"), "{message}");
}

#[tokio::test]
async fn a_refused_part_names_its_length_too() {
    let world = World::new().await;
    let key = new_key();
    let upload_id = world.bucket.create_multipart(key, "video/x", Vec::new()).await.unwrap();
    let (now, ttl) = (Clock::System.now(), Duration::from_secs(60));
    let part = PartGrant { key, upload_id, number: 1, size_bytes: 5, now, ttl };
    let signed = world.signer.part(&part).await.unwrap();
    let answer = world.http.follow(&signed, b"hello!").await;
    let message = element(&answer, "Message");
    assert!(message.contains("the signature covers content-length: 5, the request has 6"), "{message}");
    let changed = signed.url.expose().replace("partNumber=1", "partNumber=2");
    let answer = world.http.send("PUT", &changed, &signed.headers, b"hello").await;
    assert!(element(&answer, "Message").contains("all signed headers are as they were signed"), "{answer:?}");
}

#[tokio::test]
async fn every_refusal_of_a_signature_says_why() {
    let world = World::new().await;
    let path = "/wharf/k";
    let ask = |method| Asked { method, path, query: "", headers: &[], region: "us-east-1" };
    let get = ask("GET").url(&world);
    let keys = world.bucket.credentials();
    let now = Clock::System.now().before(Duration::from_secs(120));
    let expired = world.signer.download(&DownloadGrant { now, ..download(new_key()) }).await.unwrap();
    let cases = [
        ("another secret", ask("GET").url_of(&world, keys.access_key(), "other"), "SignatureDoesNotMatch"),
        ("an unknown key", ask("GET").url_of(&world, "AKIDUNKNOWN", "other"), "InvalidAccessKeyId"),
        ("another method", ask("PUT").url(&world), "SignatureDoesNotMatch"),
        ("another path", get.replace("/wharf/k", "/wharf/l"), "SignatureDoesNotMatch"),
        ("another query", format!("{get}&more=1"), "SignatureDoesNotMatch"),
        ("no date", get.replace("X-Amz-Date=", "X-Amz-Other="), "InvalidRequest"),
        ("a cut credential", get.replace("%2Faws4_request", ""), "AuthorizationQueryParametersError"),
        ("another service", get.replace("%2Fs3%2F", "%2Fec2%2F"), "AuthorizationQueryParametersError"),
        ("expired", expired.url.expose().to_owned(), "AccessDenied"),
        ("none", format!("{}{path}", world.url), "AccessDenied"),
    ];
    for (case, url, code) in cases {
        let answer = world.http.send("GET", &url, &[], b"").await;
        check_form(&answer, case);
        assert_eq!(answer.code(), code, "{case}: {answer:?}");
    }
}

#[tokio::test]
async fn another_regions_signature_is_refused_with_the_region_that_is_expected() {
    let world = World::new().await;
    let url = Asked { method: "GET", path: "/wharf/k", query: "", headers: &[], region: "eu-west-1" };
    let answer = world.http.send("GET", &url.url(&world), &[], b"").await;
    check_form(&answer, "in the query");
    assert_eq!((answer.status, answer.code().as_str()), (400, "AuthorizationQueryParametersError"));
    assert!(element(&answer, "Message").contains("the region 'eu-west-1' is wrong; expecting 'us-east-1'"));
    assert_eq!(element(&answer, "Region"), "us-east-1");
    assert_eq!(answer.header("x-amz-bucket-region"), "us-east-1");

    let elsewhere = client(&world).config().to_builder().region(Region::new("eu-west-1")).build();
    let refused = Client::from_conf(elsewhere).list_objects_v2().bucket("wharf").send().await.unwrap_err();
    assert_eq!(refused.code(), Some("AuthorizationHeaderMalformed"));
    assert!(refused.message().unwrap_or_default().contains("expecting 'us-east-1'"), "{refused:?}");
}
