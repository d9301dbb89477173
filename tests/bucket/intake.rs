//! What is decided before a byte of an upload is read, and how long an upload may take.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wharfinger::adapters::embedded::bucket::BucketOptions;
use wharfinger::domain::ids::ObjectKey;
use wharfinger::limits;
use wharfinger::ports::{Clock, ObjectsPort as _, PartGrant, SignerPort as _};

use crate::connections::{connect, forged, head, read_all, status};
use crate::world::{World, eventually, new_key};

/// Begins an upload and waits until it is in flight.
pub(crate) async fn begin(world: &World, head: &str) -> TcpStream {
    let before = world.files("tmp");
    let mut stream = connect(world).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    eventually("a request in flight", || (world.files("tmp") > before).then_some(())).await;
    stream
}

/// Sends a head only; the whole answer.
async fn ask(world: &World, head: &str) -> String {
    let mut stream = connect(world).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    read_all(stream).await
}

// proves: I16 I25
#[tokio::test]
async fn one_upload_of_a_key_is_in_flight_and_a_second_is_refused_before_its_bytes() {
    let world = World::new().await;
    let (key, body) = (new_key(), vec![b'x'; 1 << 20]);
    let head = head(&world, key, &body).await;
    let mut first = begin(&world, &head).await;
    for _ in 0..3 {
        let answer = ask(&world, &head).await;
        assert!(answer.starts_with("HTTP/1.1 409"), "{answer}");
        assert!(answer.contains("ConditionalRequestConflict") && answer.contains("connection: close"));
        assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
        assert!(answer.contains("Another upload of this object is in flight"), "{answer}");
        assert_eq!(world.files("tmp"), 1);
    }
    first.write_all(&body).await.unwrap();
    assert_eq!(status(&mut first).await, "HTTP/1.1 200");
    let answer = ask(&world, &head).await;
    assert!(answer.starts_with("HTTP/1.1 412") && answer.contains("connection: close"), "{answer}");
    assert_eq!(world.files("tmp"), 0);
}

#[tokio::test]
async fn an_upload_that_breaks_off_gives_its_turn_back() {
    let world = World::new().await;
    let key = new_key();
    drop(begin(&world, &head(&world, key, b"hello").await).await);
    eventually("an empty tmp", || (world.files("tmp") == 0).then_some(())).await;
    assert_eq!(world.put(key, b"hello").await.status, 200);
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on_only_if_its_upload_is_wanted() {
    let world = World::new().await;
    let asking = |head: String| head.replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n");
    let key = new_key();
    let wanted = asking(head(&world, key, b"hello").await);
    let mut stream = connect(&world).await;
    stream.write_all(wanted.as_bytes()).await.unwrap();
    let mut told = [0_u8; 25];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    let second = ask(&world, &wanted).await;
    assert!(second.starts_with("HTTP/1.1 409"), "{second}");
    stream.write_all(b"hello").await.unwrap();
    assert_eq!(status(&mut stream).await, "HTTP/1.1 200");
    let again = ask(&world, &wanted).await;
    assert!(again.starts_with("HTTP/1.1 412"), "{again}");
    let refused = ask(&world, &forged(&wanted)).await;
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
}

/// The head of a request that sends a part of five bytes.
async fn part_head(world: &World, key: ObjectKey, upload_id: &str, number: u16) -> String {
    let grant = PartGrant {
        key,
        upload_id: upload_id.to_owned(),
        number,
        size_bytes: 5,
        now: Clock::System.now(),
        ttl: Duration::from_secs(60),
    };
    let signed = world.signer.part(&grant).await.unwrap();
    let (host, path) = (&world.url[7..], signed.url.expose().strip_prefix(&world.url).unwrap());
    format!("PUT {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 5\r\n\r\n")
}

#[tokio::test]
async fn a_part_has_one_upload_in_flight_and_the_parts_of_an_object_come_side_by_side() {
    let world = World::new().await;
    let key = new_key();
    let upload_id = world.bucket.create_multipart(key, "video/x", Vec::new()).await.unwrap();
    let first = begin(&world, &part_head(&world, key, &upload_id, 1).await).await;
    let second = begin(&world, &part_head(&world, key, &upload_id, 2).await).await;
    let repeat = ask(&world, &part_head(&world, key, &upload_id, 1).await).await;
    assert!(repeat.starts_with("HTTP/1.1 409") && repeat.contains("OperationAborted"), "{repeat}");
    for mut stream in [first, second] {
        stream.write_all(b"hello").await.unwrap();
        assert_eq!(status(&mut stream).await, "HTTP/1.1 200");
    }
    assert_eq!(world.bucket.list_parts(key, &upload_id).await.unwrap().len(), 2);
}

// proves: I25
#[tokio::test]
async fn links_of_one_object_and_of_one_user_have_a_share_of_the_connections() {
    let connections_max = limits::OBJECT_SHARE * 2;
    let world = World::with(BucketOptions { connections_max, ..BucketOptions::default() }).await;
    let user_share = connections_max / limits::USER_SHARE;
    let key = new_key();
    let other_file = |nth: usize| ObjectKey {
        file: new_key().file,
        user: if nth == 0 { new_key().user } else { key.user },
    };
    let upload_id = world.bucket.create_multipart(key, "video/x", Vec::new()).await.unwrap();
    let mut held = Vec::new();
    for number in 1..=2 {
        held.push(begin(&world, &part_head(&world, key, &upload_id, number).await).await);
    }
    let third = ask(&world, &part_head(&world, key, &upload_id, 3).await).await;
    assert!(third.starts_with("HTTP/1.1 503") && third.contains("SlowDown"), "{third}");
    assert!(third.contains("retry-after: 2"), "{third}");
    for nth in 2..user_share {
        held.push(begin(&world, &head(&world, other_file(nth), b"hello").await).await);
    }
    let over = ask(&world, &head(&world, other_file(1), b"hello").await).await;
    assert!(over.starts_with("HTTP/1.1 503"), "{over}");
    assert_eq!(world.put(other_file(0), b"hello").await.status, 200, "another user is not concerned");
    drop(held);
    eventually("an empty tmp", || (world.files("tmp") == 0).then_some(())).await;
    assert_eq!(world.put(other_file(1), b"hello").await.status, 200);
}

/// Sends `bytes` each second until the bucket ends it; the answer, and after how long it came.
async fn trickle(world: &World, size: usize, bytes: usize) -> (String, Duration) {
    let began = tokio::time::Instant::now();
    let stream = begin(world, &head(world, new_key(), &vec![b'x'; size]).await).await;
    let (mut reader, mut writer) = stream.into_split();
    let mut answer = vec![0_u8; 4096];
    let mut read = std::pin::pin!(reader.read(&mut answer));
    let count = loop {
        tokio::select! {
            biased;
            count = read.as_mut() => break count.unwrap(),
            () = tokio::time::sleep(Duration::from_secs(1)) => writer.write_all(&vec![b'x'; bytes]).await.unwrap(),
        }
    };
    (String::from_utf8_lossy(&answer[..count]).into_owned(), began.elapsed())
}

// proves: I25
#[tokio::test(start_paused = true)]
async fn an_upload_that_trickles_is_given_up_soon() {
    let world = World::new().await;
    let (answer, after) = trickle(&world, 50 << 20, 7).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("RequestTimeout"), "{answer}");
    assert!(answer.contains("connection: close") && answer.contains("too slowly"), "{answer}");
    assert!(after < limits::TRANSFER_GRACE + Duration::from_secs(5), "{after:?}");
    assert_eq!((world.files("objects"), world.files("tmp")), (0, 0));
}

// proves: I8
#[tokio::test(start_paused = true)]
async fn an_upload_ends_in_time_however_steadily_it_comes() {
    let options = BucketOptions { upload_within: Duration::from_secs(60), ..BucketOptions::default() };
    let world = World::with(options).await;
    let (answer, after) = trickle(&world, 50 << 20, 16 << 10).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("RequestTimeout"), "{answer}");
    assert!(after < Duration::from_secs(62), "{after:?}");
    let (answer, _) = trickle(&world, 50 * (16 << 10), 16 << 10).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
