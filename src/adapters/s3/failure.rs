//! Errors of S3 as errors of the port.

use std::error::Error;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::adapters::aws;
use crate::ports::ObjectsError;

/// S3's codes for missing uploads in parts, and for parts that differ from the request.
const REFUSALS: [&str; 5] =
    ["NoSuchUpload", "InvalidPart", "InvalidPartOrder", "EntityTooSmall", "InvalidPartNumber"];

/// What an error of the SDK means.
pub(super) fn failed<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E>) -> ObjectsError {
    let reason = match aws::status(error) {
        Some(301 | 307) => format!("the bucket is in another region: {}", aws::reason(error)),
        Some(_) | None => aws::reason(error),
    };
    if aws::code(error).is_some_and(|code| REFUSALS.contains(&code)) {
        ObjectsError::Refused { reason }
    } else {
        ObjectsError::Unavailable { reason }
    }
}

/// The same for a HEAD, whose errors have no body and so no word.
pub(super) fn failed_head<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E>) -> ObjectsError {
    let reason = match aws::status(error) {
        Some(403) => {
            "403: our keys are refused, or may not s3:GetObject and s3:ListBucket (without the latter a missing \
             object looks the same)"
        }
        Some(400) => "400: our credentials ended, or the bucket is in another region",
        Some(_) | None => return failed(error),
    };
    ObjectsError::Unavailable { reason: reason.to_owned() }
}
