//! The client: one connection pool for one bucket.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Config, RequestChecksumCalculation, ResponseChecksumValidation};

use super::options::S3Options;
use super::skew::Skew;
use crate::adapters::aws::{self, Timeouts};
use crate::adapters::sigv4::Style;

/// Deadlines of one request: a caller waits 5 to 6 s.
const TIMEOUTS: Timeouts =
    Timeouts { attempt: Duration::from_millis(2500), operation: Duration::from_millis(5500) };
/// Putting parts together takes S3 minutes at worst; it says so byte by byte.
pub(super) const TIMEOUTS_COMPLETE: Timeouts =
    Timeouts { attempt: Duration::from_secs(60), operation: Duration::from_secs(90) };
/// Tries of one request.
const ATTEMPTS_MAX: u32 = 3;

/// A client for S3. Connects when it is first used.
pub(super) async fn client(options: &S3Options, skew: Skew) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(options.access.region())
        .endpoint_url(options.endpoint())
        .force_path_style(options.style == Style::Path)
        .credentials_provider(options.access.provider().await)
        // By default the SDK asks for CRC32 of parts that clients send without one, and completing then fails.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .timeout_config(TIMEOUTS.to_sdk())
        .retry_config(aws::retries(ATTEMPTS_MAX))
        .interceptor(skew);
    Client::from_conf(config.build())
}
