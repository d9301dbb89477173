//! What types cannot say: ranges, and how settings relate.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::backends::BucketKind;
use super::choice;
use super::load::Origins;
use super::problem::Problem;
use super::settings::{Config, IssuerSettings};
use crate::domain::origins::LOOPBACK;
use crate::domain::shard::ShardCount;
use crate::limits;
use crate::telemetry::logs;

/// Connections that a setting may allow.
const CONNECTIONS_MAX: usize = 1_000_000;
/// Characters of a deployment's name: it is one part of a NATS subject and of an event's source.
const DEPLOYMENT_CHARS_MAX: usize = 63;
/// Characters of a bucket's name, by the rules of S3.
const BUCKET_CHARS: std::ops::RangeInclusive<usize> = 3..=63;

/// Collects what is wrong.
pub(super) struct SettingsCheck<'a> {
    origins: &'a Origins,
    pub(super) problems: Vec<Problem>,
}

impl<'a> SettingsCheck<'a> {
    pub(super) const fn new(origins: &'a Origins) -> Self {
        Self { origins, problems: Vec::new() }
    }

    /// The keys that some source says by their names.
    pub(super) fn configured(&self) -> Vec<String> {
        self.origins
            .configured()
            .filter(|key| !self.origins.of(key).is_shortcut())
            .map(str::to_owned)
            .collect()
    }

    pub(super) fn expect(&mut self, holds: bool, key: &str, text: impl FnOnce() -> String) {
        if !holds {
            let text = self.origins.as_written(key, text());
            self.problems.push(Problem { key: key.to_owned(), text, origin: self.origins.of(key) });
        }
    }
}

/// Asserts that one check of changed settings finds this, or nothing where nothing is expected.
#[cfg(test)]
pub(super) fn assert_found(
    check: fn(&Config, &mut SettingsCheck<'_>),
    change: impl FnOnce(&mut Config),
    expected: &str,
) {
    let mut config = Config::default();
    change(&mut config);
    let origins = Origins::default();
    let mut findings = SettingsCheck::new(&origins);
    check(&config, &mut findings);
    let lines: Vec<_> = findings.problems.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), usize::from(!expected.is_empty()), "{lines:?}");
    assert!(lines.join("").contains(expected), "{lines:?} does not say {expected:?}");
}

/// Everything that cannot be, in the order of the settings.
pub(super) fn problems(config: &Config, origins: &Origins) -> Vec<Problem> {
    let mut findings = SettingsCheck::new(origins);
    deployment(config, &mut findings);
    http(config, &mut findings);
    issuers(config, &mut findings);
    transfers(config, &mut findings);
    listeners(config, &mut findings);
    bucket(config, &mut findings);
    choice::check(config, &mut findings);
    telemetry(config, &mut findings);
    findings.problems
}

fn deployment(config: &Config, findings: &mut SettingsCheck<'_>) {
    findings.expect(!config.data_dir.as_os_str().is_empty(), "data_dir", || "must not be empty".to_owned());
    let name = &config.deployment;
    let is_name = (1..=DEPLOYMENT_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-');
    findings.expect(is_name, "deployment", || {
        format!("{name:?} must be 1 to {DEPLOYMENT_CHARS_MAX} of a-z, 0-9 and -, and not start with -")
    });
    if let Err(error) = ShardCount::new(config.shards) {
        findings.expect(false, "shards", || format!("{} cannot be: {error}", config.shards));
    }
}

fn http(config: &Config, findings: &mut SettingsCheck<'_>) {
    let url = &config.http.public_url;
    let is_url = url.is_empty() || (is_origin_and_path(url) && !url.ends_with('/'));
    findings.expect(is_url, "http.public_url", || {
        format!("{url:?} must be like https://files.example.com, without a slash at the end")
    });
    let connections = config.http.connections_max;
    findings.expect((1..=CONNECTIONS_MAX).contains(&connections), "http.connections_max", || {
        format!("{connections} must be 1 to {CONNECTIONS_MAX}")
    });
    let percent = config.http.connections_per_address_percent;
    findings.expect(percent <= 100, "http.connections_per_address_percent", || {
        format!("{percent} must be 0 to 100")
    });
    for origin in &config.http.allowed_origins {
        findings.expect(origin == LOOPBACK || is_origin(origin), "http.allowed_origins", || {
            format!(
                "{origin:?} must be like https://app.example.com, without a path, or {LOOPBACK:?} for pages of this \
                 machine; * is not taken"
            )
        });
    }
}

/// `http://host` or `https://host`, nothing else.
pub(super) fn is_origin(url: &str) -> bool {
    is_origin_and_path(url) && !url.split_once("://").is_some_and(|(_, host)| host.contains('/'))
}

/// The same, perhaps with a path.
pub(super) fn is_origin_and_path(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let starts_with_host = rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
        starts_with_host && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#*@\"<>\\".contains(&byte))
    })
}

fn issuers(config: &Config, findings: &mut SettingsCheck<'_>) {
    let mut seen = BTreeSet::new();
    for issuer in &config.auth.issuers {
        let texts = [&issuer.issuer, &issuer.audience, &issuer.roles_claim];
        findings.expect(texts.iter().all(|text| !text.is_empty()), "auth.issuers", || {
            format!("issuer, audience and roles_claim of {:?} must not be empty", issuer.issuer)
        });
        findings.expect(issuer.kid.as_deref().is_none_or(IssuerSettings::is_kid), "auth.issuers", || {
            format!(
                "kid of {:?} must be 1 to {} letters, digits or ._:=+@-",
                issuer.issuer,
                limits::TOKEN_KID_BYTES_MAX
            )
        });
        findings.expect(seen.insert(&issuer.issuer), "auth.issuers", || {
            format!("{:?} is there twice; one issuer has one key and one algorithm", issuer.issuer)
        });
    }
    let fault = config.auth.subject_fault();
    findings.expect(fault.is_none(), "auth.issuers", || fault.unwrap_or_default());
}

fn transfers(config: &Config, findings: &mut SettingsCheck<'_>) {
    // The ledger counts bytes in 64 signed bits.
    let quota = config.quota.default_bytes;
    findings.expect(i64::try_from(quota).is_ok(), "quota.default_bytes", || {
        format!("{quota} must be at most {}", i64::MAX)
    });
    let ranges = [
        ("quota.files_max", u64::from(config.quota.files_max), u64::from(limits::FILES_MAX)),
        ("quota.rows_max", u64::from(config.quota.rows_max), u64::from(limits::ROWS_MAX)),
        ("upload.max_bytes", config.upload.max_bytes, limits::FILE_BYTES_MAX),
        ("upload.url_ttl_secs", config.upload.url_ttl_secs, limits::UPLOAD_URL_TTL_MAX.as_secs()),
        ("download.url_ttl_secs", config.download.url_ttl_secs, limits::DOWNLOAD_URL_TTL_MAX.as_secs()),
        ("sweep.trash_days", config.sweep.trash_days, limits::TRASH_DAYS_MAX),
        ("sweep.deep_every_secs", config.sweep.deep_every_secs, limits::SWEEP_DEEP_EVERY_MAX.as_secs()),
        (
            "sweep.accounts_per_sec",
            u64::from(config.sweep.accounts_per_sec),
            u64::from(limits::SWEEP_PER_SEC_MAX),
        ),
        (
            "sweep.objects_per_sec",
            u64::from(config.sweep.objects_per_sec),
            u64::from(limits::SWEEP_PER_SEC_MAX),
        ),
    ];
    for (key, value, max) in ranges {
        findings.expect((1..=max).contains(&value), key, || format!("{value} must be 1 to {max}"));
    }
    let (files_max, rows_max) = (config.quota.files_max, config.quota.rows_max);
    findings.expect(rows_max >= files_max, "quota.rows_max", || {
        format!("{rows_max} must be at least quota.files_max, {files_max}")
    });
    let days = config.ledger.history_days;
    findings.expect(days <= limits::HISTORY_DAYS_MAX, "ledger.history_days", || {
        format!("{days} must be 0 to {}", limits::HISTORY_DAYS_MAX)
    });
    for content_type in &config.upload.allowed_types {
        findings.expect(is_content_type(content_type), "upload.allowed_types", || {
            format!("{content_type:?} must be like image/png or image/*")
        });
    }
}

fn is_content_type(text: &str) -> bool {
    let is_token = |part: &str| {
        let is_token_byte =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$&^_.+-".contains(&byte);
        !part.is_empty() && part.bytes().all(is_token_byte)
    };
    let is_short = text.len() <= limits::CONTENT_TYPE_BYTES_MAX;
    let parts = text.split_once('/');
    is_short && parts.is_some_and(|(family, kind)| is_token(family) && (kind == "*" || is_token(kind)))
}

fn listeners(config: &Config, findings: &mut SettingsCheck<'_>) {
    let mut listeners = vec![("http.listen", config.http.listen), ("admin.listen", config.admin.listen)];
    if config.objects.kind == BucketKind::Embedded {
        listeners.push(("s3.listen", config.s3.listen));
    }
    for (index, (key, address)) in listeners.iter().enumerate() {
        for (other_key, other) in listeners.iter().take(index) {
            findings.expect(!is_same(*address, *other), key, || {
                format!("{address} is taken by {other_key}; give each listener a port of its own")
            });
        }
    }
}

/// Whether both cannot be listened on at the same time. Port 0 is a free one each time.
fn is_same(a: SocketAddr, b: SocketAddr) -> bool {
    let is_everywhere = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || is_everywhere)
}

fn bucket(config: &Config, findings: &mut SettingsCheck<'_>) {
    let name = &config.objects.bucket;
    let is_name = BUCKET_CHARS.contains(&name.len())
        && name.bytes().all(|byte| is_alphanumeric(byte) || byte == b'-' || byte == b'.')
        && name.bytes().next().is_some_and(is_alphanumeric)
        && name.bytes().last().is_some_and(is_alphanumeric)
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err();
    findings.expect(is_name, "objects.bucket", || {
        format!("{name:?} must be 3 to 63 of a-z, 0-9, - and ., start and end with a letter or digit, and be no address")
    });
    let region = &config.objects.region;
    findings.expect(is_region(region), "objects.region", || format!("{region:?} must be like us-east-1"));
}

/// `us-east-1`.
pub(super) fn is_region(region: &str) -> bool {
    !region.is_empty() && region.bytes().all(|byte| is_alphanumeric(byte) || byte == b'-')
}

const fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn telemetry(config: &Config, findings: &mut SettingsCheck<'_>) {
    if let Err(error) = logs::LogFormat::parse(&config.telemetry.format) {
        findings.expect(false, "telemetry.format", || error.to_string());
    }
    if let Err(error) = logs::check_filter(&config.telemetry.filter) {
        findings.expect(false, "telemetry.filter", || error.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Config), expected: &str) {
        let mut config = Config::default();
        change(&mut config);
        let found = problems(&config, &Origins::default());
        let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(lines.len(), usize::from(!expected.is_empty()), "{lines:?}");
        assert!(lines.join("").contains(expected), "{lines:?} does not say {expected:?}");
    }

    #[test]
    fn the_defaults_are_good() {
        check(|_| (), "");
    }

    #[test]
    fn ranges_name_their_ends() {
        check(|c| c.shards = 0, "shards: 0 cannot be: shards must be 1 to 1024 (default)");
        check(|c| c.shards = 1025, "1025 cannot be");
        check(|c| c.shards = 1024, "");
        check(|c| c.quota.files_max = 50_001, "quota.files_max: 50001 must be 1 to 50000");
        check(|c| c.quota.rows_max = 49_999, "quota.rows_max: 49999 must be at least quota.files_max, 50000");
        check(|c| c.quota.rows_max = 60_001, "quota.rows_max: 60001 must be 1 to 60000");
        check(|c| c.ledger.history_days = 7301, "ledger.history_days: 7301 must be 0 to 7300");
        check(|c| c.quota.default_bytes = u64::MAX, "quota.default_bytes");
        check(|c| c.quota.default_bytes = 0, "");
        check(|c| c.upload.max_bytes = (5 << 30) + 1, "must be 1 to 5368709120");
        check(|c| c.upload.max_bytes = 0, "upload.max_bytes: 0");
        check(|c| c.upload.url_ttl_secs = 518_401, "upload.url_ttl_secs: 518401 must be 1 to 518400");
        check(|c| c.upload.url_ttl_secs = 518_400, "");
        check(|c| c.download.url_ttl_secs = 43_201, "download.url_ttl_secs: 43201 must be 1 to 43200");
        check(|c| c.download.url_ttl_secs = 43_200, "");
        check(|c| c.http.connections_max = 0, "http.connections_max");
        check(|c| c.http.connections_per_address_percent = 101, "http.connections_per_address_percent: 101");
        check(|c| c.http.connections_per_address_percent = 0, "");
    }

    #[test]
    fn names_are_of_their_kind() {
        check(|c| c.deployment = "eu west".to_owned(), "deployment");
        check(|c| c.deployment = String::new(), "deployment");
        check(|c| c.deployment = "eu.west".to_owned(), "deployment");
        check(|c| c.deployment = "eu-west-1".to_owned(), "");
        check(|c| c.data_dir = "".into(), "data_dir");
        for bad in ["ab", "Wharf", "-wharf", "wharf-", "wh..arf", "10.0.0.1", "wharf_1"] {
            check(|c| c.objects.bucket = bad.to_owned(), "objects.bucket");
        }
        check(|c| c.objects.bucket = "my.files-2".to_owned(), "");
        check(|c| c.objects.region = "US East".to_owned(), "objects.region");
    }

    #[test]
    fn urls_are_complete_and_plain() {
        for bad in ["files.example.com", "https://", "https://x/", "https://x?y", "ftp://x", "https://me@x"] {
            check(|c| c.http.public_url = bad.to_owned(), "http.public_url");
        }
        check(|c| c.http.public_url = "https://files.example.com/base".to_owned(), "");
        for bad in ["*", "https://*.example.com", "https://app.example.com/", "app.example.com"] {
            check(|c| c.http.allowed_origins = vec![bad.to_owned()], "http.allowed_origins");
        }
        check(|c| c.http.allowed_origins = vec!["http://[::1]:3000".to_owned()], "");
        check(|c| c.http.allowed_origins = vec!["loopback".to_owned()], "");
    }

    #[test]
    fn content_types_are_types_or_families() {
        for bad in ["image", "image/", "/png", "*/*", "text/html; charset=utf-8", "Image/PNG"] {
            check(|c| c.upload.allowed_types = vec![bad.to_owned()], "upload.allowed_types");
        }
        check(|c| c.upload.allowed_types = vec!["image/*".to_owned(), "image/svg+xml".to_owned()], "");
    }

    #[test]
    fn listeners_do_not_meet() {
        let at = |text: &str| text.parse().unwrap();
        check(
            |c| c.admin.listen = at("127.0.0.1:8080"),
            "admin.listen: 127.0.0.1:8080 is taken by http.listen",
        );
        check(|c| c.s3.listen = at("127.0.0.1:9090"), "s3.listen: 127.0.0.1:9090 is taken by admin.listen");
        check(|c| c.http.listen = at("0.0.0.0:9090"), "admin.listen: 127.0.0.1:9090 is taken by http.listen");
        check(|c| c.admin.listen = at("127.0.0.2:8080"), "");
        let free = at("127.0.0.1:0");
        check(|c| (c.http.listen, c.admin.listen, c.s3.listen) = (free, free, free), "");
    }

    #[test]
    fn an_issuer_is_whole_and_alone() {
        let issuer = |name: &str| super::super::IssuerSettings {
            issuer: name.to_owned(),
            audience: "wharfinger".to_owned(),
            algorithm: super::super::IssuerAlgorithm::ES256,
            key_file: "key.pem".into(),
            kid: None,
            roles_claim: "roles".to_owned(),
            subject: Some(super::super::SubjectKind::Name),
        };
        check(|c| c.auth.issuers = vec![issuer("a"), issuer("b")], "");
        let unset = || super::super::IssuerSettings { subject: None, ..issuer("b") };
        check(|c| c.auth.issuers = vec![unset()], "");
        check(|c| c.auth.issuers = vec![issuer("a"), unset()], "\"b\" needs a subject");
        check(|c| c.auth.issuers = vec![issuer("a"), issuer("a")], "\"a\" is there twice");
        check(|c| c.auth.issuers = vec![issuer("")], "must not be empty");
    }

    #[test]
    fn logs_have_a_known_form() {
        check(|c| c.telemetry.format = "xml".to_owned(), "telemetry.format");
        check(|c| c.telemetry.filter = "wharfinger=loud".to_owned(), "telemetry.filter");
        check(|c| c.telemetry.filter = "warn,wharfinger=debug".to_owned(), "");
    }
}
