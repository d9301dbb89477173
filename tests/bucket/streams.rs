//! Uploads in chunks of their own (`aws-chunked`), as SDKs send what they cannot hash before they send it.

use aws_lc_rs::digest;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumAlgorithm;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wharfinger::ports::Clock;

use crate::sdk::client;
use crate::sign::Signing;
use crate::world::{WITHIN, World};

const UNSIGNED: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const BODY: &[u8] = b"hello, in two chunks";

/// A PUT in chunks; what is wrong with it is changed by each test.
#[derive(Clone)]
struct Upload {
    mode: &'static str,
    /// Whether the length of the encoded body is said; else the body is `Transfer-Encoding: chunked`.
    has_length: bool,
    decoded_length: Option<usize>,
    /// The checksum that the trailer has; none: no trailer is sent.
    checksum: Option<String>,
    /// Whether `x-amz-trailer` announces it.
    is_announced: bool,
    /// Whether the second chunk carries other bytes than were signed.
    is_forged: bool,
}

impl Upload {
    fn new(mode: &'static str) -> Self {
        let has_trailer = mode != SIGNED;
        let sha256 = STANDARD.encode(digest::digest(&digest::SHA256, BODY).as_ref());
        Self {
            mode,
            has_length: false,
            decoded_length: Some(BODY.len()),
            checksum: has_trailer.then_some(sha256),
            is_announced: has_trailer,
            is_forged: false,
        }
    }

    /// Sends it on a connection of its own; the answer as text.
    async fn send(&self, world: &World) -> String {
        let keys = world.bucket.credentials();
        let now = Clock::System.now().to_iso_basic();
        let signing = Signing::new(keys.expose_secret(), &now, "us-east-1");
        let host = world.url.strip_prefix("http://").unwrap();
        let mut headers = vec![("host", host.to_owned()), ("x-amz-content-sha256", self.mode.to_owned())];
        headers.push(("x-amz-date", now.clone()));
        headers
            .extend(self.decoded_length.map(|length| ("x-amz-decoded-content-length", length.to_string())));
        headers.extend(self.is_announced.then(|| ("x-amz-trailer", "x-amz-checksum-sha256".to_owned())));
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let canonical = format!("PUT\n/wharf/k\n\n{lines}\n{}\n{}", names.join(";"), self.mode);
        let seed = signing.request(&canonical);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={seed}",
            keys.access_key(),
            signing.scope(),
            names.join(";")
        );
        let body = self.body(&signing, seed);
        let mut head =
            String::from("PUT /wharf/k HTTP/1.1\r\nconnection: close\r\ncontent-encoding: aws-chunked\r\n");
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        head += &format!("authorization: {authorization}\r\n");
        let body = if self.has_length {
            head += &format!("content-length: {}\r\n\r\n", body.len());
            body
        } else {
            head += "transfer-encoding: chunked\r\n\r\n";
            [format!("{:x}\r\n", body.len()).into_bytes(), body, b"\r\n0\r\n\r\n".to_vec()].concat()
        };
        let mut stream = TcpStream::connect(host).await.unwrap();
        stream.write_all(&[head.into_bytes(), body].concat()).await.unwrap();
        let mut answer = Vec::new();
        let read =
            tokio::time::timeout(WITHIN, stream.read_to_end(&mut answer)).await.expect("an end in time");
        drop(read);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn body(&self, signing: &Signing, seed: String) -> Vec<u8> {
        let (mut body, mut before) = (Vec::new(), seed);
        let (first, second) = BODY.split_at(7);
        for chunk in [first, second, b""] {
            let signature = signing.chunk(&before, chunk);
            let extension =
                if self.mode == UNSIGNED { String::new() } else { format!(";chunk-signature={signature}") };
            body.extend(format!("{:x}{extension}\r\n", chunk.len()).into_bytes());
            let is_forged = self.is_forged && chunk == second;
            body.extend(if is_forged { chunk.to_ascii_uppercase() } else { chunk.to_vec() });
            if !chunk.is_empty() {
                body.extend(b"\r\n");
            }
            before = signature;
        }
        if let Some(checksum) = &self.checksum {
            let trailer = format!("x-amz-checksum-sha256:{checksum}");
            body.extend(format!("{trailer}\r\n").into_bytes());
            if self.mode == SIGNED_TRAILER {
                let signature = signing.trailer(&before, &format!("{trailer}\n"));
                body.extend(format!("x-amz-trailer-signature:{signature}\r\n").into_bytes());
            }
        }
        body.extend(b"\r\n");
        body
    }
}

async fn check_taken(upload: Upload) {
    let world = World::new().await;
    let answer = upload.send(&world).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{} {}: {answer}", upload.mode, upload.has_length);
    let get = client(&world).get_object().bucket("wharf").key("k").send().await.unwrap();
    assert_eq!(get.content_encoding(), None, "the chunks are not how the object is encoded");
    assert_eq!(get.body.collect().await.unwrap().to_vec(), BODY);
}

async fn check_refused(upload: Upload, expected: &str) {
    let world = World::new().await;
    let answer = upload.send(&world).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert!(answer.contains(&format!("<Code>{expected}</Code><Message>")), "{expected}: {answer}");
    assert_eq!((world.files("objects"), world.files("tmp")), (0, 0), "{expected}");
}

#[tokio::test]
async fn chunks_are_taken_with_and_without_a_length_of_the_encoded_body() {
    for mode in [UNSIGNED, SIGNED, SIGNED_TRAILER] {
        check_taken(Upload::new(mode)).await;
        check_taken(Upload { has_length: true, ..Upload::new(mode) }).await;
    }
}

#[tokio::test]
async fn chunks_that_are_not_what_was_said_are_refused() {
    let wrong = Some(STANDARD.encode([0; 32]));
    for mode in [UNSIGNED, SIGNED_TRAILER] {
        check_refused(Upload { checksum: wrong.clone(), ..Upload::new(mode) }, "BadDigest").await;
    }
    check_refused(Upload { checksum: None, ..Upload::new(UNSIGNED) }, "MalformedTrailerError").await;
    check_refused(Upload { is_forged: true, ..Upload::new(SIGNED) }, "SignatureDoesNotMatch").await;
    check_refused(Upload { is_forged: true, ..Upload::new(SIGNED_TRAILER) }, "SignatureDoesNotMatch").await;
    check_refused(Upload { is_forged: true, ..Upload::new(UNSIGNED) }, "BadDigest").await;
    for length in [BODY.len() - 1, BODY.len() + 1] {
        let other = Upload { decoded_length: Some(length), ..Upload::new(UNSIGNED) };
        check_refused(other, "IncompleteBody").await;
    }
    check_refused(Upload { decoded_length: None, ..Upload::new(UNSIGNED) }, "MissingContentLength").await;
    let huge = Upload { decoded_length: Some(usize::MAX >> 1), ..Upload::new(UNSIGNED) };
    check_refused(huge, "EntityTooLarge").await;
}

#[tokio::test]
async fn the_sdk_streams_with_every_checksum() {
    let world = World::new().await;
    let client = client(&world);
    let path = world.path.join("source");
    let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&path, &bytes).unwrap();
    for algorithm in [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32C,
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1,
        ChecksumAlgorithm::Sha256,
    ] {
        let body = ByteStream::from_path(&path).await.unwrap();
        let put = client.put_object().bucket("wharf").key("k").checksum_algorithm(algorithm.clone());
        let put = put.body(body).send().await.unwrap();
        let named = [
            put.checksum_crc32(),
            put.checksum_crc32_c(),
            put.checksum_crc64_nvme(),
            put.checksum_sha1(),
            put.checksum_sha256(),
        ];
        assert_eq!(named.iter().flatten().count(), 1, "{algorithm}: the answer has the checksum that came");
        let get = client.get_object().bucket("wharf").key("k").send().await.unwrap();
        assert!(get.body.collect().await.unwrap().to_vec() == bytes, "{algorithm}");
    }
}
