//! Makes the bucket as it should be, and has it tell the queue.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketLocationConstraint, CorsConfiguration, CorsRule,
    CreateBucketConfiguration, LifecycleRule, NotificationConfiguration, PublicAccessBlockConfiguration,
};

use super::client;
use super::options::S3Options;
use super::rules;
use super::skew::Skew;
use crate::adapters::aws::{self, Look, Planner, SetupError, Shows, Step};
use crate::ports::Clock;

pub use super::rules::BucketRules;

/// The only region that a new bucket must not name.
const UNNAMED_REGION: &str = "us-east-1";

/// Why a bucket elsewhere gets no policy: a server that denies without the conditions denies all.
const UNPOLICED: &str = "not tried: only AWS is known to judge when not to deny";

/// Sets a bucket up.
#[derive(Debug)]
pub struct S3Setup {
    s3: Client,
    bucket: String,
    region: String,
    is_dry_run: bool,
    shows: Shows,
}

impl S3Setup {
    /// For the bucket of these options; only looks if it is a dry run.
    pub async fn new(options: &S3Options, clock: Clock, is_dry_run: bool) -> Self {
        Self {
            s3: client::client(options, Skew::new(clock)).await,
            bucket: options.bucket.clone(),
            region: options.access.region.clone(),
            is_dry_run,
            shows: Shows::at(options.access.endpoint.as_ref()),
        }
    }

    /// The bucket with all that does not need a queue. Repeating it changes nothing.
    pub async fn bucket(&self, rules: &BucketRules) -> Vec<Step> {
        let mut planner = Planner::new(self.is_dry_run, self.shows);
        self.exists(&mut planner).await;
        self.is_private(&mut planner).await;
        self.has_policy(&mut planner, rules).await;
        self.lets_pages(&mut planner, rules).await;
        self.gives_up_parts(&mut planner, rules).await;
        planner.into_steps()
    }

    /// Has the bucket tell this queue, which must let it; none: the queue is not there yet.
    pub async fn notification(&self, queue_arn: Option<&str>) -> Vec<Step> {
        let mut planner = Planner::new(self.is_dry_run, self.shows);
        let look = async || {
            let now = self.s3.get_bucket_notification_configuration().bucket(&self.bucket).send().await;
            let now = if now.as_ref().is_err_and(is_empty_answer) { None } else { there(now)? };
            let queues = now.as_ref().and_then(|now| now.queue_configurations.as_deref()).unwrap_or_default();
            let change = |to| Look::Change { change: "tell the queue of what comes and goes".to_owned(), to };
            let Some(queue_arn) = queue_arn else { return Ok(change(None)) };
            let Some(queues) = rules::queues(queues, queue_arn) else { return Ok(Look::Right) };
            let whole = NotificationConfiguration::builder().set_queue_configurations(Some(queues));
            let Some(now) = now else { return Ok(change(Some(whole.build()))) };
            let whole = whole
                .set_topic_configurations(now.topic_configurations)
                .set_lambda_function_configurations(now.lambda_function_configurations)
                .set_event_bridge_configuration(now.event_bridge_configuration);
            Ok(change(Some(whole.build())))
        };
        let make = async |to: NotificationConfiguration| {
            let put = self.s3.put_bucket_notification_configuration().bucket(&self.bucket);
            let put = put.notification_configuration(to);
            // The bucket tries the queue, whose new policy may not be in force yet.
            let mut pauses = self.shows.pauses();
            loop {
                match (put.clone().send().await, pauses.next()) {
                    (Err(error), Some(pause)) if cannot_reach(&error) => tokio::time::sleep(pause).await,
                    (put, _) => return done(put),
                }
            }
        };
        planner.step(self.about("notification"), look, make).await;
        planner.into_steps()
    }

    fn about(&self, what: &str) -> String {
        format!("bucket {}: {what}", self.bucket)
    }

    async fn exists(&self, planner: &mut Planner) {
        let look = async || match self.s3.head_bucket().bucket(&self.bucket).send().await {
            Ok(_) => Ok(Look::Right),
            Err(error) if aws::status(&error) == Some(404) => {
                Ok(Look::Change { change: format!("make it in {}", self.region), to: Some(()) })
            }
            Err(error) => Err(SetupError::from_sdk(&error)),
        };
        let make = async |()| {
            let constraint = (self.region != UNNAMED_REGION).then(|| {
                let region = BucketLocationConstraint::from(self.region.as_str());
                CreateBucketConfiguration::builder().location_constraint(region).build()
            });
            let create = self.s3.create_bucket().bucket(&self.bucket);
            done(create.set_create_bucket_configuration(constraint).send().await)
        };
        planner.step(format!("bucket {}", self.bucket), look, make).await;
    }

    async fn is_private(&self, planner: &mut Planner) {
        let look = async || {
            let now = there(self.s3.get_public_access_block().bucket(&self.bucket).send().await)?;
            let now = now.and_then(|now| now.public_access_block_configuration);
            let to = rules::private();
            let change = "block public access".to_owned();
            Ok(if now.as_ref() == Some(&to) { Look::Right } else { Look::Change { change, to: Some(to) } })
        };
        let make = async |to: PublicAccessBlockConfiguration| {
            let put = self.s3.put_public_access_block().bucket(&self.bucket);
            done(put.public_access_block_configuration(to).send().await)
        };
        planner.step(self.about("private"), look, make).await;
    }

    async fn has_policy(&self, planner: &mut Planner, rules: &BucketRules) {
        let partition = match self.region.split_once('-') {
            Some(("cn", _)) => "aws-cn",
            Some(("us", rest)) if rest.starts_with("gov-") => "aws-us-gov",
            Some(_) | None => "aws",
        };
        let bucket_arn = format!("arn:{partition}:s3:::{}", self.bucket);
        let look = async || {
            if !rules.is_policed {
                return Err(SetupError::Lacking(UNPOLICED.to_owned()));
            }
            let now = there(self.s3.get_bucket_policy().bucket(&self.bucket).send().await)?;
            let now = now.and_then(|now| now.policy);
            let plain = if rules.is_tls_only { "plain HTTP, " } else { "" };
            let change = format!("deny {plain}replacing objects, and old signatures");
            let to = rules::policy(now.as_deref(), &bucket_arn, rules);
            Ok(to.map_or(Look::Right, |to| Look::Change { change, to: Some(to) }))
        };
        let make =
            async |to: String| done(self.s3.put_bucket_policy().bucket(&self.bucket).policy(to).send().await);
        planner.step(self.about("policy"), look, make).await;
    }

    async fn lets_pages(&self, planner: &mut Planner, rules: &BucketRules) {
        let look = async || {
            let now = there(self.s3.get_bucket_cors().bucket(&self.bucket).send().await)?;
            let now = now.and_then(|now| now.cors_rules).unwrap_or_default();
            let change = match rules.allowed_origins.as_slice() {
                [] => "let no page in".to_owned(),
                origins => format!("let pages of {} send and read", origins.join(", ")),
            };
            let to = rules::cors(&now, rules);
            Ok(to.map_or(Look::Right, |to| Look::Change { change, to: Some(to) }))
        };
        let make = async |to: Vec<CorsRule>| {
            if to.is_empty() {
                return done(self.s3.delete_bucket_cors().bucket(&self.bucket).send().await);
            }
            let to = CorsConfiguration::builder().set_cors_rules(Some(to)).build();
            let to = to.map_err(|error| SetupError::Failed(error.to_string()))?;
            done(self.s3.put_bucket_cors().bucket(&self.bucket).cors_configuration(to).send().await)
        };
        planner.step(self.about("pages (CORS)"), look, make).await;
    }

    async fn gives_up_parts(&self, planner: &mut Planner, rules: &BucketRules) {
        let look = async || {
            let now = there(self.s3.get_bucket_lifecycle_configuration().bucket(&self.bucket).send().await)?;
            let now = now.and_then(|now| now.rules).unwrap_or_default();
            let days = rules.abort_after_days;
            let change = format!("give uploads in parts up after {days} days");
            let to = rules::lifecycle(&now, rules);
            Ok(to.map_or(Look::Right, |to| Look::Change { change, to: Some(to) }))
        };
        let make = async |to: Vec<LifecycleRule>| {
            let to = BucketLifecycleConfiguration::builder().set_rules(Some(to)).build();
            let to = to.map_err(|error| SetupError::Failed(error.to_string()))?;
            let put = self.s3.put_bucket_lifecycle_configuration().bucket(&self.bucket);
            done(put.lifecycle_configuration(to).send().await)
        };
        planner.step(self.about("lifecycle"), look, make).await;
    }
}

/// Whether the bucket says that it could not send to the queue.
fn cannot_reach<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    let text = error.as_service_error().and_then(ProvideErrorMetadata::message);
    text.is_some_and(|text| text.contains("Unable to validate the following destination"))
}

/// Whether an answer that cannot be parsed has no target. Some servers name an empty one differently.
fn is_empty_answer<E>(error: &SdkError<E>) -> bool {
    let body = error.raw_response().and_then(|answer| answer.body().bytes());
    let text = body.map(String::from_utf8_lossy).unwrap_or_default();
    aws::status(error) == Some(200) && !text.is_empty() && !rules::names_a_receiver(&text)
}

/// A part of a bucket's configuration; none where there is no such part, or no bucket yet.
fn there<T, E: ProvideErrorMetadata + std::error::Error + 'static>(
    read: Result<T, SdkError<E>>,
) -> Result<Option<T>, SetupError> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(error) if aws::status(&error) == Some(404) => Ok(None),
        Err(error) => Err(SetupError::from_sdk(&error)),
    }
}

fn done<T, E: ProvideErrorMetadata + std::error::Error + 'static>(
    made: Result<T, SdkError<E>>,
) -> Result<(), SetupError> {
    made.map(drop).map_err(|error| SetupError::from_sdk(&error))
}
