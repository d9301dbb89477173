//! The real servers that a test may use: those that `scripts/servers env` names.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::Write as _;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use wharfinger::adapters::aws::{AwsAccess, AwsKeys, Secret};

/// Where SQS is spoken.
pub(crate) const SQS: &str = "WHARFDEV_TEST_SQS";
/// Where S3 is spoken, with every check.
pub(crate) const S3: &str = "WHARFDEV_TEST_S3";
/// Where both are spoken, and a bucket can tell a queue.
pub(crate) const MOTO: &str = "WHARFDEV_TEST_MOTO";

/// The region that all of them take.
pub(crate) const REGION: &str = "us-east-1";

/// A server, and whose requests it takes.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_key: String,
}

/// The server that this variable names; without one, says aloud that a test is skipped.
pub(crate) fn server(variable: &str) -> Option<Server> {
    let url = named(variable)?;
    let (id, secret) = (format!("{variable}_KEY"), format!("{variable}_SECRET"));
    // Where no key is named, none is checked.
    let or_any = |variable: &str| env(variable).unwrap_or_else(|| "any".to_owned());
    Some(Server { url, access_key_id: or_any(&id), secret_key: or_any(&secret) })
}

/// What this variable says; without it, says aloud that a test is skipped.
pub(crate) fn named(variable: &str) -> Option<String> {
    let found = env(variable);
    if found.is_none() {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        // Not by a macro: those are held back for tests that pass.
        let line = format!("skipped: {test}: {variable} is not set; see scripts/servers up and env\n");
        std::io::stderr().write_all(line.as_bytes()).expect("standard error is open");
    }
    found
}

#[expect(clippy::disallowed_methods, reason = "where servers are is no setting of the product")]
fn env(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

impl Server {
    /// As the product names it.
    pub(crate) fn access(&self) -> AwsAccess {
        AwsAccess {
            region: REGION.to_owned(),
            endpoint: Some(self.url.clone()),
            keys: AwsKeys::Static {
                access_key_id: self.access_key_id.clone(),
                secret_key: Secret::new(self.secret_key.clone()),
            },
        }
    }

    fn keys(&self) -> Credentials {
        Credentials::new(&self.access_key_id, &self.secret_key, None, None, "test")
    }

    /// A client that is not ours.
    pub(crate) fn sqs(&self) -> aws_sdk_sqs::Client {
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(&self.url)
            .credentials_provider(self.keys());
        aws_sdk_sqs::Client::from_conf(config.build())
    }

    /// A client that is not ours.
    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(&self.url)
            .force_path_style(true)
            .credentials_provider(self.keys());
        aws_sdk_s3::Client::from_conf(config.build())
    }
}

/// A name that no other test, now or before, has.
pub(crate) fn new_name() -> String {
    format!("wharf-{}", uuid::Uuid::new_v4().simple())
}
