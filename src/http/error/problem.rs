//! A failed request: its code, and the details for the client and the log.

use std::borrow::Cow;

use serde::Serialize;

use super::ErrorCode;
use crate::domain::ids::FileId;

/// A request that failed. The cause is for the log and never leaves the process.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) struct Problem {
    code: ErrorCode,
    pub(in crate::http) detail: Cow<'static, str>,
    pub(in crate::http) pointer: Option<Box<str>>,
    pub(in crate::http) more: More,
    cause: Option<Box<str>>,
    closes: bool,
}

/// The members that one code has beyond the common ones.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum More {
    #[serde(skip)]
    Nothing,
    #[serde(skip)]
    Allow(&'static str),
    Errors(Vec<FieldFault>),
    Quota {
        limit_bytes: u64,
        used_bytes: u64,
        reserved_bytes: u64,
        requested_bytes: u64,
    },
    MaxBytes(u64),
    MaxFiles(u64),
    MaxPending(u64),
    Reason(&'static str),
    MissingChunks(Vec<u16>),
    File {
        file_id: FileId,
        status: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'static str>,
    },
}

/// One field that is not as it should be.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(in crate::http) struct FieldFault {
    /// A JSON pointer into the body, `?name` for a query parameter, or a header's name.
    pub(in crate::http) pointer: Cow<'static, str>,
    /// A word for programs.
    pub(in crate::http) code: &'static str,
    /// A sentence for people.
    pub(in crate::http) detail: Cow<'static, str>,
}

impl FieldFault {
    /// A fault of the field `name` of the object at `place` of the body.
    pub(in crate::http) fn field(
        place: &str,
        name: &str,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let pointer = format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
        Self { pointer: pointer.into(), code, detail: detail.into() }
    }

    /// A fault of the query parameter `name`.
    pub(in crate::http) fn query(
        name: &str,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { pointer: format!("?{name}").into(), code, detail: detail.into() }
    }
}

impl Problem {
    /// Makes a problem without details beyond its code.
    pub(in crate::http) const fn new(code: ErrorCode) -> Self {
        Self {
            code,
            detail: Cow::Borrowed(""),
            pointer: None,
            more: More::Nothing,
            cause: None,
            closes: false,
        }
    }

    /// Adds a sentence for people.
    #[must_use]
    pub(in crate::http) fn detail(self, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    /// Adds a JSON pointer to the field of the body that caused it.
    #[must_use]
    pub(in crate::http) fn at(self, pointer: String) -> Self {
        Self { pointer: Some(pointer.into()), ..self }
    }

    /// Adds the cause, for the log only.
    #[must_use]
    pub(in crate::http) fn because(self, cause: &impl ToString) -> Self {
        Self { cause: Some(cause.to_string().into()), ..self }
    }

    /// Marks that the connection cannot be used further.
    #[must_use]
    pub(in crate::http) fn closing(self) -> Self {
        Self { closes: true, ..self }
    }

    /// Whether the connection cannot be used further.
    pub(in crate::http) const fn closes(&self) -> bool {
        self.closes
    }

    /// Fields that are not as they should be; at least one.
    pub(in crate::http) fn fields(faults: Vec<FieldFault>) -> Self {
        Self { more: More::Errors(faults), ..Self::new(ErrorCode::ValidationFailed) }
    }

    /// A head that cannot be trusted: nothing after it can be either.
    pub(in crate::http) fn malformed(what: &'static str, detail: &'static str) -> Self {
        let fault = FieldFault { pointer: what.into(), code: "malformed", detail: detail.into() };
        Self::fields(vec![fault]).closing()
    }

    /// More of a head than is taken: what comes after it cannot be trusted either.
    pub(in crate::http) fn head_too_large(detail: &'static str) -> Self {
        Self::new(ErrorCode::HeadTooLarge).detail(detail).closing()
    }

    /// The path is known, the method is not; `allow` lists those that are.
    pub(in crate::http) const fn method(allow: &'static str) -> Self {
        Self {
            code: ErrorCode::MethodNotAllowed,
            detail: Cow::Borrowed(""),
            pointer: None,
            more: More::Allow(allow),
            cause: None,
            closes: false,
        }
    }

    /// The file does not exist, or the caller may not learn that it does.
    pub(in crate::http) const fn no_such_file() -> Self {
        Self::new(ErrorCode::FileNotFound)
    }

    /// The bytes do not fit.
    pub(in crate::http) fn quota(limit: u64, used: u64, reserved: u64, requested: u64) -> Self {
        let free = limit.saturating_sub(used.saturating_add(reserved));
        let more = More::Quota {
            limit_bytes: limit,
            used_bytes: used,
            reserved_bytes: reserved,
            requested_bytes: requested,
        };
        let detail = format!("This upload needs {requested} bytes; {free} are free.");
        Self { more, ..Self::new(ErrorCode::QuotaExceeded).detail(detail) }
    }

    /// More bytes than the limit of `code`.
    pub(in crate::http) fn too_large(code: ErrorCode, max_bytes: u64) -> Self {
        let detail = format!("At most {max_bytes} bytes are taken.");
        Self { more: More::MaxBytes(max_bytes), ..Self::new(code).detail(detail) }
    }

    /// The user has all the files they may have.
    pub(in crate::http) fn too_many_files(max: u64) -> Self {
        Self { more: More::MaxFiles(max), ..Self::new(ErrorCode::TooManyFiles) }
    }

    /// The user has all the reservations they may have.
    pub(in crate::http) fn too_many_pending(max: u64) -> Self {
        Self { more: More::MaxPending(max), ..Self::new(ErrorCode::TooManyPendingUploads) }
    }

    /// The file failed; `reason` is its word.
    pub(in crate::http) fn failed(reason: &'static str) -> Self {
        Self { more: More::Reason(reason), ..Self::new(ErrorCode::FileFailed) }
    }

    /// What a repeated key once reserved: nothing is left to upload.
    pub(in crate::http) fn past(file_id: FileId, status: &'static str, reason: Option<&'static str>) -> Self {
        let detail = format!("This key has reserved file {file_id}, which is {status} now.");
        let more = More::File { file_id, status, reason };
        Self { more, ..Self::new(ErrorCode::UploadExpired).detail(detail) }
    }

    /// These chunks have not arrived.
    pub(in crate::http) fn chunks_incomplete(missing: Vec<u16>) -> Self {
        Self { more: More::MissingChunks(missing), ..Self::new(ErrorCode::ChunksIncomplete) }
    }

    /// Its code.
    pub(in crate::http) const fn code(&self) -> ErrorCode {
        self.code
    }

    /// The fields that are not as they should be.
    #[cfg(test)]
    pub(in crate::http) fn faults(&self) -> &[FieldFault] {
        if let More::Errors(faults) = &self.more { faults } else { &[] }
    }

    /// What caused it.
    pub(in crate::http) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }
}
