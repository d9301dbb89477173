//! The table of error codes: the one place that defines how a client sees an error.
//!
//! The API, its documentation and the command line's exit codes all read this table.

use hyper::StatusCode;

/// Whether repeating the same request can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    /// The same again.
    Never,
    /// Something else, after this many seconds.
    After(u32),
}

/// What the command line exits with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Usage,
    Auth,
    NotFound,
    Size,
    Conflict,
    Retryable,
}

macro_rules! error_codes {
    ($($name:ident = $word:literal, $status:ident, $retry:expr, $exit:ident, $title:literal, $hint:literal;)*) => {
        /// Every way in which a request can fail, as a client sees it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode {
            $(#[doc = concat!($title, ".")] $name,)*
        }

        impl ErrorCode {
            /// All of them, in the order of the contract.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its word on the wire. Frozen.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The status it is answered with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// One line for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What to do about it, in one sentence.
            #[must_use]
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$name => $hint,)* }
            }

            const fn retry(self) -> Retry {
                match self { $(Self::$name => $retry,)* }
            }

            const fn exit(self) -> Exit {
                match self { $(Self::$name => Exit::$exit,)* }
            }
        }
    };
}

use Retry::{After, Never};

// name = word on the wire, status, retry, exit, title, hint
error_codes! {
    TokenMissing = "token_missing", UNAUTHORIZED, Never, Auth, "A token is needed",
        "Send the header Authorization: Bearer <token>.";
    TokenExpired = "token_expired", UNAUTHORIZED, Never, Auth, "The token has expired",
        "Get a new token from the identity provider and repeat the request with it.";
    TokenInvalid = "token_invalid", UNAUTHORIZED, Never, Auth, "The token is not valid",
        "Check the token's signature, iss, aud, exp, nbf, and its sub: a text of 1 to 255 bytes.";
    LinkPasswordRequired = "link_password_required", UNAUTHORIZED, Never, Auth, "The link needs its password",
        "Send the password of the link.";
    AdminRequired = "admin_required", FORBIDDEN, Never, Auth, "This needs an admin",
        "Use a token with the role admin, or support where nothing is changed.";
    CsrfRejected = "csrf_rejected", FORBIDDEN, Never, Auth, "The request came from another site",
        "Send the token in the Authorization header, or call from an origin in http.allowed_origins.";
    UserSuspended = "user_suspended", FORBIDDEN, Never, Auth, "The account is suspended",
        "An operator suspended this account; ask them to activate it.";
    FeatureDisabled = "feature_disabled", FORBIDDEN, Never, Auth, "This feature is switched off",
        "Ask the operator to enable it.";
    InvalidJson = "invalid_json", BAD_REQUEST, Never, Usage, "The body is not JSON",
        "Send one JSON object in UTF-8; the detail says where reading it stopped.";
    ValidationFailed = "validation_failed", BAD_REQUEST, Never, Usage, "The request is not valid",
        "Correct every field in errors: each has a pointer, a code and a detail.";
    CursorInvalid = "cursor_invalid", BAD_REQUEST, Never, Usage, "The cursor is not valid",
        "Start the list again without a cursor: a cursor counts for one user and one set of filters.";
    IdempotencyKeyInvalid = "idempotency_key_invalid", BAD_REQUEST, Never, Usage, "The idempotency key is not valid",
        "Send one Idempotency-Key of 1 to 255 visible ASCII characters.";
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, Never, Conflict, "The idempotency key was used for another request",
        "Use a new key for another request; repeat a request with the same body.";
    IdempotencyInProgress = "idempotency_in_progress", CONFLICT, After(1), Retryable, "The first request with this key is still running",
        "Repeat the request with the same key after Retry-After seconds.";
    RouteNotFound = "route_not_found", NOT_FOUND, Never, NotFound, "No such route",
        "Check the path; GET / and the README list what there is.";
    FileNotFound = "file_not_found", NOT_FOUND, Never, NotFound, "No such file",
        "Check the id: the file may be deleted, or belong to another user.";
    ChunkNotFound = "chunk_not_found", NOT_FOUND, Never, NotFound, "No such chunk",
        "Chunks count from 1 to the last one that the presign named.";
    UserNotFound = "user_not_found", NOT_FOUND, Never, NotFound, "No such user",
        "Check the id: an account exists once its user stored a file or an admin set a limit.";
    LinkNotFound = "link_not_found", NOT_FOUND, Never, NotFound, "No such link",
        "Check the id of the link.";
    OperationNotFound = "operation_not_found", NOT_FOUND, Never, NotFound, "No such operation",
        "Check the id of the operation.";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, Never, Usage, "This route does not take this method",
        "Use one of the methods in the Allow header.";
    NotAcceptable = "not_acceptable", NOT_ACCEPTABLE, Never, Usage, "No acceptable form of the answer",
        "Accept the type that the detail names, or leave the Accept header out.";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, Never, Usage, "The body has another type than this route takes",
        "Send the Content-Type that the detail names, without Content-Encoding.";
    LinkExpired = "link_expired", GONE, Never, NotFound, "The link has expired",
        "Ask the owner of the file for a new link.";
    LinkExhausted = "link_exhausted", GONE, Never, NotFound, "The link has no downloads left",
        "Ask the owner of the file for a new link.";
    LinkRevoked = "link_revoked", GONE, Never, NotFound, "The link was revoked",
        "Ask the owner of the file for a new link.";
    UploadExpired = "upload_expired", GONE, Never, Conflict, "The upload can no longer be started",
        "Presign again, with a new Idempotency-Key.";
    QuotaExceeded = "quota_exceeded", CONFLICT, Never, Size, "Storage quota exceeded",
        "Delete files for good, or ask the operator for a higher limit; a deleted upload counts until its URL can no longer be used.";
    TooManyFiles = "too_many_files", CONFLICT, Never, Size, "Too many files",
        "Delete files for good: those in the trash count too.";
    TooManyPendingUploads = "too_many_pending_uploads", CONFLICT, Never, Size, "Too many uploads are open",
        "Complete pending uploads; a deleted one counts until its URL can no longer be used.";
    FileNotReady = "file_not_ready", CONFLICT, After(1), Retryable, "The file is not processed yet",
        "Send the bytes, then call complete or wait until the file is processed.";
    FileFailed = "file_failed", CONFLICT, Never, Conflict, "The file failed",
        "The reason says why; upload the file again.";
    UploadComplete = "upload_complete", CONFLICT, Never, Conflict, "The upload is complete",
        "Upload the new bytes as another file: those of a file never change.";
    NotInTrash = "not_in_trash", CONFLICT, Never, Conflict, "The file is not in the trash",
        "Only a file in the trash can be restored.";
    ChunksIncomplete = "chunks_incomplete", CONFLICT, Never, Conflict, "Chunks are missing",
        "Send the chunks in missing_chunks, then complete again.";
    NotChunked = "not_chunked", CONFLICT, Never, Conflict, "The file does not come in chunks",
        "Send the whole file to the upload_url of its presign.";
    PreconditionFailed = "precondition_failed", PRECONDITION_FAILED, Never, Conflict, "The file has changed",
        "Read the file again and repeat the change with its new ETag.";
    FileTooLarge = "file_too_large", PAYLOAD_TOO_LARGE, Never, Size, "The file is too large",
        "Upload at most max_bytes in one file.";
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, Never, Size, "The body is too large",
        "Send at most max_bytes; the bytes of a file go to its upload_url instead.";
    HeadTooLarge = "head_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, Never, Size, "The head of the request is too large",
        "Send at most 100 header fields, and at most 16 KiB of them with the request line.";
    ContentTypeNotAllowed = "content_type_not_allowed", UNSUPPORTED_MEDIA_TYPE, Never, Usage, "Files of this type are not taken",
        "Upload one of the types in the detail.";
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, After(1), Retryable, "Too many requests",
        "Repeat the request after Retry-After seconds.";
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, After(1), Retryable, "The body did not come in time",
        "Send the whole body without a pause, and repeat the request.";
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, After(1), Retryable, "Too many requests are waiting",
        "Repeat the request after Retry-After seconds, with jitter.";
    Draining = "draining", SERVICE_UNAVAILABLE, After(2), Retryable, "This server is stopping",
        "Repeat the request on a new connection after Retry-After seconds.";
    LedgerUnavailable = "ledger_unavailable", SERVICE_UNAVAILABLE, After(2), Retryable, "Accounts are unavailable",
        "Repeat the request after Retry-After seconds, with jitter.";
    ObjectsUnavailable = "objects_unavailable", SERVICE_UNAVAILABLE, After(2), Retryable, "Storage is unavailable",
        "Repeat the request after Retry-After seconds, with jitter.";
    LogUnavailable = "log_unavailable", SERVICE_UNAVAILABLE, After(2), Retryable, "Events are unavailable",
        "Repeat the request after Retry-After seconds, with jitter.";
    SignerUnavailable = "signer_unavailable", SERVICE_UNAVAILABLE, After(2), Retryable, "Signing is unavailable",
        "Repeat the request after Retry-After seconds, with jitter.";
    UpstreamTimeout = "upstream_timeout", GATEWAY_TIMEOUT, After(2), Retryable, "A dependency did not answer in time",
        "Repeat the request after Retry-After seconds, with jitter.";
    Internal = "internal", INTERNAL_SERVER_ERROR, After(1), Retryable, "Something went wrong on our side",
        "Repeat the request once; if it fails again, give the request_id to the operator.";
}

impl ErrorCode {
    /// Whether repeating the same request later can succeed. An expired token needs another token first.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self.retry(), After(_))
    }

    /// The seconds to wait before a repeat; none where a repeat does not help.
    #[must_use]
    pub const fn retry_after_secs(self) -> Option<u32> {
        match self.retry() {
            Never => None,
            After(secs) => Some(secs),
        }
    }

    /// What the command line exits with: 2 usage, 3 auth, 4 not found, 5 quota or size, 6 conflict, 7 retryable.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self.exit() {
            Exit::Usage => 2,
            Exit::Auth => 3,
            Exit::NotFound => 4,
            Exit::Size => 5,
            Exit::Conflict => 6,
            Exit::Retryable => 7,
        }
    }

    /// The code with this word, if there is one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == word)
    }

    /// Where its page is, below the API's base: what `type` of a problem ends with.
    #[must_use]
    pub fn page(self) -> String {
        format!("/errors/{}", self.as_str().replace('_', "-"))
    }

    /// Returns the code with this page, in either spelling.
    #[must_use]
    pub fn of_page(name: &str) -> Option<Self> {
        Self::parse(&name.replace('-', "_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The catalogue of the contract, to the letter.
    const CATALOGUE: &[(u16, &str)] = &[
        (401, "token_missing token_expired token_invalid link_password_required"),
        (403, "admin_required csrf_rejected user_suspended feature_disabled"),
        (400, "invalid_json validation_failed cursor_invalid idempotency_key_invalid"),
        (422, "idempotency_key_reused"),
        (
            404,
            "route_not_found file_not_found chunk_not_found user_not_found link_not_found operation_not_found",
        ),
        (405, "method_not_allowed"),
        (406, "not_acceptable"),
        (415, "unsupported_media_type content_type_not_allowed"),
        (410, "link_expired link_exhausted link_revoked upload_expired"),
        (409, "idempotency_in_progress quota_exceeded too_many_files too_many_pending_uploads"),
        (409, "file_not_ready file_failed not_in_trash chunks_incomplete not_chunked upload_complete"),
        (412, "precondition_failed"),
        (413, "file_too_large body_too_large"),
        (431, "head_too_large"),
        (429, "rate_limited"),
        (408, "request_timeout"),
        (
            503,
            "overloaded draining ledger_unavailable objects_unavailable log_unavailable signer_unavailable",
        ),
        (504, "upstream_timeout"),
        (500, "internal"),
    ];

    #[test]
    fn the_table_is_the_catalogue() {
        let mut seen = 0;
        for (status, words) in CATALOGUE {
            for word in words.split(' ') {
                let code = ErrorCode::parse(word).unwrap_or_else(|| panic!("{word} is not in the table"));
                assert_eq!(code.status().as_u16(), *status, "{word}");
                seen += 1;
            }
        }
        assert_eq!(seen, ErrorCode::ALL.len());
    }

    #[test]
    fn every_code_has_a_title_a_hint_and_a_page() {
        for code in ErrorCode::ALL {
            assert!(!code.title().is_empty() && !code.title().ends_with('.'), "{code:?}");
            assert!(code.hint().len() > 20 && code.hint().ends_with('.'), "{code:?}");
            let name = code.page();
            assert_eq!(ErrorCode::of_page(name.strip_prefix("/errors/").unwrap()), Some(*code));
            assert_eq!(ErrorCode::of_page(code.as_str()), Some(*code));
        }
        assert_eq!(ErrorCode::of_page("nothing"), None);
    }

    #[test]
    fn a_5xx_may_be_repeated_and_says_when() {
        for code in ErrorCode::ALL {
            if code.status().is_server_error() {
                assert!(code.is_retryable(), "{code:?}");
            }
            assert_eq!(code.is_retryable(), code.retry_after_secs().is_some(), "{code:?}");
            assert_eq!(code.is_retryable(), code.exit_code() == 7, "{code:?}");
            assert_ne!(code.retry_after_secs(), Some(0), "{code:?}");
        }
    }
}
