//! The main job with a real queue and a real bucket, each on the servers that `scripts/servers env` names.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test stops where it is wrong, and tells")]

mod support;

use std::time::{Duration, Instant};

use aws_sdk_s3::config::Region;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use support::serve::{Serve, Site};
use support::servers::{self, Server, new_name, server};
use support::{Api, SOON};
use tokio::net::{TcpListener, TcpStream};
use wharfinger::ports::Clock;

const TEXT: &str = "exactly this";
/// Its SHA-256.
const SUM: &str = "Pss1XKwEkPGabjWz4O3BTuUk0uNRFwzhkHJGyRvw5pM=";

fn queue_settings(server: &Server, url: &str, name: &str, secret: &str) -> String {
    format!(
        "[queue]\nkind = \"sqs\"\nname = {name:?}\nregion = \"us-east-1\"\nendpoint = {url:?}\n\
         access_key_id = {:?}\nsecret_key_file = {secret:?}\n",
        server.access_key_id
    )
}

fn bucket_settings(server: &Server, url: &str, bucket: &str, secret: &str) -> String {
    format!(
        "[objects]\nkind = \"s3\"\nbucket = {bucket:?}\nendpoint = {url:?}\npath_style = true\n\
         access_key_id = {:?}\nsecret_key_file = {secret:?}\n[signer]\nkind = \"s3\"\n",
        server.access_key_id
    )
}

/// Runs `aws setup`, which must do well; returns how many steps changed something.
fn set_up(site: &Site, args: &[&str]) -> (usize, String) {
    let output = site.run(&[&["aws", "setup"], args].concat());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    (said.lines().filter(|line| line.starts_with("done ")).count(), said)
}

async fn presign(api: &Api) -> Value {
    let body = json!({
        "filename": "a.txt", "size_bytes": TEXT.len(), "content_type": "text/plain", "checksum_sha256": SUM,
    });
    api.post("/v1/files", &body).await.expect(201).json()
}

fn id(grant: &Value) -> &str {
    grant["file_id"].as_str().expect("an id")
}

async fn download(api: &Api, file: &str) -> String {
    let link = api.get(&format!("/v1/files/{file}/download-url")).await.expect(200).json();
    let bytes = api.get(link["download_url"].as_str().expect("a URL")).await.expect(200);
    let disposition = bytes.headers["content-disposition"].to_str().expect("text");
    assert!(disposition.starts_with("attachment; filename=\"a.txt\""), "{disposition}");
    String::from_utf8_lossy(&bytes.body).into_owned()
}

/// Waits until a queue holds nothing, waiting or in flight.
async fn wait_for_empty(server: &Server, name: &str) {
    use QueueAttributeName::{ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible};
    let sqs = server.sqs();
    let url = sqs.get_queue_url().queue_name(name).send().await.expect("a queue").queue_url.expect("a URL");
    let deadline = Instant::now() + SOON;
    loop {
        let read = sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All);
        let attributes = read.send().await.expect("attributes").attributes.expect("some");
        let counts = [ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible];
        if counts.iter().all(|name| attributes.get(name).is_some_and(|count| count == "0")) {
            return;
        }
        assert!(Instant::now() < deadline, "{attributes:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until a bucket has no upload in chunks open. It is asked, not tried by sending a chunk: a chunk under way while its
/// upload is given up may leave something behind, on AWS too.
async fn wait_until_no_upload_is_open(server: &Server, bucket: &str) {
    let deadline = Instant::now() + SOON;
    loop {
        let open = server.s3().list_multipart_uploads().bucket(bucket).send().await.expect("a list").uploads;
        if open.as_deref().unwrap_or_default().is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "a cancelled upload is given up: {open:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Neither a secret nor a signature may stand in a log.
fn assert_discreet(serve: &Serve, server: &Server) {
    let said = serve.said();
    assert!(!said.is_empty());
    for secret in [server.secret_key.as_str(), "X-Amz-Signature"].iter().filter(|secret| secret.len() > 8) {
        assert!(!said.contains(secret), "{said}");
    }
}

#[tokio::test]
async fn the_embedded_bucket_tells_a_queue_on_sqs() {
    let Some(sqs) = server(servers::SQS) else { return };
    let (_secret, path) = Site::secret(&sqs.secret_key);
    let name = new_name();
    let site = Site::new(&queue_settings(&sqs, &sqs.url, &name, &path));
    assert!(set_up(&site, &[]).0 >= 2, "a queue and its dead letters");
    let serve = site.serve().await;
    let api = serve.user("alice");

    let grant = presign(&api).await;
    api.put(&grant, TEXT).await.expect(200);
    let file = api.wait_for_status(id(&grant), "processed").await;
    assert_eq!(file["size_bytes"], TEXT.len());
    assert_eq!(download(&api, id(&grant)).await, TEXT);
    assert_eq!(api.events_until("0", "files.processed").await, ["files.reserved", "files.processed"]);
    wait_for_empty(&sqs, &name).await;
    assert!(serve.parts().await.contains("[+] queue up"));
}

// proves: F8 F9
#[tokio::test]
async fn a_bucket_on_s3_takes_what_was_signed_and_nothing_else() {
    let Some(s3) = server(servers::S3) else { return };
    let (_secret, path) = Site::secret(&s3.secret_key);
    let bucket = new_name();
    s3.s3().create_bucket().bucket(&bucket).send().await.expect("a bucket");
    let site = Site::new(&bucket_settings(&s3, &s3.url, &bucket, &path));
    let serve = site.serve().await;
    let api = serve.user("alice");
    serve.wait_for_part("[+] objects up").await;
    serve.wait_for_part("[+] signer up").await;

    let grant = presign(&api).await;
    assert!(grant["upload_url"].as_str().expect("a URL").starts_with(&format!("{}/{bucket}/user/", s3.url)));
    api.put(&grant, "another length").await.expect(403);
    let mut other_type = grant.clone();
    other_type["headers"]["content-type"] = json!("text/html");
    api.put(&other_type, TEXT).await.expect(403);
    let mut again_and_again = grant.clone();
    again_and_again["headers"].as_object_mut().expect("headers").remove("if-none-match");
    api.put(&again_and_again, TEXT).await.expect(403);
    api.put(&grant, "exactly THIS").await.expect(400);
    let complete = format!("/v1/files/{}/complete", id(&grant));
    assert_eq!(api.post(&complete, &json!({})).await.expect(202).json()["status"], "pending", "nothing came");

    api.put(&grant, TEXT).await.expect(200);
    api.put(&grant, TEXT).await.expect(412);
    assert_eq!(api.post(&complete, &json!({})).await.expect(200).json()["status"], "processed");
    assert_eq!(download(&api, id(&grant)).await, TEXT);
    assert_eq!(api.usage().await["used_bytes"], TEXT.len());

    let file = format!("/v1/files/{}", id(&grant));
    let key = format!(
        "user/{}",
        grant["upload_url"].as_str().and_then(|url| url.split("/user/").nth(1)).expect("a key")
    );
    let key = key.split('?').next().expect("a key");
    s3.s3().head_object().bucket(&bucket).key(key).send().await.expect("it is there");
    api.delete(&format!("{file}?permanent=true")).await.expect(204);
    let names = api.events_until("0", "files.purged").await;
    assert_eq!(names.last().map(String::as_str), Some("files.purged"));
    let gone = s3.s3().head_object().bucket(&bucket).key(key).send().await.expect_err("it is gone");
    assert_eq!(gone.raw_response().map(|answer| answer.status().as_u16()), Some(404));
    assert_discreet(&serve, &s3);
}

#[tokio::test]
async fn a_file_comes_in_chunks_to_a_bucket_on_s3() {
    let Some(s3) = server(servers::S3) else { return };
    let (_secret, path) = Site::secret(&s3.secret_key);
    let bucket = new_name();
    s3.s3().create_bucket().bucket(&bucket).send().await.expect("a bucket");
    let site = Site::new(&bucket_settings(&s3, &s3.url, &bucket, &path));
    let serve = site.serve().await;
    let api = serve.user("alice");
    serve.wait_for_part("[+] objects up").await;
    let text = "hello, wharf\n".repeat(500_000);
    let file = api.upload_in_chunks("a.txt", &text, 5 << 20).await;
    assert!(download(&api, &file).await == text, "the bytes as they were sent");
    assert_eq!(api.usage().await["used_bytes"], text.len());

    let begun =
        json!({"filename": "b", "size_bytes": 9, "content_type": "text/plain", "chunk_bytes": 5 << 20});
    let begun = api.post("/v1/files", &begun).await.expect(201).json();
    let path = format!("/v1/files/{}", id(&begun));
    let grant = api.send("PATCH", &format!("{path}/chunks/1"), &[], "").await.expect(200).json();
    api.put(&grant, "another length").await.expect(403);
    api.delete(&path).await.expect(204);
    wait_until_no_upload_is_open(&s3, &bucket).await;
    api.put(&grant, "nine byte").await.expect(404);
    assert_discreet(&serve, &s3);
}

#[tokio::test]
async fn clients_may_reach_the_bucket_where_we_do_not() {
    let Some(s3) = server(servers::S3) else { return };
    let (_secret, path) = Site::secret(&s3.secret_key);
    let bucket = new_name();
    s3.s3().create_bucket().bucket(&bucket).send().await.expect("a bucket");
    let door = Door::new().await;
    door.open(&s3);
    let public = format!("public_endpoint = {:?}\n[signer]", door.url);
    let settings = bucket_settings(&s3, &s3.url, &bucket, &path).replace("[signer]", &public);
    let site = Site::new(&settings);
    let serve = site.serve().await;
    let api = serve.user("alice");
    let grant = presign(&api).await;
    assert!(grant["upload_url"].as_str().expect("a URL").starts_with(&door.url), "signed for the door");
    api.put(&grant, TEXT).await.expect(200);
    api.post(&format!("/v1/files/{}/complete", id(&grant)), &json!({})).await.expect(200);
    assert_eq!(download(&api, id(&grant)).await, TEXT);
}

#[tokio::test]
async fn everything_is_set_up_once_and_the_bucket_tells_the_queue() {
    let Some(moto) = server(servers::MOTO) else { return };
    let (_secret, path) = Site::secret(&moto.secret_key);
    let name = new_name();
    let queue = queue_settings(&moto, &moto.url, &name, &path);
    let site = Site::new(&format!("{queue}{}", bucket_settings(&moto, &moto.url, &name, &path)));
    let (done, plan) = set_up(&site, &["--dry-run"]);
    assert_eq!((done, plan.lines().filter(|line| line.starts_with("to do ")).count()), (0, 13), "{plan}");
    let (done, said) = set_up(&site, &[]);
    assert_eq!((done, said.lines().filter(|line| line.starts_with("right ")).count()), (12, 1), "{said}");
    let (done, said) = set_up(&site, &[]);
    assert_eq!(done, 0, "again changes nothing: {said}");
    assert!(said.contains("13 right already, 1 not offered there"), "{said}");

    let serve = site.serve().await;
    let api = serve.user("alice");
    let grant = presign(&api).await;
    api.put(&grant, TEXT).await.expect(200);
    api.wait_for_status(id(&grant), "processed").await;
    assert_eq!(download(&api, id(&grant)).await, TEXT);
    wait_for_empty(&moto, &name).await;
}

/// S3 keeps no tombstones, so the URL of an upload works again once its object is deleted.
// proves: I10 I17 F11
#[tokio::test]
async fn an_object_that_an_old_url_brings_back_is_deleted_at_once_and_counts_nowhere() {
    let Some(moto) = server(servers::MOTO) else { return };
    let (_secret, path) = Site::secret(&moto.secret_key);
    let name = new_name();
    let queue = queue_settings(&moto, &moto.url, &name, &path);
    let site = Site::new(&format!("{queue}{}", bucket_settings(&moto, &moto.url, &name, &path)));
    set_up(&site, &[]);
    let serve = site.serve().await;
    let api = serve.user("alice");
    let grant = presign(&api).await;
    api.put(&grant, TEXT).await.expect(200);
    let second = || Clock::System.now().as_millis() / 1000;
    let landed_in = second();
    api.wait_for_status(id(&grant), "processed").await;
    api.delete(&format!("/v1/files/{}?permanent=true", id(&grant))).await.expect(204);
    api.events_until("0", "files.purged").await;
    wait_for_empty(&moto, &name).await;
    // moto gives no sequencer and whole seconds: the same bytes in the same second would be the same fact.
    while second() == landed_in {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    api.put(&grant, TEXT).await.expect(200);
    let deadline = Instant::now() + SOON;
    loop {
        let listed = moto.s3().list_objects_v2().bucket(&name).prefix("user/").send().await.expect("a list");
        if listed.contents.unwrap_or_default().is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "the object stays");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let usage = api.usage().await;
    assert_eq!(
        (&usage["used_bytes"], &usage["reserved_bytes"], &usage["file_count"]),
        (&json!(0), &json!(0), &json!(0))
    );
    assert_eq!(api.get(&format!("/v1/files/{}", id(&grant))).await.code(404), "file_not_found");
}

#[tokio::test]
async fn what_an_endpoint_lacks_is_told_and_does_no_harm() {
    let (Some(s3), Some(sqs)) = (server(servers::S3), server(servers::SQS)) else { return };
    let ((_one, s3_path), (_two, sqs_path)) = (Site::secret(&s3.secret_key), Site::secret(&sqs.secret_key));
    let name = new_name();
    let queue = queue_settings(&sqs, &sqs.url, &name, &sqs_path);
    let site = Site::new(&format!("{queue}{}", bucket_settings(&s3, &s3.url, &name, &s3_path)));
    let (done, said) = set_up(&site, &[]);
    assert_eq!(done, 6, "bucket, pages, two queues, visibility, dead letters: {said}");
    for lacking in
        ["notification: 501 NotImplemented", "policy: not tried", "retention: the endpoint took it"]
    {
        assert!(
            said.lines().any(|line| line.starts_with("lacking ") && line.contains(lacking)),
            "{lacking}: {said}"
        );
    }
    assert_eq!(set_up(&site, &[]).0, 0, "again changes nothing");
    s3.s3().head_bucket().bucket(&name).send().await.expect("a bucket");
}

#[tokio::test]
async fn keys_that_are_refused_fail_the_set_up() {
    let Some(s3) = server(servers::S3) else { return };
    let (_secret, path) = Site::secret("wrong");
    let site = Site::new(&bucket_settings(&s3, &s3.url, &new_name(), &path));
    let output = site.run(&["aws", "setup"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("it does not know our keys: 403 SignatureDoesNotMatch"), "{said}");
}

#[tokio::test]
async fn a_service_whose_servers_are_away_starts_says_so_and_recovers() {
    let (Some(s3), Some(sqs)) = (server(servers::S3), server(servers::SQS)) else { return };
    let ((_one, s3_path), (_two, sqs_path)) = (Site::secret(&s3.secret_key), Site::secret(&sqs.secret_key));
    let name = new_name();
    s3.s3().create_bucket().bucket(&name).send().await.expect("a bucket");
    sqs.sqs().create_queue().queue_name(&name).send().await.expect("a queue");
    let (s3_door, sqs_door) = (Door::new().await, Door::new().await);
    let queue = queue_settings(&sqs, &sqs_door.url, &name, &sqs_path);
    let site = Site::new(&format!("{queue}{}", bucket_settings(&s3, &s3_door.url, &name, &s3_path)));
    let serve = site.serve().await;
    serve.wait_for_part("[-] queue down").await;
    serve.wait_for_part("[-] objects down").await;
    serve.wait_for_part("ready").await;
    let api = serve.user("alice");
    let grant = presign(&api).await;

    s3_door.open(&s3);
    sqs_door.open(&sqs);
    serve.wait_for_part("[+] queue up").await;
    serve.wait_for_part("[+] objects up").await;
    api.put(&grant, TEXT).await.expect(200);
    let complete = format!("/v1/files/{}/complete", id(&grant));
    assert_eq!(api.post(&complete, &json!({})).await.expect(200).json()["status"], "processed");
}

/// A port that leads nowhere until it is opened.
struct Door {
    port: u16,
    url: String,
}

impl Door {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        Self { port, url: format!("http://127.0.0.1:{port}") }
    }

    /// From now on it leads to this server.
    fn open(&self, server: &Server) {
        let (port, to) = (self.port, server.url.trim_start_matches("http://").to_owned());
        tokio::spawn(async move {
            let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("still free");
            while let Ok((mut from, _)) = listener.accept().await {
                let to = to.clone();
                tokio::spawn(async move {
                    let mut to = TcpStream::connect(to).await.expect("a server");
                    // A broken connection is for those at its ends to see.
                    drop(tokio::io::copy_bidirectional(&mut from, &mut to).await);
                });
            }
        });
    }
}

/// What the SDK signs of a PUT, and that a server holds clients to all of it.
// proves: I16 F8 F9
#[tokio::test]
async fn pinned_fact_the_sdk_signs_size_type_checksum_and_once() {
    let Some(s3) = server(servers::S3) else { return };
    let bucket = new_name();
    s3.s3().create_bucket().bucket(&bucket).send().await.expect("a bucket");
    let config = s3.s3().config().to_builder().region(Region::new(servers::REGION)).build();
    let signed = aws_sdk_s3::Client::from_conf(config)
        .put_object()
        .bucket(&bucket)
        .key("k")
        .content_length(i64::try_from(TEXT.len()).expect("small"))
        .content_type("text/plain")
        .if_none_match("*")
        .checksum_sha256(SUM)
        .metadata("file-id", "1")
        .presigned(PresigningConfig::expires_in(Duration::from_secs(60)).expect("a minute"))
        .await
        .expect("signed");
    let url = signed.uri();
    let names = "content-length;content-type;host;if-none-match;x-amz-checksum-sha256;x-amz-meta-file-id";
    let in_query = format!("X-Amz-SignedHeaders={}&", names.replace(';', "%3B"));
    assert!(url.contains(&in_query), "{url}");
    assert!(!url.contains("crc32"), "no checksum that nobody asked for");

    let headers: serde_json::Map<String, Value> =
        signed.headers().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let grant = json!({"upload_url": url, "headers": headers});
    let without = |name: &str| {
        let mut grant = grant.clone();
        assert!(grant["headers"].as_object_mut().expect("headers").remove(name).is_some(), "{name}");
        grant
    };
    let api = Api::nobody();
    api.put(&grant, "another length").await.expect(403);
    for name in ["content-type", "if-none-match", "x-amz-checksum-sha256", "x-amz-meta-file-id"] {
        api.put(&without(name), TEXT).await.expect(403);
    }
    api.put(&grant, "exactly THIS").await.expect(400);
    api.put(&grant, TEXT).await.expect(200);
    api.put(&grant, TEXT).await.expect(412);
}

/// Two deployments by mistake on one bucket and one queue would take each other's notifications.
#[tokio::test]
async fn a_bucket_and_a_queue_belong_to_one_ledger_until_they_are_adopted() {
    let Some(moto) = server(servers::MOTO) else { return };
    let (_secret, path) = Site::secret(&moto.secret_key);
    let name = new_name();
    let settings = || {
        let queue = queue_settings(&moto, &moto.url, &name, &path);
        let bucket = bucket_settings(&moto, &moto.url, &name, &path);
        format!("{bucket}{queue}")
    };
    let (first, second) = (Site::new(&settings()), Site::new(&settings()));
    set_up(&first, &[]);
    {
        let serve = first.serve().await;
        serve.wait_for_part("[+] objects up").await;
        let api = serve.user("alice");
        let grant = presign(&api).await;
        api.put(&grant, TEXT).await.expect(200);
        api.wait_for_status(id(&grant), "processed").await;
    }
    // The second start finds the stamps of the first. It is not asked to process anything: moto goes on with the long poll
    // of a process that was killed, and hides from others what arrives for it.
    first.serve().await.wait_for_part("[+] objects up").await;
    let (code, said) = second.serve_to_its_end().await;
    let last = said.lines().last().unwrap_or_default();
    assert_eq!(code, Some(2), "{said}");
    assert!(
        last.starts_with(&format!("wharfinger: objects.bucket: {name} belongs to the ledger ")),
        "{last}"
    );
    assert!(last.contains("and this one is ") && last.contains("wharfinger aws adopt"), "{last}");

    let checked = second.run(&["config", "check"]);
    let checked = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.matches("it belongs to the ledger ").count(), 2, "{checked}");

    let adopt = |site: &Site, args: &[&str]| {
        let output = site.run(&[&["aws", "adopt"], args].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(adopt(&second, &["--dry-run"]).matches("to do    ").count(), 2);
    assert_eq!(adopt(&second, &["--dry-run"]).matches("to do    ").count(), 2, "nothing was done");
    assert_eq!(adopt(&second, &[]).matches("done     ").count(), 2);
    assert_eq!(adopt(&second, &[]).matches("right    ").count(), 2);
    second.serve().await.wait_for_part("[+] objects up").await;
    let (code, said) = first.serve_to_its_end().await;
    assert_eq!(code, Some(2), "{said}");
}

/// A bucket that does not answer at the start is not used before it is known whose it is.
#[tokio::test]
async fn a_bucket_that_comes_late_and_belongs_to_another_ledger_ends_the_process() {
    let Some(s3) = server(servers::S3) else { return };
    let (_secret, path) = Site::secret(&s3.secret_key);
    let bucket = new_name();
    s3.s3().create_bucket().bucket(&bucket).send().await.expect("a bucket");
    let first = Site::new(&bucket_settings(&s3, &s3.url, &bucket, &path));
    first.serve().await.wait_for_part("[+] objects up").await;
    let door = Door::new().await;
    let second = Site::new(&bucket_settings(&s3, &door.url, &bucket, &path));
    let mut serve = second.serve().await;
    let deadline = Instant::now() + SOON;
    while !serve.parts().await.contains("not used before it is known to belong to this ledger: ") {
        assert!(Instant::now() < deadline, "{}", serve.parts().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    door.open(&s3);
    let code = serve.wait_for_end().await;
    assert_eq!(code, Some(1), "{}", serve.said());
    assert!(serve.said().contains("belongs to the ledger "), "{}", serve.said());
}
