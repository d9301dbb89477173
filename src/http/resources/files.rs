//! One file: show, change, remove, restore, complete.

use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, ETAG};

use super::file_view::{self, Awaiting};
use super::upload_request::{filename_of, visibility_of};
use crate::actors::Completed;
use crate::domain::file::{File, PublicStatus};
use crate::domain::ids::FileId;
use crate::domain::policy::{self, Action};
use crate::domain::transitions::{FilePatch, Removal};
use crate::http::error::{ErrorCode, Problem};
use crate::http::request::AuthorizedRequest;
use crate::http::services::within;
use crate::http::wire::answers::{self, CachePolicy, HandlerResult};
use crate::http::wire::body::{self, Incoming};
use crate::http::wire::conditions::{self, IfMatch};
use crate::http::wire::json::{Field, Object};
use crate::http::wire::query::Query;
use crate::ports::LedgerPort;

/// The caller's file, unless they deleted it.
pub(in crate::http) async fn find(request: &AuthorizedRequest<'_>, file: FileId) -> Result<File, Problem> {
    let found = within(request.api.services.ledger.file(request.user(), file)).await?;
    found.filter(|file| file.public_status() != PublicStatus::Hidden).ok_or_else(Problem::no_such_file)
}

/// `GET /v1/files/{file_id}`.
pub(in crate::http) async fn show(request: &AuthorizedRequest<'_>, file: FileId) -> HandlerResult {
    let file = find(request, file).await?;
    if !conditions::if_match(&request.head.headers).takes(file.revision) {
        return Err(Problem::new(ErrorCode::PreconditionFailed));
    }
    if conditions::has_already(&request.head.headers, file.revision) {
        let said =
            [(ETAG, conditions::etag(file.revision)), (CACHE_CONTROL, CachePolicy::Revalidate.header())];
        return Ok(answers::empty(StatusCode::NOT_MODIFIED, said));
    }
    file_view::respond(StatusCode::OK, &file)
}

/// `PATCH /v1/files/{file_id}`, a merge patch (RFC 7396) of `filename` and `visibility`.
pub(in crate::http) async fn update(
    request: &AuthorizedRequest<'_>,
    file: FileId,
    body: &mut Incoming,
) -> HandlerResult {
    let mut patch = read_patch(&body::read(body).await?)?;
    patch.if_revision = wanted_revision(request, file).await?;
    let updated = request.api.services.handle.update(request.user(), file, patch).await?;
    file_view::respond(StatusCode::OK, &updated)
}

/// The revision that the change is bound to.
async fn wanted_revision(request: &AuthorizedRequest<'_>, file: FileId) -> Result<Option<u32>, Problem> {
    let wanted = conditions::if_match(&request.head.headers);
    match &wanted {
        IfMatch::Any => Ok(None),
        IfMatch::OneOf(revisions) if let [revision] = revisions[..] => Ok(Some(revision)),
        IfMatch::OneOf(_) => {
            let current = find(request, file).await?.revision;
            let is_wanted = wanted.takes(current);
            is_wanted.then_some(Some(current)).ok_or_else(|| Problem::new(ErrorCode::PreconditionFailed))
        }
    }
}

fn read_patch(body: &[u8]) -> Result<FilePatch, Problem> {
    let mut object = Object::parse(body)?;
    let filename = not_null(&mut object, "filename").and_then(|text| filename_of(&mut object, &text));
    let visibility = not_null(&mut object, "visibility").and_then(|text| visibility_of(&mut object, &text));
    object.end()?;
    Ok(FilePatch { filename, visibility, if_revision: None })
}

/// A text that may be left out. In a merge patch `null` removes, and neither field can be removed.
fn not_null(object: &mut Object<'_>, name: &str) -> Option<String> {
    match object.take(name)? {
        Field::Text(text) => Some(text.into_owned()),
        Field::Null => {
            object.fault(name, "required", "This cannot be removed.");
            None
        }
        Field::Flag | Field::Count(_) | Field::OtherNumber | Field::List(_) | Field::Nested => {
            object.fault(name, "wrong_type", "This must be a string.");
            None
        }
    }
}

/// `DELETE /v1/files/{file_id}`: to the trash, or for good with `?permanent=true`.
pub(in crate::http) async fn remove(request: &AuthorizedRequest<'_>, file: FileId) -> HandlerResult {
    let mut query = Query::parse(request.head.uri.query());
    let how = query.word("permanent", &[("true", Removal::Permanent), ("false", Removal::Trash)]);
    query.end()?;
    let how = how.unwrap_or(Removal::Trash);
    let if_revision = wanted_revision(request, file).await?;
    request.api.services.handle.remove_if(request.user(), file, how, if_revision).await?;
    Ok(answers::empty(StatusCode::NO_CONTENT, []))
}

/// `POST /v1/files/{file_id}/restore`.
pub(in crate::http) async fn restore(request: &AuthorizedRequest<'_>, file: FileId) -> HandlerResult {
    let if_revision = wanted_revision(request, file).await?;
    let restored = request.api.services.handle.restore_if(request.user(), file, if_revision).await?;
    file_view::respond(StatusCode::OK, &restored)
}

/// `POST /v1/files/{file_id}/complete`: 200 with the settled file, 202 and what is awaited while there is no object.
pub(in crate::http) async fn complete(request: &AuthorizedRequest<'_>, file: FileId) -> HandlerResult {
    let handle = &request.api.services.handle;
    let open = handle.upload_state(request.user(), file).await?;
    policy::decide(&request.caller, Action::MoveBytes, request.user(), open.state)?;
    match handle.complete(request.user(), file).await? {
        Completed::Settled(file) => file_view::respond(StatusCode::OK, &file),
        Completed::NotThere(file) => file_view::respond_awaiting(&file, Awaiting::upload_of(&file)),
        Completed::Joining(file) => file_view::respond_awaiting(&file, Awaiting::ASSEMBLY),
        Completed::Incomplete(missing) => {
            Err(Problem::chunks_incomplete(missing.iter().map(|chunk| chunk.number).collect()))
        }
        Completed::Gone(_) => Err(Problem::new(ErrorCode::UploadExpired)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::file::Visibility;

    fn check(body: &str, expected: Result<(Option<&str>, Option<Visibility>), &str>) {
        let outcome = read_patch(body.as_bytes());
        let outcome = outcome.as_ref().map(|patch| (patch.filename.as_deref(), patch.visibility));
        let faults = |problem: &Problem| {
            let faults = problem.faults().iter().map(|fault| format!("{}:{}", fault.pointer, fault.code));
            faults.collect::<Vec<_>>().join(" ")
        };
        match (outcome, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{body}"),
            (Err(problem), Err(expected)) => assert_eq!(faults(problem), expected, "{body}"),
            (found, expected) => panic!("{body}: {found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_patch_names_what_changes() {
        check("{}", Ok((None, None)));
        check(r#"{"filename": "b.txt"}"#, Ok((Some("b.txt"), None)));
        check(r#"{"visibility": "private"}"#, Ok((None, Some(Visibility::Private))));
        check(r#"{"visibility": "public_link"}"#, Err("/visibility:not_available"));
        check(r#"{"visibility": "team"}"#, Err("/visibility:not_available"));
        check(r#"{"filename": null, "visibility": 1}"#, Err("/filename:required /visibility:wrong_type"));
        check(r#"{"status": "processed"}"#, Err("/status:unknown_field"));
        check(r#"{"filename": "", "visibility": "all"}"#, Err("/filename:empty /visibility:unknown_value"));
    }
}
