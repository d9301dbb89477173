//! `aws setup`: bucket, queues and what ties them together, made as the settings say.

use super::translate;
use crate::adapters::aws::Step;
use crate::adapters::s3::S3Setup;
use crate::adapters::sqs::{Senders, SqsSetup};
use crate::app::StartError;
use crate::config::{BucketKind, Config, QueueKind};
use crate::ports::Clock;

/// Makes what the settings chose to have on AWS, or only looks; repeating it changes nothing.
///
/// The bucket comes first, then the queue, whose policy must let the bucket send before the bucket may notify it.
///
/// # Errors
/// Settings that cannot be used. What AWS refuses is in the steps.
pub async fn aws_setup(config: &Config, is_dry_run: bool) -> Result<Vec<Step>, StartError> {
    let mut steps = Vec::new();
    let bucket = match config.objects.kind {
        BucketKind::S3 => {
            let options = translate::s3(config)?;
            let setup = S3Setup::new(&options, Clock::System, is_dry_run).await;
            steps.extend(setup.bucket(&translate::bucket_rules(config, &options)).await);
            Some(setup)
        }
        BucketKind::Embedded => None,
    };
    if config.queue.kind == QueueKind::Sqs {
        let setup = SqsSetup::new(&translate::sqs(config)?).await;
        let senders = bucket.as_ref().map(|_| Senders { bucket: config.objects.bucket.clone() });
        let (made, queue_arn) = setup.run(senders.as_ref(), is_dry_run).await;
        steps.extend(made);
        if let Some(bucket) = bucket {
            steps.extend(bucket.notification(queue_arn.as_deref()).await);
        }
    }
    Ok(steps)
}
