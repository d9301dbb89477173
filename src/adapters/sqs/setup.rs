//! Makes the queue and its dead letter queue as they should be.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};

use super::client::{self, is_missing};
use super::options::SqsOptions;
use crate::adapters::aws::{self, Look, Planner, SetupError, Shows, Step};
use crate::limits::DELIVERIES_MAX;

/// How long a notification waits to be read (10 days): the rest of the 14 is for a human.
const RETENTION_SECS: u64 = 10 * 24 * 3600;
/// How long a dead letter waits for a human (14 days, the most there is). It counts from when the notification was
/// sent, so it must be longer than the queue's own.
const DEAD_RETENTION_SECS: u64 = 14 * 24 * 3600;
/// What the name of the dead letter queue ends in.
const DEAD_SUFFIX: &str = "-dlq";
/// Bytes of a message that the queue takes at least; every server allows it, and S3 sends at most 64 KiB.
const MESSAGE_BYTES: usize = 256 << 10;
/// Our statement in the queue's policy; others are left alone.
const STATEMENT: &str = "WharfingerBucketSends";

const _: () = assert!(DEAD_RETENTION_SECS > RETENTION_SECS);

/// Who may send to the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Senders {
    /// The bucket whose notifications it gets.
    pub bucket: String,
}

/// Sets a queue up.
#[derive(Debug)]
pub struct SqsSetup {
    sqs: Client,
    name: String,
    visibility_secs: u64,
    shows: Shows,
}

/// An attribute that a queue should have.
struct Attribute {
    topic: &'static str,
    change: String,
    name: QueueAttributeName,
    /// None if it depends on what is not there yet.
    wanted: Option<String>,
    is_right: fn(now: &str, wanted: &str) -> bool,
}

impl SqsSetup {
    /// For the queue of these options.
    pub async fn new(options: &SqsOptions) -> Self {
        Self {
            sqs: client::client(&options.access).await,
            name: options.queue.name().to_owned(),
            visibility_secs: options.visibility.as_secs(),
            shows: Shows::at(options.access.endpoint.as_ref()),
        }
    }

    /// Does it, or only looks; repeating it changes nothing. Returns the outcomes, and the queue's ARN if it is
    /// there.
    pub async fn run(&self, senders: Option<&Senders>, is_dry_run: bool) -> (Vec<Step>, Option<String>) {
        let mut planner = Planner::new(is_dry_run, self.shows);
        let dead_name = format!("{}{DEAD_SUFFIX}", self.name);
        let dead_arn = self.queue(&mut planner, &dead_name).await;
        self.attribute(&mut planner, &dead_name, kept_for(DEAD_RETENTION_SECS)).await;
        let arn = self.queue(&mut planner, &self.name).await;
        let mut attributes = vec![
            kept_for(RETENTION_SECS),
            Attribute {
                topic: "visibility",
                change: format!("hide what was received for {} s", self.visibility_secs),
                name: QueueAttributeName::VisibilityTimeout,
                wanted: Some(self.visibility_secs.to_string()),
                is_right: same_text,
            },
            Attribute {
                topic: "size",
                change: format!("take {} KiB", MESSAGE_BYTES >> 10),
                name: QueueAttributeName::MaximumMessageSize,
                wanted: Some(MESSAGE_BYTES.to_string()),
                is_right: at_least,
            },
            Attribute {
                topic: "dead letters",
                change: format!("move to {dead_name} after {DELIVERIES_MAX} deliveries"),
                name: QueueAttributeName::RedrivePolicy,
                wanted: dead_arn.map(|arn| redrive(&arn)),
                is_right: same_redrive,
            },
        ];
        if let Some(senders) = senders {
            attributes.push(Attribute {
                topic: "policy",
                change: format!("let the bucket {} send", senders.bucket),
                name: QueueAttributeName::Policy,
                wanted: arn.as_deref().map(|arn| statement(arn, &senders.bucket).to_string()),
                is_right: has_statement,
            });
        }
        for attribute in attributes {
            self.attribute(&mut planner, &self.name, attribute).await;
        }
        (planner.into_steps(), arn)
    }

    /// Makes sure that there is a queue; returns its ARN if there is.
    async fn queue(&self, planner: &mut Planner, name: &str) -> Option<String> {
        let look = async || {
            let change = || Look::Change { change: "make it".to_owned(), to: Some(()) };
            Ok(if self.url(name).await?.is_some() { Look::Right } else { change() })
        };
        let make = async |()| {
            let made = self.sqs.create_queue().queue_name(name).send().await;
            made.map(drop).map_err(|error| SetupError::from_sdk(&error))
        };
        planner.step(format!("queue {name}"), look, make).await;
        self.read(name, QueueAttributeName::QueueArn).await.ok().flatten()
    }

    async fn attribute(&self, planner: &mut Planner, queue: &str, attribute: Attribute) {
        let Attribute { topic, change, name, wanted, is_right } = attribute;
        let look = async || {
            let now = self.read(queue, name.clone()).await?;
            let is_right = |wanted: &String| now.as_deref().is_some_and(|now| is_right(now, wanted));
            if wanted.as_ref().is_some_and(is_right) {
                return Ok(Look::Right);
            }
            let is_policy = name == QueueAttributeName::Policy;
            let to = wanted.as_deref().map(|wanted| {
                if is_policy { with_statement(now.as_deref(), wanted) } else { wanted.to_owned() }
            });
            Ok(Look::Change { change: change.clone(), to })
        };
        let make = async |to: String| {
            let Some(url) = self.url(queue).await? else {
                return Err(SetupError::Failed(format!("there is no queue {queue}")));
            };
            let set =
                self.sqs.set_queue_attributes().queue_url(url).attributes(name.clone(), to).send().await;
            set.map(drop).map_err(|error| SetupError::from_sdk(&error))
        };
        planner.step(format!("queue {queue}: {topic}"), look, make).await;
    }

    async fn url(&self, name: &str) -> Result<Option<String>, SetupError> {
        match self.sqs.get_queue_url().queue_name(name).send().await {
            Ok(found) => Ok(found.queue_url),
            Err(error) if aws::code(&error).is_some_and(is_missing) => Ok(None),
            Err(error) => Err(SetupError::from_sdk(&error)),
        }
    }

    /// One attribute of a queue; none if it has none, or is not there.
    async fn read(&self, queue: &str, name: QueueAttributeName) -> Result<Option<String>, SetupError> {
        let Some(url) = self.url(queue).await? else { return Ok(None) };
        let read = self.sqs.get_queue_attributes().queue_url(url).attribute_names(name.clone()).send().await;
        let attributes = read.map_err(|error| SetupError::from_sdk(&error))?.attributes;
        Ok(attributes.and_then(|mut attributes| attributes.remove(&name)))
    }
}

fn kept_for(secs: u64) -> Attribute {
    Attribute {
        topic: "retention",
        change: format!("keep for {} days", secs / (24 * 3600)),
        name: QueueAttributeName::MessageRetentionPeriod,
        wanted: Some(secs.to_string()),
        is_right: same_text,
    }
}

fn same_text(now: &str, wanted: &str) -> bool {
    now == wanted
}

fn at_least(now: &str, wanted: &str) -> bool {
    matches!((now.parse::<u64>(), wanted.parse::<u64>()), (Ok(now), Ok(wanted)) if now >= wanted)
}

fn redrive(dead_arn: &str) -> String {
    json!({"deadLetterTargetArn": dead_arn, "maxReceiveCount": DELIVERIES_MAX}).to_string()
}

/// The count comes back as a number or as text.
fn same_redrive(now: &str, wanted: &str) -> bool {
    let parts = |text: &str| {
        let policy: Value = serde_json::from_str(text).ok()?;
        let count = &policy["maxReceiveCount"];
        let count = count.as_u64().or_else(|| count.as_str()?.parse().ok())?;
        Some((policy["deadLetterTargetArn"].as_str()?.to_owned(), count))
    };
    parts(now).is_some() && parts(now) == parts(wanted)
}

/// The bucket, and nobody in its name from another account, may send.
fn statement(queue_arn: &str, bucket: &str) -> Value {
    let mut parts = queue_arn.split(':').skip(1);
    let partition = parts.next().unwrap_or("aws");
    let account = parts.nth(2).unwrap_or_default();
    json!({
        "Sid": STATEMENT,
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {
            "ArnEquals": {"aws:SourceArn": format!("arn:{partition}:s3:::{bucket}")},
            "StringEquals": {"aws:SourceAccount": account},
        },
    })
}

fn has_statement(policy: &str, wanted: &str) -> bool {
    let (Ok(policy), Ok(wanted)) =
        (serde_json::from_str::<Value>(policy), serde_json::from_str::<Value>(wanted))
    else {
        return false;
    };
    policy["Statement"].as_array().is_some_and(|statements| statements.contains(&wanted))
}

/// A policy with our statement and those of others.
fn with_statement(policy: Option<&str>, wanted: &str) -> String {
    let policy: Value = policy.and_then(|policy| serde_json::from_str(policy).ok()).unwrap_or_default();
    let others = match &policy["Statement"] {
        Value::Array(statements) => statements.clone(),
        Value::Object(statement) => vec![Value::Object(statement.clone())],
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    let mut statements: Vec<Value> =
        others.into_iter().filter(|statement| statement["Sid"] != STATEMENT).collect();
    statements.push(serde_json::from_str(wanted).unwrap_or_default());
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws-cn:sqs:cn-north-1:123456789012:wharf";

    #[test]
    fn only_this_bucket_of_this_account_may_send() {
        let statement = statement(ARN, "files");
        assert_eq!(statement["Resource"], ARN);
        assert_eq!(statement["Condition"]["ArnEquals"]["aws:SourceArn"], "arn:aws-cn:s3:::files");
        assert_eq!(statement["Condition"]["StringEquals"]["aws:SourceAccount"], "123456789012");
    }

    #[test]
    fn statements_of_others_stay() {
        let ours = statement(ARN, "files").to_string();
        let old = statement(ARN, "old").to_string();
        let theirs = r#"{"Sid":"theirs","Effect":"Deny"}"#;
        let check = |before: Option<String>, others: usize| {
            let after = with_statement(before.as_deref(), &ours);
            assert!(has_statement(&after, &ours) && !has_statement(&after, &old), "{after}");
            let after: Value = serde_json::from_str(&after).unwrap();
            assert_eq!(after["Statement"].as_array().map(Vec::len), Some(others + 1), "{after}");
        };
        check(None, 0);
        check(Some(format!(r#"{{"Statement":[{theirs}]}}"#)), 1);
        check(Some(format!(r#"{{"Statement":{theirs}}}"#)), 1);
        check(Some(format!(r#"{{"Statement":[{old},{theirs}]}}"#)), 1);
        check(Some("not JSON".to_owned()), 0);
        assert!(!has_statement("not JSON", &ours));
    }

    #[test]
    fn attributes_are_compared_by_what_they_mean() {
        let wanted = redrive("arn:dlq");
        let check = |now: &str, expected| assert_eq!(same_redrive(now, &wanted), expected, "{now}");
        check(&wanted, true);
        check(r#"{"maxReceiveCount":"10","deadLetterTargetArn":"arn:dlq"}"#, true);
        check(r#"{"maxReceiveCount":3,"deadLetterTargetArn":"arn:dlq"}"#, false);
        check(r#"{"maxReceiveCount":10,"deadLetterTargetArn":"arn:other"}"#, false);
        check("", false);
        assert!(at_least("1048576", "262144") && at_least("262144", "262144") && !at_least("1024", "262144"));
        assert!(same_text("60", "60") && !same_text("30", "60"));
    }
}
