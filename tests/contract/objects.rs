//! The contract of `ObjectsPort`. Bytes come by signed requests, as they always do, so a bucket brings its signer.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

use std::time::Duration;

use futures_util::future::join_all;
use wharfinger::domain::ids::ObjectKey;
use wharfinger::limits::FIRST_BYTES;
use wharfinger::ports::{Clock, ObjectsError, ObjectsPort, Part, PartGrant, SignerPort};

use crate::http::{Embedded, Http, file_of, grant, new_user};

#[tokio::test]
async fn the_embedded_bucket_keeps_the_contract() {
    let embedded = Embedded::start().await;
    objects(&embedded.objects, &embedded.signer).await;
}

/// Run by every bucket, embedded and real.
pub(crate) async fn objects(bucket: &impl ObjectsPort, signer: &impl SignerPort) {
    whole_objects(bucket, signer).await;
    objects_in_parts(bucket, signer).await;
}

/// What does not need uploads in parts.
pub(crate) async fn whole_objects(bucket: &impl ObjectsPort, signer: &impl SignerPort) {
    let http = Http::new();
    what_was_put_is_seen_at_once(bucket, signer, &http).await;
    first_bytes_are_few(bucket, signer, &http).await;
    removing_twice_is_fine(bucket, signer, &http).await;
    keys_are_listed_in_order_above_a_key(bucket, signer, &http).await;
}

/// What does.
async fn objects_in_parts(bucket: &impl ObjectsPort, signer: &impl SignerPort) {
    let http = Http::new();
    parts_become_an_object_once(bucket, signer, &http).await;
    an_upload_given_up_is_gone(bucket, signer, &http).await;
    parts_do_not_replace_an_object(bucket, signer, &http).await;
    open_uploads_are_listed(bucket, signer, &http).await;
}

async fn put(signer: &impl SignerPort, http: &Http, key: ObjectKey, body: &[u8]) {
    let signed = signer.upload(&grant(key, body)).await.expect("sign");
    assert_eq!(http.follow(&signed, body).await.0, 200);
}

async fn put_part(signer: &impl SignerPort, http: &Http, to: (ObjectKey, &str, u16), body: &[u8]) {
    let grant = PartGrant {
        key: to.0,
        upload_id: to.1.to_owned(),
        number: to.2,
        size_bytes: u64::try_from(body.len()).unwrap(),
        now: Clock::System.now(),
        ttl: Duration::from_secs(60),
    };
    let signed = signer.part(&grant).await.expect("sign");
    assert_eq!(http.follow(&signed, body).await.0, 200);
}

async fn what_was_put_is_seen_at_once(bucket: &impl ObjectsPort, signer: &impl SignerPort, http: &Http) {
    let key = file_of(new_user());
    assert_eq!(bucket.head(key).await, Ok(None));
    assert_eq!(bucket.first_bytes(key).await, Ok(None));
    put(signer, http, key, b"hello").await;
    let meta = bucket.head(key).await.expect("head").expect("it is there");
    assert_eq!((meta.size_bytes, meta.etag.as_str()), (5, "5d41402abc4b2a76b9719d911017c592"));
    assert_eq!(meta.content_type.as_deref(), Some("text/plain"));
    assert_eq!(bucket.first_bytes(key).await.expect("bytes").as_deref(), Some(&b"hello"[..]));
    let now = Clock::System.now();
    let apart = now.since(meta.landed_at).max(meta.landed_at.since(now));
    assert!(apart < Duration::from_secs(120), "{apart:?} between its clock and ours");
}

async fn first_bytes_are_few(bucket: &impl ObjectsPort, signer: &impl SignerPort, http: &Http) {
    for length in [0, 1, FIRST_BYTES, FIRST_BYTES + 1, 100_000] {
        let key = file_of(new_user());
        let body: Vec<u8> = (0_u8..=u8::MAX).cycle().take(length).collect();
        put(signer, http, key, &body).await;
        let found = bucket.first_bytes(key).await.expect("bytes").expect("it is there");
        assert_eq!(found, body[..length.min(FIRST_BYTES)], "of {length}");
    }
}

async fn removing_twice_is_fine(bucket: &impl ObjectsPort, signer: &impl SignerPort, http: &Http) {
    let key = file_of(new_user());
    put(signer, http, key, b"hello").await;
    for _ in 0..2 {
        assert_eq!(bucket.delete(key).await, Ok(()));
        assert_eq!(bucket.head(key).await, Ok(None));
    }
}

async fn keys_are_listed_in_order_above_a_key(
    bucket: &impl ObjectsPort,
    signer: &impl SignerPort,
    http: &Http,
) {
    let (user, other) = (new_user(), new_user());
    let prefix = format!("user/{user}/");
    let empty = bucket.list(prefix.clone(), None).await.expect("list");
    assert_eq!((empty.objects.len(), empty.is_truncated), (0, false));
    let mut keys: Vec<String> = Vec::new();
    for _ in 0..3 {
        let key = file_of(user);
        put(signer, http, key, b"12345").await;
        put(signer, http, file_of(other), b"1").await;
        keys.push(key.to_string());
    }
    keys.sort();
    let page = bucket.list(prefix.clone(), None).await.expect("list");
    let listed: Vec<_> = page.objects.iter().map(|object| object.key.clone()).collect();
    assert_eq!((listed, page.is_truncated), (keys.clone(), false));
    assert!(page.objects.iter().all(|object| object.size_bytes == 5));
    for (at, key) in keys.iter().enumerate() {
        let page = bucket.list(prefix.clone(), Some(key.clone())).await.expect("list");
        let above: Vec<_> = page.objects.into_iter().map(|object| object.key).collect();
        assert_eq!(above, keys[at + 1..], "above the {at}th");
    }
    let removed = ObjectKey::parse(&keys[1]).unwrap();
    bucket.delete(removed).await.expect("delete");
    let left = bucket.list(prefix, None).await.expect("list");
    assert_eq!(left.objects.len(), 2, "a list sees what was removed before");
}

async fn parts_become_an_object_once(bucket: &impl ObjectsPort, signer: &impl SignerPort, http: &Http) {
    let key = file_of(new_user());
    let metadata = vec![("file-id".to_owned(), key.file.to_string())];
    let upload_id = bucket.create_multipart(key, "video/mp4", metadata).await.expect("create");
    assert_eq!(bucket.list_parts(key, &upload_id).await, Ok(Vec::new()));
    let first = vec![7_u8; 5 << 20];
    put_part(signer, http, (key, &upload_id, 2), b"end").await;
    put_part(signer, http, (key, &upload_id, 1), b"another try").await;
    put_part(signer, http, (key, &upload_id, 1), &first).await;
    let parts = bucket.list_parts(key, &upload_id).await.expect("parts");
    let shape: Vec<_> = parts.iter().map(|part| (part.number, part.size_bytes)).collect();
    assert_eq!(shape, [(1, 5 << 20), (2, 3)], "in order, the last of each number");
    assert_eq!(bucket.head(key).await, Ok(None), "not before it is complete");

    let wrong = vec![Part { etag: "0".repeat(32), ..parts[0].clone() }];
    let refused = bucket.complete_multipart(key, &upload_id, wrong).await;
    assert!(matches!(refused, Err(ObjectsError::Refused { .. })), "{refused:?}");

    let elsewhere = bucket.complete_multipart(file_of(key.user), &upload_id, parts.clone()).await;
    assert!(matches!(elsewhere, Err(ObjectsError::Refused { .. })), "under another key: {elsewhere:?}");

    let all = join_all((0..3).map(|_| bucket.complete_multipart(key, &upload_id, parts.clone()))).await;
    assert!(all.contains(&Ok(())), "{all:?}");
    assert_eq!(bucket.complete_multipart(key, &upload_id, parts).await, Ok(()), "repeating it is fine");
    let meta = bucket.head(key).await.expect("head").expect("it is there");
    assert_eq!((meta.size_bytes, meta.content_type.as_deref()), ((5 << 20) + 3, Some("video/mp4")));
}

async fn an_upload_given_up_is_gone(bucket: &impl ObjectsPort, signer: &impl SignerPort, http: &Http) {
    let key = file_of(new_user());
    let upload_id = bucket.create_multipart(key, "video/mp4", Vec::new()).await.expect("create");
    put_part(signer, http, (key, &upload_id, 1), b"part").await;
    let parts = bucket.list_parts(key, &upload_id).await.expect("parts");
    for _ in 0..2 {
        assert_eq!(bucket.abort_multipart(key, &upload_id).await, Ok(()));
    }
    for refused in [
        bucket.list_parts(key, &upload_id).await.map(drop),
        bucket.complete_multipart(key, &upload_id, parts).await,
    ] {
        assert!(matches!(refused, Err(ObjectsError::Refused { .. })), "{refused:?}");
    }
    assert_eq!(bucket.head(key).await, Ok(None));
}

async fn parts_do_not_replace_an_object(bucket: &impl ObjectsPort, signer: &impl SignerPort, http: &Http) {
    let key = file_of(new_user());
    let upload_id = bucket.create_multipart(key, "video/mp4", Vec::new()).await.expect("create");
    put_part(signer, http, (key, &upload_id, 1), b"part").await;
    let parts = bucket.list_parts(key, &upload_id).await.expect("parts");
    put(signer, http, key, b"first").await;
    let refused = bucket.complete_multipart(key, &upload_id, parts).await;
    assert!(matches!(refused, Err(ObjectsError::Refused { .. })), "{refused:?}");
    let meta = bucket.head(key).await.expect("head").expect("it is there");
    assert_eq!(meta.size_bytes, 5);
}

async fn open_uploads_are_listed(bucket: &impl ObjectsPort, signer: &impl SignerPort, http: &Http) {
    let user = new_user();
    let prefix = format!("user/{user}/");
    let listed = async || {
        let (mut uploads, mut after) = (Vec::new(), None);
        loop {
            let page = bucket.list_uploads(prefix.clone(), after).await.expect("list");
            uploads.extend(page.uploads.into_iter().map(|upload| (upload.key, upload.upload_id)));
            after = page.next;
            if after.is_none() {
                return uploads;
            }
        }
    };
    assert_eq!(listed().await, []);
    let mut begun = Vec::new();
    for key in [file_of(user), file_of(user), file_of(user)] {
        begun.push((key, bucket.create_multipart(key, "video/mp4", Vec::new()).await.expect("create")));
    }
    bucket.create_multipart(file_of(new_user()), "video/mp4", Vec::new()).await.expect("create");
    begun.sort_by_key(|(key, _)| key.to_string());
    let named = |begun: &[(ObjectKey, String)]| -> Vec<(String, String)> {
        begun.iter().map(|(key, upload_id)| (key.to_string(), upload_id.clone())).collect()
    };
    assert_eq!(listed().await, named(&begun), "in order of their keys, and nobody else's");
    let started_at = bucket.list_uploads(prefix.clone(), None).await.expect("list").uploads[0].started_at;
    let now = Clock::System.now();
    assert!(now.since(started_at).max(started_at.since(now)) < Duration::from_secs(120), "{started_at}");
    let (key, upload_id) = begun.remove(0);
    put_part(signer, http, (key, &upload_id, 1), b"part").await;
    let parts = bucket.list_parts(key, &upload_id).await.expect("parts");
    bucket.complete_multipart(key, &upload_id, parts).await.expect("complete");
    let (key, upload_id) = begun.remove(0);
    bucket.abort_multipart(key, &upload_id).await.expect("abort");
    assert_eq!(listed().await, named(&begun), "neither what was completed nor what was given up");
}
