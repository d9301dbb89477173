//! Problems as clients read them.

use super::*;
use crate::actors::DeskError;
use crate::domain::decide::ReserveRefusal;
use crate::domain::policy::Denied;
use crate::domain::transitions::FileRefusal;
use crate::http::error::FieldFault;
use crate::ports::{CommitError, LedgerError, LogError, ObjectsError, PublishError, SignerError};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use serde_json::{Value, json};
use uuid::Uuid;

const SECRET: &str = "10.0.0.7:9042 refused";

fn answer(problem: Problem, is_minimal: bool) -> (Response<()>, Value) {
    let mut headers = HeaderMap::new();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    headers.insert("traceparent", HeaderValue::from_static(trace));
    let context = RequestContext::of(&headers, || Uuid::from_u128(7));
    let style = Style { is_minimal, public_url: "https://files.example" };
    let (head, body) = respond(&problem, &context, style).into_parts();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let bytes = runtime.block_on(body.collect()).unwrap().to_bytes();
    (Response::from_parts(head, ()), serde_json::from_slice(&bytes).unwrap())
}

#[test]
fn a_problem_says_everything_the_contract_names() {
    let refusal = ReserveRefusal::QuotaExceeded {
        limit_bytes: 1_073_741_824,
        used_bytes: 1_071_644_672,
        reserved_bytes: 1_048_576,
        requested_bytes: 5_242_880,
    };
    let (head, body) = answer(refusal.into(), false);
    assert_eq!(head.status(), 409);
    assert_eq!(head.headers()["content-type"], "application/problem+json");
    assert_eq!(
        body,
        json!({
            "type": "https://files.example/errors/quota-exceeded",
            "title": "Storage quota exceeded",
            "hint": "Delete files for good, or ask the operator for a higher limit; a deleted upload counts until its URL \
                     can no longer be used.",
            "status": 409,
            "detail": "This upload needs 5242880 bytes; 1048576 are free.",
            "instance": "urn:uuid:00000000-0000-0000-0000-000000000007",
            "code": "quota_exceeded",
            "error": "Conflict",
            "request_id": "00000000-0000-0000-0000-000000000007",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            "retryable": false,
            "quota": {
                "limit_bytes": 1_073_741_824, "used_bytes": 1_071_644_672,
                "reserved_bytes": 1_048_576, "requested_bytes": 5_242_880
            }
        })
    );
}

#[test]
fn a_minimal_problem_is_one_member() {
    let (head, body) = answer(Problem::new(ErrorCode::TokenInvalid), true);
    assert_eq!(body, json!({"error": "Unauthorized"}));
    assert_eq!(head.headers()["preference-applied"], "return=minimal");
    assert_eq!(head.headers()["www-authenticate"], "Bearer error=\"invalid_token\"");
}

#[test]
fn every_code_is_answered_as_its_row_says() {
    for code in ErrorCode::ALL {
        let (head, body) = answer(Problem::new(*code), false);
        assert_eq!(head.status(), code.status(), "{code:?}");
        assert_eq!(body["code"], code.as_str());
        assert_eq!(body["status"], code.status().as_u16());
        assert_eq!(body["error"], code.status().canonical_reason().unwrap());
        assert_eq!(body["retryable"], code.is_retryable());
        let retry_after = head.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(retry_after, code.retry_after_secs().map(|secs| secs.to_string()), "{code:?}");
        assert_eq!(head.headers().contains_key("www-authenticate"), code.status() == 401, "{code:?}");
    }
}

#[test]
fn what_a_code_carries_is_a_member() {
    let check = |problem: Problem, member: &str, expected: Value| {
        assert_eq!(answer(problem, false).1[member], expected, "{member}");
    };
    check(Problem::too_large(ErrorCode::FileTooLarge, 5), "max_bytes", json!(5));
    check(Problem::too_many_files(6), "max_files", json!(6));
    check(Problem::too_many_pending(7), "max_pending", json!(7));
    check(Problem::failed("malware"), "reason", json!("malware"));
    let fault = FieldFault::field("", "a/b", "required", "This is needed.");
    let told = json!([{"pointer": "/a~1b", "code": "required", "detail": "This is needed."}]);
    check(Problem::fields(vec![fault]), "errors", told);
    let (head, _) = answer(Problem::method("GET"), false);
    assert_eq!(head.headers()["allow"], "GET");
    assert!(Problem::malformed("host", "x").closes());
}

fn check<E: Clone>(error: &E, expected: ErrorCode)
where
    Problem: From<E>,
{
    let problem = Problem::from(error.clone());
    assert_eq!(problem.code(), expected);
    let (_, body) = answer(problem, false);
    assert!(!body.to_string().contains("10.0.0.7"), "a cause left the process: {body}");
}

#[test]
fn refusals_of_the_domain_have_codes() {
    check(&Denied::AdminRequired, ErrorCode::AdminRequired);
    check(&Denied::Suspended, ErrorCode::UserSuspended);
    check(&Denied::NotTheirs, ErrorCode::FileNotFound);
    check(&ReserveRefusal::TooManyFiles { files_max: 1 }, ErrorCode::TooManyFiles);
    check(&ReserveRefusal::TooManyPending { pending_max: 1 }, ErrorCode::TooManyPendingUploads);
    check(&ReserveRefusal::Suspended, ErrorCode::UserSuspended);
    check(&ReserveRefusal::IdempotencyReused, ErrorCode::IdempotencyKeyReused);
    check(&FileRefusal::NotFound, ErrorCode::FileNotFound);
    check(&FileRefusal::Suspended, ErrorCode::UserSuspended);
    check(&FileRefusal::NotChunked, ErrorCode::NotChunked);
    check(&FileRefusal::NotReady, ErrorCode::FileNotReady);
    check(&FileRefusal::Failed { reason: "size" }, ErrorCode::FileFailed);
    check(&FileRefusal::NotInTrash, ErrorCode::NotInTrash);
    check(&FileRefusal::Changed { revision: 2 }, ErrorCode::PreconditionFailed);
}

#[test]
fn failures_of_the_desk_have_codes() {
    check(&DeskError::<FileRefusal>::Overloaded, ErrorCode::Overloaded);
    check(&DeskError::<FileRefusal>::Unavailable, ErrorCode::LedgerUnavailable);
    check(&DeskError::<FileRefusal>::ObjectsUnavailable, ErrorCode::ObjectsUnavailable);
    check(&DeskError::<FileRefusal>::Draining, ErrorCode::Draining);
    check(&DeskError::Refused(FileRefusal::NotFound), ErrorCode::FileNotFound);
}

#[test]
fn failures_of_the_ports_have_codes_and_keep_their_cause_inside() {
    let reason = || SECRET.to_owned();
    check(&LedgerError::Unavailable { reason: reason() }, ErrorCode::LedgerUnavailable);
    check(&LedgerError::Unreadable { reason: reason() }, ErrorCode::LedgerUnavailable);
    check(&LedgerError::Corrupt { reason: reason() }, ErrorCode::Internal);
    check(&CommitError::Conflict, ErrorCode::Overloaded);
    check(&CommitError::Unknown { reason: reason() }, ErrorCode::LedgerUnavailable);
    check(&CommitError::Refused { reason: reason() }, ErrorCode::Internal);
    check(&LogError { reason: reason() }, ErrorCode::LogUnavailable);
    check(&PublishError::Unknown { reason: reason() }, ErrorCode::LogUnavailable);
    check(&ObjectsError::Unavailable { reason: reason() }, ErrorCode::ObjectsUnavailable);
    check(&ObjectsError::Refused { reason: reason() }, ErrorCode::Internal);
    check(&SignerError::Unavailable { reason: reason() }, ErrorCode::SignerUnavailable);
    check(&SignerError::Invalid { reason: reason() }, ErrorCode::Internal);
    let problem = Problem::from(LedgerError::Unavailable { reason: reason() });
    assert!(problem.cause().unwrap().contains("10.0.0.7"), "the log is told");
}
