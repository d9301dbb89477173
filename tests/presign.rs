//! Our presigner against the AWS SDK: the same URL, byte for byte, for everything that both can sign.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Region};
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use base64::Engine as _;
use proptest::prelude::*;
use wharfinger::adapters::sigv4::{Address, Credentials, Presigner, Style};
use wharfinger::domain::file::Sha256;
use wharfinger::domain::ids::ObjectKey;
use wharfinger::domain::time::Timestamp;
use wharfinger::ports::{DownloadGrant, DownloadMethod, PartGrant, SignedRequest, SignerError, UploadGrant};

const OURS: &str = "user/0199a3c4-0000-7000-8000-000000000001/0199a3c4-0000-7000-8000-000000000002";
const NOW: Timestamp = Timestamp::from_millis(1_795_169_642_161);

/// Where and as whom to sign.
#[derive(Clone, Debug)]
struct Site {
    endpoint: &'static str,
    style: Style,
    region: &'static str,
    token: Option<&'static str>,
}

const HERE: Site =
    Site { endpoint: "http://127.0.0.1:9000", style: Style::Path, region: "us-east-1", token: None };

const SITES: [Site; 6] = [
    HERE,
    Site {
        endpoint: "https://s3.eu-west-1.amazonaws.com",
        style: Style::VirtualHost,
        region: "eu-west-1",
        token: None,
    },
    Site {
        endpoint: "https://s3.example:8443",
        style: Style::VirtualHost,
        region: "us-east-1",
        token: Some("a/b+c=="),
    },
    Site { endpoint: "http://s3.example:80", style: Style::Path, region: "ap-south-1", token: Some("t") },
    Site { endpoint: "https://s3.example:443", style: Style::Path, region: "us-east-1", token: None },
    Site { endpoint: "http://[::1]:9000", style: Style::Path, region: "us-east-1", token: None },
];

impl Site {
    fn ours(&self) -> (Presigner, Credentials) {
        let address = Address::new(self.endpoint, "wharf", self.style).unwrap();
        let credentials = Credentials::new("AKID/1", "SECRET+/key");
        let credentials = match self.token {
            Some(token) => credentials.in_session(token, None),
            None => credentials,
        };
        (Presigner::new(address, self.region), credentials)
    }

    fn sdk(&self) -> Client {
        let token = self.token.map(str::to_owned);
        let credentials = aws_sdk_s3::config::Credentials::new("AKID/1", "SECRET+/key", token, None, "test");
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region))
            .credentials_provider(credentials)
            .endpoint_url(self.endpoint)
            .force_path_style(self.style == Style::Path);
        Client::from_conf(config.build())
    }
}

fn presigning(now: Timestamp, ttl: Duration) -> PresigningConfig {
    let start = SystemTime::UNIX_EPOCH + Duration::from_millis(now.as_millis());
    PresigningConfig::builder().start_time(start).expires_in(ttl).build().unwrap()
}

fn upload() -> UploadGrant {
    UploadGrant {
        key: ObjectKey::parse(OURS).unwrap(),
        size_bytes: 5,
        content_type: "text/plain".to_owned(),
        checksum_sha256: None,
        metadata: Vec::new(),
        now: NOW,
        ttl: Duration::from_secs(900),
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The SDK leaves a default port in the URL and out of the signed host, so that clients which send it are refused.
fn without_default_port(url: &str) -> String {
    url.replacen("http://s3.example:80/", "http://s3.example/", 1).replacen(
        "https://s3.example:443/",
        "https://s3.example/",
        1,
    )
}

fn assert_same(ours: &SignedRequest, sdk: &PresignedRequest) {
    assert_eq!(ours.method, sdk.method());
    assert_eq!(ours.url.expose(), without_default_port(sdk.uri()));
    let ours: BTreeMap<&str, &str> =
        ours.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(ours, sdk.headers().collect());
}

fn check_upload(site: &Site, key: &str, grant: &UploadGrant) {
    let (presigner, credentials) = site.ours();
    let ours = presigner.upload(&credentials, key, grant).unwrap();
    let checksum =
        grant.checksum_sha256.map(|sha256| base64::engine::general_purpose::STANDARD.encode(sha256.0));
    let sdk = site
        .sdk()
        .put_object()
        .bucket("wharf")
        .key(key)
        .content_length(i64::try_from(grant.size_bytes).unwrap())
        .content_type(&grant.content_type)
        .if_none_match("*")
        .set_checksum_sha256(checksum)
        .set_metadata(
            Some(grant.metadata.iter().cloned().collect())
                .filter(|map: &std::collections::HashMap<_, _>| !map.is_empty()),
        );
    assert_same(&ours, &block_on(sdk.presigned(presigning(grant.now, grant.ttl))).unwrap());
}

fn check_part(site: &Site, key: &str, grant: &PartGrant) {
    let (presigner, credentials) = site.ours();
    let ours = presigner.part(&credentials, key, grant).unwrap();
    let sdk = site
        .sdk()
        .upload_part()
        .bucket("wharf")
        .key(key)
        .part_number(i32::from(grant.number))
        .upload_id(&grant.upload_id)
        .content_length(i64::try_from(grant.size_bytes).unwrap());
    assert_same(&ours, &block_on(sdk.presigned(presigning(grant.now, grant.ttl))).unwrap());
}

fn check_download(site: &Site, key: &str, disposition: &str, content_type: &str) {
    let grant = DownloadGrant {
        key: ObjectKey::parse(OURS).unwrap(),
        method: DownloadMethod::Get,
        disposition: disposition.to_owned(),
        content_type: content_type.to_owned(),
        now: NOW,
        ttl: Duration::from_secs(300),
    };
    let (presigner, credentials) = site.ours();
    let ours = presigner.download(&credentials, key, &grant).unwrap();
    let sdk = site
        .sdk()
        .get_object()
        .bucket("wharf")
        .key(key)
        .response_content_disposition(disposition)
        .response_content_type(content_type);
    assert_same(&ours, &block_on(sdk.presigned(presigning(grant.now, grant.ttl))).unwrap());
}

#[test]
fn the_same_upload_is_signed_at_every_site() {
    for site in &SITES {
        check_upload(site, OURS, &upload());
    }
}

#[test]
fn any_key_is_signed_as_the_sdk_signs_it() {
    let keys = [
        "a",
        "a b+c",
        "é/日本/🦀",
        "~!*'();:@&=+$,?#[]%",
        "a//b",
        "a/./b",
        "..",
        "trailing/",
        "%2F%zz",
        "\u{7f}\n\t",
        "\"<>\\^`{|}",
        "-._~",
    ];
    for key in keys {
        for site in &SITES[..2] {
            check_upload(site, key, &upload());
            check_download(site, key, "attachment", "text/plain");
        }
    }
}

#[test]
fn everything_in_an_upload_is_signed_as_the_sdk_signs_it() {
    let sha256 = Some(Sha256([0xa5; 32]));
    let metadata =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let grants = [
        UploadGrant { size_bytes: 0, ..upload() },
        UploadGrant { size_bytes: 5 << 30, checksum_sha256: sha256, ..upload() },
        UploadGrant { content_type: "text/plain; charset=\"utf-8\"; a=b".to_owned(), ..upload() },
        UploadGrant { content_type: "x/y;  two  spaces ".to_owned(), ..upload() },
        UploadGrant {
            checksum_sha256: sha256,
            metadata: metadata(&[("size", "5"), ("file-id", "a%C3%A9 b"), ("a_b", "~")]),
            ..upload()
        },
        UploadGrant { metadata: metadata(&[("z", "  padded  twice "), ("a.b", "\"quoted\"")]), ..upload() },
        UploadGrant { ttl: Duration::from_secs(1), ..upload() },
        UploadGrant { ttl: Duration::from_secs(7 * 24 * 3600), ..upload() },
        UploadGrant { now: Timestamp::from_millis(1_795_219_199_999), ..upload() },
        UploadGrant { now: Timestamp::from_millis(1_795_219_200_000), ..upload() },
        UploadGrant { now: Timestamp::from_millis(951_782_400_000), ..upload() },
    ];
    for grant in &grants {
        check_upload(&HERE, OURS, grant);
    }
}

#[test]
fn parts_are_signed_as_the_sdk_signs_them() {
    for (number, upload_id) in [(1, "2~abc"), (10_000, "up/+= load"), (7, "é")] {
        let key = ObjectKey::parse(OURS).unwrap();
        let grant = PartGrant {
            key,
            upload_id: upload_id.to_owned(),
            number,
            size_bytes: 5 << 20,
            now: NOW,
            ttl: Duration::from_secs(900),
        };
        for site in &SITES {
            check_part(site, OURS, &grant);
        }
    }
}

#[test]
fn downloads_are_signed_as_the_sdk_signs_them() {
    let dispositions = [
        "inline",
        "attachment; filename=\"a b.txt\"; filename*=UTF-8''%C3%A9%20b.txt",
        "attachment; filename=\"é日本🦀.txt\"",
        "a&b=c+d/e?f#g%h",
        " two  spaces ",
    ];
    for disposition in dispositions {
        for site in &SITES {
            check_download(site, OURS, disposition, "application/octet-stream");
        }
    }
    check_download(&HERE, OURS, "inline", "text/plain; charset=\"utf-8\"");
}

#[test]
fn the_day_key_follows_the_requests_own_time_over_midnight_and_back() {
    let (presigner, credentials) = HERE.ours();
    let before = UploadGrant { now: Timestamp::from_millis(1_795_219_199_999), ..upload() };
    let after = UploadGrant { now: Timestamp::from_millis(1_795_219_200_000), ..upload() };
    let fresh = |grant| {
        let (presigner, credentials) = HERE.ours();
        presigner.upload(&credentials, OURS, grant).unwrap()
    };
    for grant in [&before, &after, &before] {
        assert_eq!(presigner.upload(&credentials, OURS, grant).unwrap(), fresh(grant));
    }
    check_upload(&HERE, OURS, &before);
    check_upload(&HERE, OURS, &after);
}

#[test]
fn a_url_does_not_outlive_its_credentials() {
    let (presigner, _) = HERE.ours();
    let credentials = Credentials::new("AKID", "SECRET")
        .in_session("token", Some(Timestamp::from_millis(1_795_169_700_900)));
    let signed = presigner.upload(&credentials, OURS, &upload()).unwrap();
    assert!(signed.url.expose().contains("&X-Amz-Expires=58&"), "{}", signed.url.expose());
    assert_eq!(signed.expires_at, Timestamp::from_millis(1_795_169_700_000));
    let late = UploadGrant { now: Timestamp::from_millis(1_795_169_700_000), ..upload() };
    let refused = presigner.upload(&credentials, OURS, &late);
    assert!(matches!(refused, Err(SignerError::Unavailable { .. })), "{refused:?}");
    // The longest download that a setting allows, too.
    let download = DownloadGrant {
        key: upload().key,
        method: DownloadMethod::Get,
        disposition: "attachment".to_owned(),
        content_type: "video/mp4".to_owned(),
        now: NOW,
        ttl: wharfinger::limits::DOWNLOAD_URL_TTL_MAX,
    };
    let signed = presigner.download(&credentials, OURS, &download).unwrap();
    assert_eq!(signed.expires_at, Timestamp::from_millis(1_795_169_700_000));
}

#[test]
fn a_url_counts_from_the_whole_second_that_it_names() {
    let (presigner, credentials) = HERE.ours();
    let signed = presigner.upload(&credentials, OURS, &upload()).unwrap();
    assert_eq!(signed.expires_at, Timestamp::from_millis(1_795_169_642_000 + 900_000));
}

#[test]
fn what_no_request_can_hold_is_refused() {
    let (presigner, credentials) = HERE.ours();
    let metadata = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let doubled = [metadata("a", "1"), metadata("a", "2")].concat();
    let bad = [
        UploadGrant { content_type: "text/plain\r\nx: y".to_owned(), ..upload() },
        UploadGrant { content_type: "é".to_owned(), ..upload() },
        UploadGrant { content_type: String::new(), ..upload() },
        UploadGrant { metadata: metadata("a", "é"), ..upload() },
        UploadGrant { metadata: metadata("a", " "), ..upload() },
        UploadGrant { metadata: metadata("", "1"), ..upload() },
        UploadGrant { metadata: metadata("A", "1"), ..upload() },
        UploadGrant { metadata: metadata("a:b", "1"), ..upload() },
        UploadGrant { metadata: doubled, ..upload() },
        UploadGrant { ttl: Duration::from_millis(999), ..upload() },
        UploadGrant { ttl: Duration::from_secs(7 * 24 * 3600 + 1), ..upload() },
    ];
    for grant in &bad {
        let refused = presigner.upload(&credentials, OURS, grant);
        assert!(matches!(refused, Err(SignerError::Invalid { .. })), "{grant:?}: {refused:?}");
    }
    assert!(presigner.upload(&credentials, "", &upload()).is_err());
}

/// Keys of any printable characters. The SDK takes none that is only white space: it says that the key is missing.
fn keys() -> impl Strategy<Value = String> {
    "\\PC{1,40}".prop_filter("not only white space", |key| !key.trim().is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_upload_is_signed_as_the_sdk_signs_it(
        key in keys(),
        content_type in "[!-~]([ -~]{0,30}[!-~])?",
        sha256 in proptest::option::of(any::<[u8; 32]>()),
        metadata in proptest::collection::btree_map("[a-z0-9][a-z0-9_.-]{0,12}", "[!-~]([ -~]{0,20}[!-~])?", 0..5),
        size_bytes in 0..u64::from(u32::MAX),
        // 1970 to 2099.
        millis in 0..4_102_444_800_000_u64,
        ttl_secs in 1..604_800_u64,
        site in 0..SITES.len(),
    ) {
        let grant = UploadGrant {
            size_bytes,
            content_type,
            checksum_sha256: sha256.map(Sha256),
            metadata: metadata.into_iter().collect(),
            now: Timestamp::from_millis(millis),
            ttl: Duration::from_secs(ttl_secs),
            ..upload()
        };
        check_upload(&SITES[site], &key, &grant);
    }

    #[test]
    fn any_download_is_signed_as_the_sdk_signs_it(
        key in keys(),
        disposition in "\\PC{1,60}",
        content_type in "\\PC{1,30}",
        site in 0..SITES.len(),
    ) {
        check_download(&SITES[site], &key, &disposition, &content_type);
    }
}
