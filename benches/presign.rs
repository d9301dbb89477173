//! One presigned PUT: our own signer against the AWS SDK, the same URL.

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::config::{BehaviorVersion, Region};
use aws_sdk_s3::presigning::PresigningConfig;
use criterion::{Criterion, criterion_group, criterion_main};
use wharfinger::adapters::sigv4::{Address, Credentials, Presigner, Style};
use wharfinger::domain::file::Sha256;
use wharfinger::domain::ids::ObjectKey;
use wharfinger::domain::time::Timestamp;
use wharfinger::ports::UploadGrant;

const KEY: &str = "user/0199a3c4-0000-7000-8000-000000000001/0199a3c4-0000-7000-8000-000000000002";

fn grant() -> UploadGrant {
    UploadGrant {
        key: ObjectKey::parse(KEY).expect("a key of ours"),
        size_bytes: 1 << 20,
        content_type: "image/png".to_owned(),
        checksum_sha256: Some(Sha256([7; 32])),
        metadata: vec![("file-id".to_owned(), "0199a3c4-0000-7000-8000-000000000002".to_owned())],
        now: Timestamp::from_millis(1_795_169_642_161),
        ttl: Duration::from_secs(900),
    }
}

fn presign(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("presign one PUT");
    let address = Address::new("http://127.0.0.1:9000", "wharf", Style::Path).expect("an endpoint");
    let presigner = Presigner::new(address, "us-east-1");
    let credentials = Credentials::new("AKID", "SECRET");
    let grant = grant();
    let ours = || presigner.upload(&credentials, &grant.key.to_string(), &grant).expect("it can be signed");
    group.bench_function("ours", |bencher| bencher.iter(|| black_box(ours())));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(aws_sdk_s3::config::Credentials::new("AKID", "SECRET", None, None, "bench"))
        .endpoint_url("http://127.0.0.1:9000")
        .force_path_style(true);
    let client = aws_sdk_s3::Client::from_conf(config.build());
    let start = SystemTime::UNIX_EPOCH + Duration::from_millis(grant.now.as_millis());
    let sdk = || {
        let config = PresigningConfig::builder().start_time(start).expires_in(grant.ttl).build();
        let request = client
            .put_object()
            .bucket("wharf")
            .key(grant.key.to_string())
            .content_length(1 << 20)
            .content_type(&grant.content_type)
            .if_none_match("*")
            .checksum_sha256("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=")
            .metadata("file-id", &grant.metadata[0].1);
        runtime.block_on(request.presigned(config.expect("a configuration"))).expect("it can be signed")
    };
    assert_eq!(sdk().uri(), ours().url.expose(), "both sign the same");
    group.bench_function("aws-sdk-s3", |bencher| bencher.iter(|| black_box(sdk())));
    group.finish();
}

criterion_group!(benches, presign);
criterion_main!(benches);
