//! The AWS SDK as a client of the endpoint.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumMode, CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier};
use wharfinger::adapters::embedded::bucket::BucketOptions;
use wharfinger::ports::{Clock, ObjectsError, ObjectsPort as _, PartGrant, SignerPort as _};

use crate::world::{World, eventually, new_key};

pub(crate) fn client(world: &World) -> Client {
    let keys = world.bucket.credentials();
    let credentials = Credentials::new(keys.access_key(), keys.expose_secret(), None, None, "test");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials)
        .endpoint_url(&world.url)
        .force_path_style(true);
    Client::from_conf(config.build())
}

async fn put(client: &Client, key: &str, body: &'static [u8]) {
    client.put_object().bucket("wharf").key(key).body(ByteStream::from_static(body)).send().await.unwrap();
}

/// All keys (or folders) of a listing, page by page.
async fn list(client: &Client, prefix: &str, delimiter: Option<&str>, page: i32) -> Vec<String> {
    let mut names = Vec::new();
    let mut token = None;
    loop {
        let request = client.list_objects_v2().bucket("wharf").prefix(prefix).max_keys(page);
        let answer = request
            .set_delimiter(delimiter.map(str::to_owned))
            .set_continuation_token(token)
            .send()
            .await
            .unwrap();
        let mut found: Vec<_> =
            answer.contents().iter().map(|object| object.key().unwrap().to_owned()).collect();
        found.extend(answer.common_prefixes().iter().map(|folder| folder.prefix().unwrap().to_owned()));
        assert_eq!(answer.key_count(), i32::try_from(found.len()).ok());
        found.sort();
        names.extend(found);
        assert!(names.len() < 100, "the pages never end: {names:?}");
        token = answer.next_continuation_token().map(str::to_owned);
        assert_eq!(answer.is_truncated(), Some(token.is_some()));
        if token.is_none() {
            return names;
        }
    }
}

#[tokio::test]
async fn the_sdk_puts_and_gets_any_key() {
    let world = World::new().await;
    let client = client(&world);
    for key in ["a", "a/b", "a b+c/é~!*'()", "UPPER/lower", "x//y", "dir/", "%2F", "user/..", "a=b&c?d#e"] {
        let body = format!("bytes of {key}").into_bytes();
        let put = client.put_object().bucket("wharf").key(key).content_type("text/x").metadata("a", "b");
        let put = put.body(ByteStream::from(body.clone())).send().await.unwrap();
        let head = client
            .head_object()
            .bucket("wharf")
            .key(key)
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
            .unwrap();
        assert_eq!(head.content_length(), i64::try_from(body.len()).ok());
        assert_eq!(head.e_tag(), put.e_tag());
        assert_eq!(head.content_type(), Some("text/x"));
        assert_eq!(head.metadata().unwrap().get("a").map(String::as_str), Some("b"));
        assert_eq!(head.checksum_sha256().map(str::len), Some(44));
        assert!(head.last_modified().is_some());
        // The SDK compares the checksum with the bytes by itself.
        let get = client
            .get_object()
            .bucket("wharf")
            .key(key)
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
            .unwrap();
        assert_eq!(get.body.collect().await.unwrap().to_vec(), body, "{key}");
    }
}

#[tokio::test]
async fn a_streamed_body_with_a_trailing_checksum_is_taken() {
    let world = World::new().await;
    let path = world.path.join("big");
    let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&path, &bytes).unwrap();
    let client = client(&world);
    let body = ByteStream::from_path(&path).await.unwrap();
    client.put_object().bucket("wharf").key("big").body(body).send().await.unwrap();
    let get = client.get_object().bucket("wharf").key("big").send().await.unwrap();
    assert!(get.body.collect().await.unwrap().to_vec() == bytes);
}

#[tokio::test]
async fn errors_are_those_of_s3() {
    let world = World::new().await;
    let client = client(&world);
    let get = client.get_object().bucket("wharf").key("none").send().await.unwrap_err();
    assert_eq!(get.code(), Some("NoSuchKey"));
    let head = client.head_object().bucket("wharf").key("none").send().await.unwrap_err();
    assert!(head.into_service_error().is_not_found());
    let other = client.get_object().bucket("other").key("none").send().await.unwrap_err();
    assert_eq!(other.code(), Some("NoSuchBucket"));
    let long = client.put_object().bucket("wharf").key("k".repeat(255)).send().await.unwrap_err();
    assert_eq!(long.code(), Some("KeyTooLongError"));
    let copy = client.copy_object().bucket("wharf").key("b").copy_source("wharf/a").send().await.unwrap_err();
    assert_eq!(copy.code(), Some("NotImplemented"));
    let bad = client
        .put_object()
        .bucket("wharf")
        .key("a")
        .checksum_sha256("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
    assert_eq!(
        bad.body(ByteStream::from_static(b"jello")).send().await.unwrap_err().code(),
        Some("BadDigest")
    );
    let wrong = Credentials::new("AKID", "SECRET", None, None, "test");
    let stranger = Client::from_conf(client.config().to_builder().credentials_provider(wrong).build());
    let refused = stranger.list_objects_v2().bucket("wharf").send().await.unwrap_err();
    assert_eq!(refused.raw_response().map(|answer| answer.status().as_u16()), Some(403));
    assert_eq!(world.files("objects"), 0);
}

#[tokio::test]
async fn a_put_without_a_condition_replaces_and_with_it_does_not() {
    let world = World::new().await;
    let client = client(&world);
    put(&client, "k", b"one").await;
    put(&client, "k", b"two").await;
    let third = client
        .put_object()
        .bucket("wharf")
        .key("k")
        .if_none_match("*")
        .body(ByteStream::from_static(b"three"));
    assert_eq!(third.send().await.unwrap_err().code(), Some("PreconditionFailed"));
    let get = client.get_object().bucket("wharf").key("k").send().await.unwrap();
    assert_eq!(get.body.collect().await.unwrap().to_vec(), b"two");
    assert_eq!(world.heard.wait_for(2).await.len(), 2);
    eventually("an empty outbox", || (world.files("outbox") == 0).then_some(())).await;
}

#[tokio::test]
async fn keys_are_listed_in_their_order_page_by_page() {
    let world = World::new().await;
    let client = client(&world);
    let mut keys =
        ["a", "a/b", "a-b", "a/c", "a.b", "a/b/c", "b", "A", "a//", "é", "a0", "c/d/e"].map(str::to_owned);
    for key in &keys {
        put(&client, key, b"x").await;
    }
    keys.sort();
    for page in [1, 2, 3, 5, 1000] {
        assert_eq!(list(&client, "", None, page).await, keys, "pages of {page}");
    }
    let below = |prefix: &str| keys.iter().filter(|key| key.starts_with(prefix)).cloned().collect::<Vec<_>>();
    for prefix in ["a", "a/", "a/b", "z", "c/d/"] {
        assert_eq!(list(&client, prefix, None, 2).await, below(prefix), "{prefix}");
    }
    for page in [1, 1000] {
        assert_eq!(
            list(&client, "", Some("/"), page).await,
            ["A", "a", "a-b", "a.b", "a/", "a0", "b", "c/", "é"]
        );
        assert_eq!(list(&client, "a/", Some("/"), page).await, ["a//", "a/b", "a/b/", "a/c"]);
    }
    for after in &keys {
        let answer = client.list_objects_v2().bucket("wharf").start_after(after).send().await.unwrap();
        let found: Vec<_> = answer.contents().iter().map(|object| object.key().unwrap()).collect();
        let wanted: Vec<_> = keys.iter().filter(|key| *key > after).collect();
        assert_eq!(found, wanted, "after {after}");
    }
}

#[tokio::test]
async fn removed_keys_are_gone_one_by_one_and_together() {
    let world = World::new().await;
    let client = client(&world);
    for key in ["a", "b/c", "b/d", "e"] {
        put(&client, key, b"x").await;
    }
    client.delete_object().bucket("wharf").key("a").send().await.unwrap();
    client.delete_object().bucket("wharf").key("a").send().await.unwrap();
    let named = ["b/c", "e", "none"].map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder().set_objects(Some(named.to_vec())).build().unwrap();
    let answer = client.delete_objects().bucket("wharf").delete(delete).send().await.unwrap();
    assert_eq!((answer.deleted().len(), answer.errors().len()), (3, 0));
    assert_eq!(list(&client, "", None, 1000).await, ["b/d"]);
    let folders = client.list_objects_v2().bucket("wharf").delimiter("/").send().await.unwrap();
    assert_eq!(folders.common_prefixes().len(), 1);
    assert_eq!(world.heard.wait_for(7).await.len(), 7, "four uploads, three removals");
}

#[tokio::test]
async fn the_bucket_tells_of_itself() {
    let world = World::new().await;
    let client = client(&world);
    client.head_bucket().bucket("wharf").send().await.unwrap();
    assert!(client.head_bucket().bucket("other").send().await.is_err());
    let all = client.list_buckets().send().await.unwrap();
    assert_eq!(all.buckets().iter().filter_map(|bucket| bucket.name()).collect::<Vec<_>>(), ["wharf"]);
    let location = client.get_bucket_location().bucket("wharf").send().await.unwrap();
    assert!(location.location_constraint().is_none_or(|region| region.as_str().is_empty()));
}

/// The least bytes of a part that is not the last.
pub(crate) const PART: usize = 5 << 20;

#[tokio::test]
async fn parts_become_one_object() {
    let world = World::new().await;
    let client = client(&world);
    let key = new_key();
    let upload = client
        .create_multipart_upload()
        .bucket("wharf")
        .key(key.to_string())
        .content_type("video/x")
        .send()
        .await
        .unwrap();
    let upload_id = upload.upload_id().unwrap();
    let bodies = [vec![1_u8; PART], vec![2_u8; PART], vec![3_u8; 7]];
    let mut parts = Vec::new();
    for (number, body) in (1..).zip(&bodies) {
        let part = client
            .upload_part()
            .bucket("wharf")
            .key(key.to_string())
            .upload_id(upload_id)
            .part_number(number);
        let answer = part.body(ByteStream::from(body.clone())).send().await.unwrap();
        parts.push(CompletedPart::builder().part_number(number).e_tag(answer.e_tag().unwrap()).build());
    }
    let listed = client
        .list_parts()
        .bucket("wharf")
        .key(key.to_string())
        .upload_id(upload_id)
        .max_parts(2)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (listed.parts().len(), listed.is_truncated(), listed.next_part_number_marker()),
        (2, Some(true), Some("2"))
    );
    let whole = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let complete =
        client.complete_multipart_upload().bucket("wharf").key(key.to_string()).upload_id(upload_id);
    let complete = complete.multipart_upload(whole).if_none_match("*");
    let done = complete.clone().send().await.unwrap();
    assert!(done.e_tag().unwrap().ends_with("-3\""), "{:?}", done.e_tag());
    complete.send().await.expect("repeating it is fine");

    let get = client
        .get_object()
        .bucket("wharf")
        .key(key.to_string())
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    assert_eq!(get.content_type(), Some("video/x"));
    assert!(get.body.collect().await.unwrap().to_vec() == bodies.concat());
    let news = world.heard.wait_for(1).await;
    assert_eq!(news[0]["eventName"], "ObjectCreated:CompleteMultipartUpload");
    assert_eq!(news[0]["s3"]["object"]["size"], 2 * PART + 7);
    assert_eq!((world.files("uploads"), world.files("tmp")), (0, 0));
}

#[tokio::test]
async fn signed_parts_are_taken_as_they_were_signed() {
    let world = World::new().await;
    let key = new_key();
    let upload_id = world.bucket.create_multipart(key, "video/x", Vec::new()).await.unwrap();
    let part = |number: u16, size_bytes: u64| PartGrant {
        key,
        upload_id: upload_id.clone(),
        number,
        size_bytes,
        now: Clock::System.now(),
        ttl: std::time::Duration::from_secs(60),
    };
    let signed = world.signer.part(&part(1, 5)).await.unwrap();
    assert_eq!(world.http.follow(&signed, b"hello!").await.status, 403, "another length");
    let other = signed.url.expose().replace("partNumber=1", "partNumber=2");
    assert_eq!(world.http.send("PUT", &other, &signed.headers, b"hello").await.status, 403, "another number");
    assert_eq!(world.http.follow(&signed, b"jello").await.status, 200);
    assert_eq!(world.http.follow(&signed, b"hello").await.status, 200, "a part may come again");
    let parts = world.bucket.list_parts(key, &upload_id).await.unwrap();
    assert_eq!((parts.len(), parts[0].etag.as_str()), (1, "5d41402abc4b2a76b9719d911017c592"));
    world.bucket.complete_multipart(key, &upload_id, parts).await.unwrap();
    assert_eq!(&world.get(key).await.body[..], b"hello");
    assert_eq!(world.http.follow(&signed, b"hello").await.status, 404, "the upload has ended");
}

#[tokio::test]
async fn parts_that_do_not_make_an_object_are_refused() {
    let world = World::with(BucketOptions { object_bytes_max: 8 << 20, ..BucketOptions::default() }).await;
    let client = client(&world);
    let key = new_key();
    let upload_id = world.bucket.create_multipart(key, "video/x", Vec::new()).await.unwrap();
    let mut etags = Vec::new();
    for (number, size) in [(1, PART), (2, 3), (3, PART)] {
        let part = client
            .upload_part()
            .bucket("wharf")
            .key(key.to_string())
            .upload_id(&upload_id)
            .part_number(number);
        let answer = part.body(ByteStream::from(vec![0_u8; size])).send().await.unwrap();
        etags.push(answer.e_tag().unwrap().to_owned());
    }
    let complete = async |named: &[(i32, &str)]| {
        let part =
            |(number, etag): &(i32, &str)| CompletedPart::builder().part_number(*number).e_tag(*etag).build();
        let whole =
            CompletedMultipartUpload::builder().set_parts(Some(named.iter().map(part).collect())).build();
        let request =
            client.complete_multipart_upload().bucket("wharf").key(key.to_string()).upload_id(&upload_id);
        let refused = request.multipart_upload(whole).send().await.unwrap_err();
        refused.code().unwrap_or_default().to_owned()
    };
    assert_eq!(complete(&[(1, &etags[1])]).await, "InvalidPart");
    assert_eq!(complete(&[(9, &etags[1])]).await, "InvalidPart");
    assert_eq!(complete(&[(2, &etags[1]), (1, &etags[0])]).await, "InvalidPartOrder");
    assert_eq!(complete(&[(2, &etags[1]), (3, &etags[2])]).await, "EntityTooSmall");
    assert_eq!(complete(&[(1, &etags[0]), (3, &etags[2])]).await, "EntityTooLarge");
    let none = world.bucket.complete_multipart(key, "0123456789abcdef0123456789abcdef", Vec::new()).await;
    assert!(matches!(none, Err(ObjectsError::Refused { .. })), "{none:?}");
    assert_eq!((world.files("objects"), world.files("tmp"), world.files("outbox")), (0, 0, 0));
    client
        .abort_multipart_upload()
        .bucket("wharf")
        .key(key.to_string())
        .upload_id(&upload_id)
        .send()
        .await
        .unwrap();
    assert_eq!(world.files("uploads"), 0);
    let again =
        client.abort_multipart_upload().bucket("wharf").key(key.to_string()).upload_id("../../objects");
    assert_eq!(again.send().await.unwrap_err().code(), Some("NoSuchUpload"));
}
