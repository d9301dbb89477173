//! How a bucket of ours is to be: pure comparisons of what is there with what should be.
//!
//! Everything of ours has an id; what others set beside it is left alone.

use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, CorsRule, Event, ExpirationStatus, FilterRule, FilterRuleName,
    LifecycleRule, LifecycleRuleFilter, NotificationConfigurationFilter, PublicAccessBlockConfiguration,
    QueueConfiguration, S3KeyFilter,
};
use serde_json::{Value, json};

use crate::adapters::pages;
use crate::domain::ids::ObjectKey;
use crate::limits::CORS_MAX_AGE;

/// What our rules are called.
const ID: &str = "wharfinger";
/// What our statements in the bucket's policy start with.
const STATEMENT: &str = "Wharfinger";

/// What a bucket of ours is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketRules {
    /// Pages that may send and read.
    pub allowed_origins: Vec<String>,
    /// Days after which an upload in parts that nobody completed is given up.
    pub abort_after_days: u16,
    /// The oldest signature of a PUT that counts.
    pub signature_age_max_secs: u64,
    /// Whether it has a policy that denies, under conditions.
    pub is_policed: bool,
    /// Whether clients must use TLS.
    pub is_tls_only: bool,
}

/// Nothing in it is public, whatever an ACL or a policy says.
pub(super) fn private() -> PublicAccessBlockConfiguration {
    PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .ignore_public_acls(true)
        .block_public_policy(true)
        .restrict_public_buckets(true)
        .build()
}

/// The rules for pages, changed as far as they must be; none: they are right.
pub(super) fn cors(now: &[CorsRule], rules: &BucketRules) -> Option<Vec<CorsRule>> {
    let ours = (!rules.allowed_origins.is_empty()).then(|| {
        CorsRule::builder()
            .id(ID)
            .set_allowed_origins(Some(rules.allowed_origins.clone()))
            .set_allowed_methods(Some(["GET", "HEAD", "PUT"].map(str::to_owned).to_vec()))
            .set_allowed_headers(Some(pages::REQUEST_HEADERS.map(str::to_owned).to_vec()))
            .set_expose_headers(Some(pages::ANSWER_HEADERS.map(str::to_owned).to_vec()))
            .max_age_seconds(i32::try_from(CORS_MAX_AGE.as_secs()).unwrap_or(i32::MAX))
            .build()
            .expect("methods and origins are there")
    });
    changed(now, ours, |rule| rule.id() == Some(ID))
}

/// The rules of life, changed as far as they must be; none: they are right.
pub(super) fn lifecycle(now: &[LifecycleRule], rules: &BucketRules) -> Option<Vec<LifecycleRule>> {
    let abort = AbortIncompleteMultipartUpload::builder()
        .days_after_initiation(i32::from(rules.abort_after_days))
        .build();
    let ours = LifecycleRule::builder()
        .id(ID)
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix(ObjectKey::PREFIX).build())
        .abort_incomplete_multipart_upload(abort)
        .build()
        .expect("the status is there");
    changed(now, Some(ours), |rule| rule.id() == Some(ID))
}

/// The queues to notify, changed as far as necessary; none: they are right.
pub(super) fn queues(now: &[QueueConfiguration], queue_arn: &str) -> Option<Vec<QueueConfiguration>> {
    let prefix = FilterRule::builder().name(FilterRuleName::Prefix).value(ObjectKey::PREFIX).build();
    let ours = QueueConfiguration::builder()
        .id(ID)
        .queue_arn(queue_arn)
        .events(Event::S3ObjectCreated)
        .events(Event::S3ObjectRemoved)
        .filter(
            NotificationConfigurationFilter::builder()
                .key(S3KeyFilter::builder().filter_rules(prefix).build())
                .build(),
        )
        .build()
        .expect("queue and events are there");
    let is_right = now.iter().any(|there| there.id() == Some(ID) && tells_the_same(there, &ours));
    if is_right { None } else { changed(now, Some(ours), |there| there.id() == Some(ID)) }
}

/// Events come back in any order, and `Prefix` in any case.
fn tells_the_same(there: &QueueConfiguration, ours: &QueueConfiguration) -> bool {
    let events = |queue: &QueueConfiguration| {
        let mut events: Vec<String> = queue.events().iter().map(|event| event.as_str().to_owned()).collect();
        events.sort();
        events
    };
    let filters = |queue: &QueueConfiguration| -> Vec<(String, String)> {
        let key = queue.filter().and_then(NotificationConfigurationFilter::key);
        let rules = key.map(S3KeyFilter::filter_rules).unwrap_or_default();
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let rule = |rule: &FilterRule| {
            (text(rule.name().map(FilterRuleName::as_str)).to_ascii_lowercase(), text(rule.value()))
        };
        rules.iter().map(rule).collect()
    };
    there.queue_arn() == ours.queue_arn() && events(there) == events(ours) && filters(there) == filters(ours)
}

/// Whether a bucket's notification in XML has any target.
pub(super) fn names_a_receiver(xml: &str) -> bool {
    ["Queue", "Topic", "CloudFunction", "EventBridge"]
        .iter()
        .any(|receiver| xml.contains(&format!("<{receiver}Configuration")))
}

/// A list with ours in place of what was ours before, or without; none if nothing changes.
fn changed<T: Clone + PartialEq>(now: &[T], ours: Option<T>, is_ours: impl Fn(&T) -> bool) -> Option<Vec<T>> {
    let before: Vec<&T> = now.iter().filter(|there| is_ours(there)).collect();
    if before == ours.iter().collect::<Vec<_>>() {
        return None;
    }
    let others = now.iter().filter(|there| !is_ours(there)).cloned();
    Some(others.chain(ours.clone()).collect())
}

/// The bucket's policy with our statements and those of others; none: it is right.
pub(super) fn policy(now: Option<&str>, bucket_arn: &str, rules: &BucketRules) -> Option<String> {
    let policy: Value = now.and_then(|now| serde_json::from_str(now).ok()).unwrap_or_default();
    let there = match &policy["Statement"] {
        Value::Array(statements) => statements.clone(),
        Value::Object(statement) => vec![Value::Object(statement.clone())],
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    let is_ours = |statement: &Value| statement["Sid"].as_str().is_some_and(|sid| sid.starts_with(STATEMENT));
    let (before, others): (Vec<Value>, Vec<Value>) = there.into_iter().partition(is_ours);
    let ours = statements(bucket_arn, rules);
    if before == ours {
        return None;
    }
    let statements: Vec<Value> = others.into_iter().chain(ours).collect();
    Some(json!({"Version": "2012-10-17", "Statement": statements}).to_string())
}

/// What nobody may do, whatever else they may: use plain HTTP, replace an object, use an old signature.
fn statements(bucket_arn: &str, rules: &BucketRules) -> Vec<Value> {
    let objects = format!("{bucket_arn}/{}*", ObjectKey::PREFIX);
    let deny = |name: &str, action: &str, resource: Value, condition: Value| {
        json!({
            "Sid": format!("{STATEMENT}{name}"),
            "Effect": "Deny",
            "Principal": "*",
            "Action": action,
            "Resource": resource,
            "Condition": condition,
        })
    };
    let mut statements = Vec::new();
    if rules.is_tls_only {
        let all = json!([bucket_arn, format!("{bucket_arn}/*")]);
        statements.push(deny("TlsOnly", "s3:*", all, json!({"Bool": {"aws:SecureTransport": "false"}})));
    }
    // The second half leaves parts out: they are no objects yet, and their completion is looked at.
    let replaces = json!({
        "Null": {"s3:if-none-match": "true"},
        "Bool": {"s3:ObjectCreationOperation": "true"},
    });
    statements.push(deny("NoReplace", "s3:PutObject", json!(objects), replaces));
    let age_max_millis = rules.signature_age_max_secs.saturating_mul(1000).to_string();
    let is_old = json!({"NumericGreaterThan": {"s3:signatureAge": age_max_millis}});
    statements.push(deny("FreshSignature", "s3:PutObject", json!(objects), is_old));
    statements
}

#[cfg(test)]
mod tests;
