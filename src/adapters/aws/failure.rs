//! Errors of the SDKs in one line, without links, bodies or signatures.

use std::error::Error;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

/// Causes below an error that are reported.
const CAUSES_MAX: usize = 6;
/// Characters of what a service says.
const MESSAGE_CHARS_MAX: usize = 200;

/// The service's own word for what is wrong, `NoSuchKey`; none if it did not answer or has no word.
pub(in crate::adapters) fn code<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// The status of the answer, if there was one.
pub(in crate::adapters) fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// One line for an operator.
pub(in crate::adapters) fn reason<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E>) -> String {
    match error {
        SdkError::ServiceError(_) => {
            let message = error.as_service_error().and_then(ProvideErrorMetadata::message).map(str::to_owned);
            let message = message.or_else(|| code(error).is_none().then(|| causes(error)));
            answered(status(error).unwrap_or_default(), code(error), message.as_deref())
        }
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        SdkError::DispatchFailure(_) => format!("no connection: {}", causes(error)),
        SdkError::ResponseError(_) => {
            format!(
                "an answer that is not understood ({}): {}",
                status(error).unwrap_or_default(),
                causes(error)
            )
        }
        SdkError::ConstructionFailure(_) => format!("the request cannot be made: {}", causes(error)),
        _ => causes(error),
    }
}

/// The answer of a service. Faults of credentials are put in our words: an operator can fix them.
fn answered(status: u16, code: Option<&str>, message: Option<&str>) -> String {
    let hint = match code.unwrap_or_default() {
        "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => "it does not know our keys: ",
        "ExpiredToken" | "ExpiredTokenException" => "our credentials ended: ",
        "AccessDenied" | "AccessDeniedException" | "Forbidden" => "we may not: ",
        "RequestTimeTooSkewed" => "our clock is wrong: ",
        "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "RequestThrottled"
        | "TooManyRequestsException" => "it slows us down: ",
        _ => "",
    };
    let message: String = message.unwrap_or_default().chars().take(MESSAGE_CHARS_MAX).collect();
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let code = code.unwrap_or("no code");
    if message.is_empty() {
        format!("{hint}{status} {code}")
    } else {
        format!("{hint}{status} {code}: {message}")
    }
}

/// What stands below the first line of an error, outermost first, each once; the first line if nothing does.
pub(in crate::adapters) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut told: Vec<String> = Vec::new();
    let mut below = error.source();
    while let Some(cause) = below {
        let text = cause.to_string();
        if told.len() < CAUSES_MAX && !text.is_empty() && told.last() != Some(&text) {
            told.push(text);
        }
        below = cause.source();
    }
    if told.is_empty() { error.to_string() } else { told.join(": ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_says_is_one_line() {
        assert_eq!(
            answered(403, Some("AccessDenied"), Some("User\n is not")),
            "we may not: 403 AccessDenied: User is not"
        );
        assert_eq!(answered(403, Some("ExpiredToken"), None), "our credentials ended: 403 ExpiredToken");
        assert_eq!(answered(500, None, None), "500 no code");
        assert!(answered(400, Some("X"), Some(&"y".repeat(1000))).len() < 250);
    }
}
