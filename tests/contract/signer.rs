//! The contract of `SignerPort`: signed requests do what their grant says, and servers refuse the rest.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

use std::time::Duration;

use aws_lc_rs::digest;
use wharfinger::domain::file::Sha256;
use wharfinger::ports::{
    Clock, DownloadGrant, DownloadMethod, ObjectsPort, PartGrant, SignedRequest, SignerError, SignerPort,
    UploadGrant,
};

use crate::http::{Embedded, Http, file_of, grant, new_user};

#[tokio::test]
async fn the_embedded_signer_keeps_the_contract() {
    let embedded = Embedded::start().await;
    signer(&embedded.signer, &embedded.objects).await;
}

/// Run by every signer whose receiver checks signatures.
pub(crate) async fn signer(signer: &impl SignerPort, bucket: &impl ObjectsPort) {
    let http = Http::new();
    signing_is_repeatable(signer).await;
    a_grant_that_cannot_be_signed_is_invalid(signer).await;
    an_upload_is_for_exactly_its_grant(signer, bucket, &http).await;
    an_upload_works_once(signer, bucket, &http).await;
    a_request_ends_with_its_time(signer, bucket, &http).await;
    a_download_answers_as_granted(signer, &http).await;
    a_part_is_for_exactly_its_grant(signer, bucket, &http).await;
}

async fn signing_is_repeatable(signer: &impl SignerPort) {
    let grant = grant(file_of(new_user()), b"hello");
    let first = signer.upload(&grant).await.expect("sign");
    assert_eq!(signer.upload(&grant).await.as_ref(), Ok(&first));
    assert_eq!(first.method, "PUT");
    assert!(first.expires_at <= grant.now.after(grant.ttl), "not longer than granted");
    assert!(first.expires_at > grant.now.after(grant.ttl).before(Duration::from_secs(2)));
    assert!(first.headers.iter().all(|(name, _)| name.to_ascii_lowercase() == *name));
}

async fn a_grant_that_cannot_be_signed_is_invalid(signer: &impl SignerPort) {
    let good = grant(file_of(new_user()), b"hello");
    let bad = [
        UploadGrant { content_type: "text/plain\r\nevil: 1".to_owned(), ..good.clone() },
        UploadGrant { metadata: vec![("a".to_owned(), "é".to_owned())], ..good.clone() },
        UploadGrant { ttl: Duration::ZERO, ..good.clone() },
        UploadGrant { ttl: Duration::from_secs(8 * 24 * 3600), ..good.clone() },
    ];
    for grant in &bad {
        let refused = signer.upload(grant).await;
        assert!(matches!(refused, Err(SignerError::Invalid { .. })), "{grant:?}: {refused:?}");
    }
}

fn changed(signed: &SignedRequest, name: &str, value: Option<&str>) -> Vec<(String, String)> {
    let mut headers: Vec<_> = signed.headers.iter().filter(|(n, _)| n != name).cloned().collect();
    headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    headers
}

async fn an_upload_is_for_exactly_its_grant(
    signer: &impl SignerPort,
    bucket: &impl ObjectsPort,
    http: &Http,
) {
    let (key, other) = (file_of(new_user()), file_of(new_user()));
    let hash = digest::digest(&digest::SHA256, b"hello");
    let sha256 = Sha256(hash.as_ref().try_into().unwrap());
    let grant = UploadGrant { checksum_sha256: Some(sha256), ..grant(key, b"hello") };
    let signed = signer.upload(&grant).await.expect("sign");
    let url = signed.url.expose();

    for body in [&b"hello!"[..], b"hell"] {
        assert_eq!(http.follow(&signed, body).await.0, 403, "another length");
    }
    assert_eq!(http.follow(&signed, b"jello").await.0, 400, "other bytes");
    let elsewhere = url.replace(&key.to_string(), &other.to_string());
    assert_eq!(http.send("PUT", &elsewhere, &signed.headers, b"hello").await.0, 403, "another key");
    for (name, value) in [
        ("content-type", Some("text/html")),
        ("if-none-match", None),
        ("x-amz-checksum-sha256", None),
        ("x-amz-meta-file-id", Some("another")),
    ] {
        let headers = changed(&signed, name, value);
        assert_eq!(http.send("PUT", url, &headers, b"hello").await.0, 403, "{name} is {value:?}");
    }
    assert_eq!(http.send("GET", url, &[], b"").await.0, 403, "another method");
    assert_eq!((bucket.head(key).await, bucket.head(other).await), (Ok(None), Ok(None)));

    assert_eq!(http.follow(&signed, b"hello").await.0, 200, "what was granted");
}

async fn an_upload_works_once(signer: &impl SignerPort, bucket: &impl ObjectsPort, http: &Http) {
    let key = file_of(new_user());
    let signed = signer.upload(&grant(key, b"hello")).await.expect("sign");
    assert_eq!(http.follow(&signed, b"hello").await.0, 200);
    let first = bucket.head(key).await.expect("head");
    assert_eq!(http.follow(&signed, b"jello").await.0, 412);
    assert_eq!(bucket.head(key).await.expect("head"), first);
}

async fn a_request_ends_with_its_time(signer: &impl SignerPort, bucket: &impl ObjectsPort, http: &Http) {
    let key = file_of(new_user());
    let now = Clock::System.now().before(Duration::from_secs(120));
    let late = UploadGrant { now, ttl: Duration::from_secs(60), ..grant(key, b"hello") };
    let signed = signer.upload(&late).await.expect("sign");
    assert_eq!(http.follow(&signed, b"hello").await.0, 403);
    assert_eq!(bucket.head(key).await, Ok(None));
}

async fn a_download_answers_as_granted(signer: &impl SignerPort, http: &Http) {
    let key = file_of(new_user());
    let upload = signer.upload(&grant(key, b"hello")).await.expect("sign");
    assert_eq!(http.follow(&upload, b"hello").await.0, 200);
    let grant = DownloadGrant {
        key,
        method: DownloadMethod::Get,
        disposition: "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%C3%A9b.txt".to_owned(),
        content_type: "application/octet-stream".to_owned(),
        now: Clock::System.now(),
        ttl: Duration::from_secs(60),
    };
    let signed = signer.download(&grant).await.expect("sign");
    assert_eq!(signed.method, "GET");
    let (status, headers, body) = http.follow(&signed, b"").await;
    assert_eq!((status, &body[..]), (200, &b"hello"[..]));
    assert_eq!(headers["content-disposition"], grant.disposition.as_str());
    assert_eq!(headers["content-type"], grant.content_type.as_str());
    let inline = signed.url.expose().replace("attachment", "inline");
    assert_ne!(inline, signed.url.expose());
    assert_eq!(http.send("GET", &inline, &[], b"").await.0, 403);
    let signed =
        signer.download(&DownloadGrant { method: DownloadMethod::Head, ..grant }).await.expect("sign");
    assert_eq!(signed.method, "HEAD");
    let (status, _, body) = http.follow(&signed, b"").await;
    assert_eq!((status, body.len()), (200, 0));
    assert_eq!(http.send("GET", signed.url.expose(), &[], b"").await.0, 403, "another method");
}

async fn a_part_is_for_exactly_its_grant(signer: &impl SignerPort, bucket: &impl ObjectsPort, http: &Http) {
    let key = file_of(new_user());
    let upload_id = bucket.create_multipart(key, "video/mp4", Vec::new()).await.expect("create");
    let now = Clock::System.now();
    let ttl = Duration::from_secs(60);
    let grant = PartGrant { key, upload_id: upload_id.clone(), number: 1, size_bytes: 5, now, ttl };
    let signed = signer.part(&grant).await.expect("sign");
    assert_eq!(http.follow(&signed, b"hello!").await.0, 403, "another length");
    let other = signed.url.expose().replace("partNumber=1", "partNumber=2");
    assert_eq!(http.send("PUT", &other, &signed.headers, b"hello").await.0, 403, "another part");
    assert_eq!(bucket.list_parts(key, &upload_id).await, Ok(Vec::new()));
    assert_eq!(http.follow(&signed, b"hello").await.0, 200, "what was granted");
    bucket.abort_multipart(key, &upload_id).await.expect("abort");
}
