//! The bucket and the signer on S3 are held to their contracts, on the servers that `WHARFDEV_TEST_S3` (which checks
//! everything) and `WHARFDEV_TEST_MOTO` (which checks little) name.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

use std::time::Duration;

use wharfinger::adapters::aws::StepOutcome;
use wharfinger::adapters::s3::{BucketRules, S3Bucket, S3Options, S3Setup, S3Signer};
use wharfinger::adapters::sigv4::Style;
use wharfinger::domain::file::Sha256;
use wharfinger::ports::{Clock, ObjectsError, ObjectsPort, Part, SignerError, SignerPort, UploadGrant};
use wharfinger::telemetry::health::Health;

use crate::canned::{Canned, Said};
use crate::http::{Embedded, Http, file_of, grant, new_user};
use crate::objects::{objects, whole_objects};
use crate::servers::{self, Server, new_name};
use crate::signer::signer;

/// A bucket of its own.
struct World {
    server: Server,
    options: S3Options,
    bucket: S3Bucket,
    signer: S3Signer,
}

impl World {
    async fn new(variable: &str) -> Option<Self> {
        let server = servers::server(variable)?;
        let bucket = new_name();
        server.s3().create_bucket().bucket(&bucket).send().await.expect("a bucket");
        let options = options(&server, &bucket);
        Some(Self {
            bucket: S3Bucket::open(&options, Clock::System).await,
            signer: ready_signer(&options).await,
            server,
            options,
        })
    }
}

fn options(server: &Server, bucket: &str) -> S3Options {
    S3Options {
        access: server.access(),
        bucket: bucket.to_owned(),
        style: Style::Path,
        public_endpoint: None,
    }
}

async fn ready_signer(options: &S3Options) -> S3Signer {
    let made = S3Signer::new(options, Clock::System, Health::default()).await;
    let (signer, mut refresher) = made.expect("an endpoint");
    refresher.refresh().await;
    signer
}

/// Needs no server: the endpoint in this process speaks S3 too.
#[tokio::test]
async fn bucket_and_signer_keep_their_contracts_on_the_embedded_endpoint() {
    let embedded = Embedded::start().await;
    let (access_key_id, secret_key) = embedded.keys.clone();
    let server = Server { url: embedded.url.clone(), access_key_id, secret_key };
    let options = options(&server, "wharf");
    let (bucket, its_signer) = (S3Bucket::open(&options, Clock::System).await, ready_signer(&options).await);
    objects(&bucket, &its_signer).await;
    signer(&its_signer, &bucket).await;
}

#[tokio::test]
async fn the_bucket_keeps_the_contract() {
    let Some(world) = World::new(servers::S3).await else { return };
    objects(&world.bucket, &world.signer).await;
}

#[tokio::test]
async fn the_signer_keeps_the_contract() {
    let Some(world) = World::new(servers::S3).await else { return };
    signer(&world.signer, &world.bucket).await;
}

/// It names its list of parts so that the SDK cannot read it.
#[tokio::test]
async fn the_bucket_keeps_the_contract_of_whole_objects_on_moto() {
    let Some(world) = World::new(servers::MOTO).await else { return };
    whole_objects(&world.bucket, &world.signer).await;
    let key = file_of(new_user());
    let upload = world.bucket.create_multipart(key, "video/mp4", Vec::new()).await.unwrap();
    let parts =
        world.bucket.list_parts(key, &upload).await.expect_err("when it can: hold it to the whole contract");
    assert!(parts.to_string().contains("200 no code: "), "{parts}");
    assert_eq!(world.bucket.abort_multipart(key, &upload).await, Ok(()));
}

#[tokio::test]
async fn a_missing_bucket_is_not_a_missing_object() {
    for variable in [servers::S3, servers::MOTO] {
        let Some(server) = servers::server(variable) else { return };
        let name = new_name();
        let bucket = S3Bucket::open(&options(&server, &name), Clock::System).await;
        let missing = || Err(ObjectsError::Unavailable { reason: format!("there is no bucket {name}") });
        assert_eq!(bucket.head(file_of(new_user())).await, missing());
        assert!(bucket.list("user/".to_owned(), None).await.is_err());
        assert!(bucket.delete(file_of(new_user())).await.is_err());
        server.s3().create_bucket().bucket(&name).send().await.expect("a bucket");
        assert_eq!(bucket.head(file_of(new_user())).await, Ok(None));
    }
}

#[tokio::test]
async fn keys_that_are_refused_are_not_a_missing_object() {
    let Some(server) = servers::server(servers::S3) else { return };
    let world = World::new(servers::S3).await.unwrap();
    let stranger = Server { secret_key: "wrong".to_owned(), ..server };
    let bucket = S3Bucket::open(&options(&stranger, &world.options.bucket), Clock::System).await;
    let refused = bucket.head(file_of(new_user())).await.expect_err("a wrong secret");
    assert!(refused.to_string().contains("403: our keys are refused"), "{refused}");
    let refused = bucket.list("user/".to_owned(), None).await.expect_err("a wrong secret");
    assert!(
        refused.to_string().contains("it does not know our keys: 403 SignatureDoesNotMatch"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_within_seconds() {
    let Some(server) = servers::server(servers::S3) else { return };
    let nowhere = Server { url: "http://127.0.0.1:1".to_owned(), ..server };
    let bucket = S3Bucket::open(&options(&nowhere, "any"), Clock::System).await;
    let head = tokio::time::timeout(Duration::from_secs(6), bucket.head(file_of(new_user()))).await;
    let refused = head.expect("inside the time of whoever asks").expect_err("nobody is there");
    assert!(refused.to_string().contains("no connection: "), "{refused}");
}

#[tokio::test]
async fn a_head_knows_the_checksum_that_was_signed() {
    let Some(world) = World::new(servers::S3).await else { return };
    let key = file_of(new_user());
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"hello");
    let sum = Sha256(sum.as_ref().try_into().unwrap());
    let grant = UploadGrant { checksum_sha256: Some(sum), ..grant(key, b"hello") };
    let signed = world.signer.upload(&grant).await.unwrap();
    assert_eq!(Http::new().follow(&signed, b"hello").await.0, 200);
    let meta = world.bucket.head(key).await.unwrap().expect("it is there");
    assert_eq!(meta.checksum_sha256, Some(sum));
}

#[tokio::test]
async fn foreign_keys_are_listed_as_they_are() {
    // One sends keys as they are, the other encodes them when asked to.
    for variable in [servers::S3, servers::MOTO] {
        let Some(world) = World::new(variable).await else { return };
        let mut keys = ["user/a b+c", "user/%41&<>\"'", "user/Grüße"];
        for key in keys {
            world.server.s3().put_object().bucket(&world.options.bucket).key(key).send().await.expect("put");
        }
        keys.sort_unstable();
        let page = world.bucket.list("user/".to_owned(), None).await.unwrap();
        let listed: Vec<_> = page.objects.iter().map(|object| object.key.as_str()).collect();
        assert_eq!(listed, keys, "{variable}");
    }
}

#[tokio::test]
async fn a_long_list_comes_in_pages() {
    let Some(world) = World::new(servers::S3).await else { return };
    let s3 = world.server.s3();
    let puts =
        (0..1005).map(|n| s3.put_object().bucket(&world.options.bucket).key(format!("user/{n:04}")).send());
    let puts: Vec<_> = futures_util::StreamExt::collect(futures_util::StreamExt::buffered(
        futures_util::stream::iter(puts),
        16,
    ))
    .await;
    assert!(puts.iter().all(Result::is_ok));
    let first = world.bucket.list("user/".to_owned(), None).await.unwrap();
    assert_eq!((first.objects.len(), first.is_truncated), (1000, true));
    let last = first.objects.last().map(|object| object.key.clone());
    let second = world.bucket.list("user/".to_owned(), last).await.unwrap();
    assert_eq!((second.objects.len(), second.is_truncated), (5, false));
    assert_eq!(second.objects[0].key, "user/1000");
}

#[tokio::test]
async fn a_signer_without_credentials_says_so() {
    let Some(server) = servers::server(servers::S3) else { return };
    let made = S3Signer::new(&options(&server, "any"), Clock::System, Health::default()).await;
    let (signer, refresher) = made.expect("an endpoint");
    let refused = signer.upload(&grant(file_of(new_user()), b"hello")).await;
    assert!(matches!(refused, Err(SignerError::Unavailable { .. })), "{refused:?}");
    let running = tokio::spawn(refresher.run());
    while signer.upload(&grant(file_of(new_user()), b"hello")).await.is_err() {
        tokio::task::yield_now().await;
    }
    running.abort();
}

#[tokio::test]
async fn a_policy_is_made_once() {
    let Some(world) = World::new(servers::MOTO).await else { return };
    let rules = BucketRules {
        allowed_origins: Vec::new(),
        abort_after_days: 2,
        signature_age_max_secs: 900,
        is_policed: true,
        is_tls_only: true,
    };
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        let setup = S3Setup::new(&world.options, Clock::System, false).await;
        let steps = setup.bucket(&rules).await;
        outcomes.push(steps.into_iter().find(|step| step.what.ends_with(": policy")).unwrap().outcome);
    }
    assert!(matches!(outcomes[0], StepOutcome::Changed { .. }), "{outcomes:?}");
    assert_eq!(outcomes[1], StepOutcome::Right);
}

async fn told(answers: &'static [Said]) -> (S3Bucket, Canned) {
    let canned = Canned::new(answers).await;
    let access = canned.access.clone();
    let options = S3Options { access, bucket: "files".to_owned(), style: Style::Path, public_endpoint: None };
    (S3Bucket::open(&options, Clock::System).await, canned)
}

#[tokio::test]
async fn a_bucket_that_cannot_reach_the_queue_yet_is_told_again() {
    const ARN: &str = "arn:aws:sqs:us-east-1:1:wharf";
    const NOBODY: Said = (200, "<NotificationConfiguration></NotificationConfiguration>");
    const UNREACHED: Said = (
        400,
        "<Error><Code>InvalidArgument</Code><Message>Unable to validate the following destination \
         configurations</Message></Error>",
    );
    let canned = Canned::new(&[NOBODY, UNREACHED, UNREACHED, (200, ""), NOBODY]).await;
    let access = canned.access.clone();
    let options = S3Options { access, bucket: "files".to_owned(), style: Style::Path, public_endpoint: None };
    S3Setup::new(&options, Clock::System, false).await.notification(Some(ARN)).await;
    let puts = canned.asked().iter().filter(|line| line.starts_with("PUT ")).count();
    assert_eq!(puts, 3, "until it can: {:?}", canned.asked());
}

#[tokio::test]
async fn a_head_that_is_forbidden_is_not_a_missing_object() {
    let (bucket, _) = told(&[(403, "")]).await;
    let refused = bucket.head(file_of(new_user())).await.expect_err("403");
    assert!(refused.to_string().contains("s3:ListBucket"), "{refused}");
    let (bucket, canned) = told(&[(404, ""), (403, "")]).await;
    bucket.head(file_of(new_user())).await.expect_err("nobody knows whether the bucket is there");
    assert_eq!(canned.asked().len(), 2, "{:?}", canned.asked());
}

#[tokio::test]
async fn a_bucket_that_was_seen_is_not_looked_for_again() {
    let (bucket, canned) = told(&[(404, ""), (200, ""), (404, "")]).await;
    for _ in 0..3 {
        assert_eq!(bucket.head(file_of(new_user())).await, Ok(None));
    }
    let asked = canned.asked();
    let of_the_bucket = asked
        .iter()
        .filter(|line| line.starts_with("HEAD /files/ ") || line.starts_with("HEAD /files "))
        .count();
    assert_eq!((asked.len(), of_the_bucket), (4, 1), "{asked:?}");
}

#[tokio::test]
async fn silence_ends_before_whoever_asks_gives_up() {
    let (bucket, _) = told(&[]).await;
    let head = tokio::time::timeout(Duration::from_secs(6), bucket.head(file_of(new_user()))).await;
    let refused = head.expect("in time").expect_err("silence");
    assert!(refused.to_string().contains("no answer in time"), "{refused}");
}

async fn complete(answers: &'static [Said]) -> Result<(), ObjectsError> {
    let part = Part { number: 1, size_bytes: 5, etag: "e".to_owned() };
    told(answers).await.0.complete_multipart(file_of(new_user()), "upload", vec![part]).await
}

#[tokio::test]
async fn an_upload_that_is_not_completed_says_whether_trying_again_helps() {
    let is_unavailable = |outcome| matches!(outcome, Err(ObjectsError::Unavailable { .. }));
    let is_refused = |outcome| matches!(outcome, Err(ObjectsError::Refused { .. }));
    const INTERNAL: &str = "<Error><Code>InternalError</Code></Error>";
    const CONFLICT: &str = "<Error><Code>ConditionalRequestConflict</Code></Error>";
    const NONE: &str = "<Error><Code>NoSuchUpload</Code></Error>";
    const SMALL: &str = "<Error><Code>EntityTooSmall</Code></Error>";
    assert!(is_unavailable(complete(&[(200, INTERNAL)]).await), "an error under 200");
    assert!(
        is_unavailable(complete(&[(409, CONFLICT), (404, ""), (200, "")]).await),
        "somebody else is at it"
    );
    const OURS: &str =
        "content-length: 5\r\netag: \"e-1\"\r\nlast-modified: Fri, 20 Nov 2026 10:00:00 GMT\r\n";
    assert_eq!(complete(&[(409, CONFLICT), (200, OURS)]).await, Ok(()), "somebody else did it");
    assert!(is_refused(complete(&[(404, NONE), (404, ""), (200, "")]).await), "neither upload nor object");
    assert!(is_refused(complete(&[(400, SMALL)]).await), "a part that is too small");
    let (bucket, canned) = told(&[]).await;
    assert!(
        is_refused(bucket.complete_multipart(file_of(new_user()), "upload", Vec::new()).await),
        "no parts"
    );
    assert_eq!(canned.asked(), [""; 0]);
}
