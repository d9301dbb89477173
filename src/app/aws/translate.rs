//! Settings, as the adapters for AWS take them.

use std::path::Path;
use std::time::Duration;

use crate::adapters::aws::{AwsAccess, AwsKeys, Secret};
use crate::adapters::s3::{BucketRules, S3Options};
use crate::adapters::sigv4::Style;
use crate::adapters::sqs::{QueueName, SqsOptions};
use crate::app::StartError;
use crate::config::Config;
use crate::domain::origins::LOOPBACK;
use crate::limits::{CLOCK_SKEW_MAX, EVENT_LAG_MAX, UPLOAD_DURATION_MAX};

const DAY_SECS: u64 = 24 * 3600;
/// S3 judges the age of a signature no finer than this (2 minutes).
const SIGNATURE_AGE_SECS_MIN: u64 = 120;

pub(super) fn sqs(config: &Config) -> Result<SqsOptions, StartError> {
    let queue = &config.queue;
    let endpoint = said(&queue.endpoint).or_else(|| origin(&queue.url));
    let region = said(&queue.region).unwrap_or_else(|| config.objects.region.clone());
    let keys = ("queue.secret_key_file", queue.access_key_id.as_str(), queue.secret_key_file.as_path());
    Ok(SqsOptions {
        access: AwsAccess { region, endpoint, keys: keys_of(keys)? },
        queue: said(&queue.url).map_or_else(|| QueueName::Name(queue.name.clone()), QueueName::Url),
        visibility: Duration::from_secs(queue.visibility_secs),
    })
}

pub(super) fn s3(config: &Config) -> Result<S3Options, StartError> {
    let objects = &config.objects;
    let keys = ("objects.secret_key_file", objects.access_key_id.as_str(), objects.secret_key_file.as_path());
    Ok(S3Options {
        access: AwsAccess {
            region: objects.region.clone(),
            endpoint: said(&objects.endpoint),
            keys: keys_of(keys)?,
        },
        bucket: objects.bucket.clone(),
        style: if objects.path_style { Style::Path } else { Style::VirtualHost },
        public_endpoint: said(&objects.public_endpoint),
    })
}

/// As for the bucket, but with the signer's own keys if it has some.
pub(super) fn s3_signer(config: &Config) -> Result<S3Options, StartError> {
    let mut options = s3(config)?;
    let signer = &config.signer;
    if !signer.access_key_id.is_empty() {
        let keys =
            ("signer.secret_key_file", signer.access_key_id.as_str(), signer.secret_key_file.as_path());
        options.access.keys = keys_of(keys)?;
    }
    Ok(options)
}

/// How the bucket should be, for `aws setup`.
pub(super) fn bucket_rules(config: &Config, options: &S3Options) -> BucketRules {
    let ttl_secs = config.upload.url_ttl_secs;
    let upload_secs = [UPLOAD_DURATION_MAX, CLOCK_SKEW_MAX, EVENT_LAG_MAX].map(|span| span.as_secs());
    let days = 1 + (ttl_secs + upload_secs.iter().sum::<u64>()).div_ceil(DAY_SECS);
    BucketRules {
        allowed_origins: config.http.allowed_origins.iter().flat_map(|one| pattern_of(one)).collect(),
        abort_after_days: u16::try_from(days).unwrap_or(u16::MAX),
        signature_age_max_secs: ttl_secs.max(SIGNATURE_AGE_SECS_MIN),
        is_policed: options.endpoint().contains(".amazonaws.com"),
        is_tls_only: options.endpoint().starts_with("https://"),
    }
}

/// An allowed origin as S3 writes it, with one `*` at most.
fn pattern_of(origin: &str) -> Vec<String> {
    if origin == LOOPBACK {
        return ["http://localhost:*", "http://127.0.0.1:*"].map(str::to_owned).to_vec();
    }
    vec![origin.to_owned()]
}

fn keys_of((key, id, file): (&'static str, &str, &Path)) -> Result<AwsKeys, StartError> {
    if id.is_empty() {
        return Ok(AwsKeys::Chain);
    }
    let secret_key = Secret::read(file).map_err(|source| StartError::Secret { key, source })?;
    Ok(AwsKeys::Static { access_key_id: id.to_owned(), secret_key })
}

/// A text that is not empty.
fn said(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// `https://host` of `https://host/path`.
fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    Some(format!("{scheme}://{}", rest.split('/').next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Config), endpoint: Option<&str>, region: &str, name: &str) {
        let mut config = Config::default();
        config.objects.region = "eu-west-1".to_owned();
        change(&mut config);
        let options = sqs(&config).unwrap();
        assert_eq!(options.access.endpoint.as_deref(), endpoint);
        assert_eq!((options.access.region.as_str(), options.queue.name()), (region, name));
    }

    #[test]
    fn a_queue_is_where_its_settings_say() {
        check(|c| c.queue.name = "a".to_owned(), None, "eu-west-1", "a");
        let url = "https://sqs.us-east-2.amazonaws.com/123456789012/wharf";
        check(
            |c| c.queue.url = url.to_owned(),
            Some("https://sqs.us-east-2.amazonaws.com"),
            "eu-west-1",
            "wharf",
        );
        let local = |c: &mut Config| {
            c.queue.url = "http://localhost:9324/000000000000/a".to_owned();
            c.queue.endpoint = "http://127.0.0.1:9324".to_owned();
            c.queue.region = "us-east-1".to_owned();
        };
        check(local, Some("http://127.0.0.1:9324"), "us-east-1", "a");
    }

    #[test]
    fn a_signer_has_keys_of_its_own_or_those_of_the_bucket() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "hush").unwrap();
        let mut config = Config::default();
        config.objects.access_key_id = "BUCKET".to_owned();
        config.objects.secret_key_file = file.clone();
        let id = |options: S3Options| match options.access.keys {
            AwsKeys::Static { access_key_id, .. } => access_key_id,
            AwsKeys::Chain => "chain".to_owned(),
        };
        assert_eq!(id(s3_signer(&config).unwrap()), "BUCKET");
        config.signer.access_key_id = "SIGNER".to_owned();
        config.signer.secret_key_file = folder.path().join("missing");
        let refused = s3_signer(&config).unwrap_err().to_string();
        assert!(refused.starts_with("signer.secret_key_file: cannot read the secret in "), "{refused}");
        config.signer.secret_key_file = file;
        assert_eq!(id(s3_signer(&config).unwrap()), "SIGNER");
        assert_eq!(id(s3(&config).unwrap()), "BUCKET");
        assert_eq!(id(s3(&Config::default()).unwrap()), "chain");
    }

    #[test]
    fn parts_are_kept_longer_than_their_upload_can_take() {
        let check = |ttl_secs, days, age| {
            let mut config = Config::default();
            config.upload.url_ttl_secs = ttl_secs;
            let rules = bucket_rules(&config, &s3(&config).unwrap());
            assert_eq!((rules.abort_after_days, rules.signature_age_max_secs), (days, age));
        };
        check(900, 2, 900);
        check(60, 2, 120);
        check(7 * DAY_SECS, 9, 7 * DAY_SECS);
    }

    #[test]
    fn pages_of_this_machine_are_patterns_to_s3() {
        let mut config = Config::default();
        config.http.allowed_origins = ["https://app.example", "loopback"].map(str::to_owned).to_vec();
        let rules = bucket_rules(&config, &s3(&config).unwrap());
        let expected = ["https://app.example", "http://localhost:*", "http://127.0.0.1:*"];
        assert_eq!(rules.allowed_origins, expected);
    }

    #[test]
    fn a_policy_is_for_aws_and_tls_where_it_is_spoken() {
        let check = |endpoint: &str, is_policed, is_tls_only| {
            let mut config = Config::default();
            config.objects.endpoint = endpoint.to_owned();
            let rules = bucket_rules(&config, &s3(&config).unwrap());
            assert_eq!((rules.is_policed, rules.is_tls_only), (is_policed, is_tls_only), "{endpoint}");
        };
        check("", true, true);
        check("https://s3-accelerate.amazonaws.com", true, true);
        check("https://s3.example.com", false, true);
        check("http://127.0.0.1:5555", false, false);
    }
}
