//! From method and path to a value: what is asked, before anything is done.

use hyper::Method;

use super::error::{ErrorCode, Problem};
use super::resources::admin::{Admin, UserRef};
use super::resources::chunks::ChunkRef;
use super::services::Listener;
use crate::domain::event::EventSchema;
use crate::domain::ids::{FileId, UserId};
use crate::domain::policy::Action;

/// A file's id as it stands in a path; none if it is not a UUID, which is answered like a file that is not there.
pub(super) type FileRef = Option<FileId>;

/// The schema of an event type as a path names it; none if there is no such schema.
pub(super) type SchemaRef = Option<&'static EventSchema>;

/// What a path names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ids {
    file: FileRef,
    chunk: ChunkRef,
    user: UserRef,
    schema: SchemaRef,
    code: Option<ErrorCode>,
}

impl Ids {
    /// The file, if the path names one.
    pub(super) const fn file(&self) -> FileRef {
        self.file
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Of nobody in particular.
    Open(Open),
    /// Of the caller's own.
    Own(Own),
    /// Of everybody's, by those who may.
    Admin(Admin),
}

/// What anybody may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// Which service is this.
    Root,
    /// Is the process alive.
    Livez,
    /// Should requests come here.
    Readyz,
    /// The metrics; admin port only.
    Metrics,
    /// The schemas of event data.
    Schemas,
    /// One of them.
    Schema(SchemaRef),
    /// What a path takes; the methods are in the value.
    Options(&'static str),
    /// What every error code means.
    Errors,
    /// What one error code means; none: there is no such code.
    Error(Option<ErrorCode>),
}

/// What a caller asks of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    /// Reserve and sign an upload.
    Presign,
    /// The same, answered with the file's place.
    Create,
    /// Reserve and sign several uploads, all or none.
    PresignBatch,
    /// The files.
    List,
    /// One file.
    Show(FileRef),
    /// Change name or visibility.
    Update(FileRef),
    /// Trash, delete or cancel.
    Remove(FileRef),
    /// Out of the trash.
    Restore(FileRef),
    /// The bytes are there.
    Complete(FileRef),
    /// Sign a download.
    SignDownload(FileRef),
    /// Sign a download and go there.
    GoDownload(FileRef),
    /// Sign a chunk of a file.
    SignChunk(FileRef, ChunkRef),
    /// The chunks of a file.
    ListChunks(FileRef),
    /// What happened to a file, and when.
    Timeline(FileRef),
    /// The account's sums.
    Usage,
    /// The account's entries.
    Ledger,
    /// The events as they happen.
    Events,
}

impl Own {
    /// What the policy is asked.
    pub(super) const fn action(self) -> Action {
        match self {
            Self::Presign
            | Self::Create
            | Self::PresignBatch
            | Self::SignChunk(..)
            | Self::SignDownload(_)
            | Self::GoDownload(_)
            | Self::Complete(_) => Action::MoveBytes,
            Self::List
            | Self::Show(_)
            | Self::ListChunks(_)
            | Self::Timeline(_)
            | Self::Usage
            | Self::Ledger
            | Self::Events => Action::ReadOwn,
            Self::Remove(_) => Action::DeleteOwn,
            Self::Update(_) | Self::Restore(_) => Action::ChangeOwn,
        }
    }

    /// The type of its answer; none: it has no body.
    pub(super) const fn produces(self) -> Option<&'static str> {
        match self {
            Self::Remove(_) | Self::GoDownload(_) => None,
            Self::Events => Some("text/event-stream"),
            Self::Presign
            | Self::Create
            | Self::PresignBatch
            | Self::List
            | Self::Show(_)
            | Self::Update(_)
            | Self::Restore(_)
            | Self::Complete(_)
            | Self::SignDownload(_)
            | Self::SignChunk(..)
            | Self::ListChunks(_)
            | Self::Timeline(_)
            | Self::Usage
            | Self::Ledger => Some("application/json"),
        }
    }

    /// The types its body may have; empty: it has none.
    pub(super) const fn consumes(self) -> &'static [&'static str] {
        match self {
            Self::Presign | Self::Create | Self::PresignBatch => &["application/json"],
            Self::Update(_) => &["application/merge-patch+json", "application/json"],
            Self::List
            | Self::Show(_)
            | Self::Remove(_)
            | Self::Restore(_)
            | Self::Complete(_)
            | Self::SignDownload(_)
            | Self::GoDownload(_)
            | Self::SignChunk(..)
            | Self::ListChunks(_)
            | Self::Timeline(_)
            | Self::Usage
            | Self::Ledger
            | Self::Events => &[],
        }
    }
}

macro_rules! templates {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// A path without its ids: what metrics and logs call it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Template { $($name),* }

        impl Template {
            /// All of them.
            pub(super) const ALL: &[Self] = &[$(Self::$name),*];

            /// Its text.
            pub(super) const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

templates! {
    Unmatched = "unmatched",
    Presign = "/v1/files/presign-upload",
    PresignBatch = "/v1/files/presign-batch",
    Files = "/v1/files",
    File = "/v1/files/{file_id}",
    Restore = "/v1/files/{file_id}/restore",
    Complete = "/v1/files/{file_id}/complete",
    DownloadUrl = "/v1/files/{file_id}/download-url",
    Content = "/v1/files/{file_id}/content",
    Chunk = "/v1/files/{file_id}/chunks/{chunk_id}",
    Chunks = "/v1/files/{file_id}/chunks",
    Timeline = "/v1/files/{file_id}/timeline",
    Usage = "/v1/usage",
    Ledger = "/v1/usage/ledger",
    Events = "/v1/events",
    AdminUsage = "/v1/admin/usage",
    AdminUsers = "/v1/admin/users",
    AdminUser = "/v1/admin/users/{user_id}",
    AdminUserUsage = "/v1/admin/users/{user_id}/usage",
    AdminUserQuota = "/v1/admin/users/{user_id}/quota",
    AdminUserState = "/v1/admin/users/{user_id}/state",
    Schemas = "/v1/schemas",
    Schema = "/v1/schemas/{type}/{version}",
    Server = "*",
    Root = "/",
    Livez = "/livez",
    Readyz = "/readyz",
    Metrics = "/metrics",
    Errors = "/errors",
    Error = "/errors/{code}",
}

impl Template {
    /// Its place in [`Template::ALL`].
    pub(super) fn index(self) -> usize {
        Self::ALL.iter().position(|template| *template == self).unwrap_or(0)
    }

    /// The methods it takes.
    pub(super) fn methods(self) -> impl Iterator<Item = &'static str> {
        self.allow().split(", ").filter(|method| !method.is_empty())
    }

    /// The methods it takes, as `Allow` says it.
    const fn allow(self) -> &'static str {
        match self {
            Self::Presign | Self::PresignBatch | Self::Restore | Self::Complete => "POST, OPTIONS",
            Self::Files => "GET, HEAD, POST, OPTIONS",
            Self::File => "GET, HEAD, PATCH, DELETE, OPTIONS",
            Self::Chunk => "PATCH, OPTIONS",
            Self::DownloadUrl
            | Self::Content
            | Self::Chunks
            | Self::Timeline
            | Self::Usage
            | Self::Ledger
            | Self::Events
            | Self::AdminUsage
            | Self::AdminUsers
            | Self::AdminUser
            | Self::AdminUserUsage
            | Self::Schemas
            | Self::Schema
            | Self::Root
            | Self::Livez
            | Self::Readyz
            | Self::Metrics
            | Self::Errors
            | Self::Error => "GET, HEAD, OPTIONS",
            Self::AdminUserQuota | Self::AdminUserState => "PUT, OPTIONS",
            Self::Server => "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
            Self::Unmatched => "",
        }
    }
}

/// Where a path leads.
pub(super) type Place = (Template, Ids);

/// The template of a path, with what it names.
pub(super) fn place_of(listener: Listener, path: &str) -> Place {
    match path {
        "*" => return (Template::Server, Ids::default()),
        "/" => return (Template::Root, Ids::default()),
        _ => {}
    }
    let mut segments = [""; 5];
    let mut count = 0;
    for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
        if count == segments.len() {
            return (Template::Unmatched, Ids::default());
        }
        segments[count] = segment;
        count += 1;
    }
    match (listener, &segments[..count]) {
        (_, ["livez"]) => (Template::Livez, Ids::default()),
        (_, ["readyz"]) => (Template::Readyz, Ids::default()),
        (Listener::Admin, ["metrics"]) => (Template::Metrics, Ids::default()),
        (_, ["errors"]) => (Template::Errors, Ids::default()),
        (_, ["errors", name]) => (Template::Error, Ids { code: ErrorCode::of_page(name), ..Ids::default() }),
        (Listener::Api, ["v1", "usage"]) => (Template::Usage, Ids::default()),
        (Listener::Api, ["v1", "usage", "ledger"]) => (Template::Ledger, Ids::default()),
        (Listener::Api, ["v1", "events"]) => (Template::Events, Ids::default()),
        (Listener::Api, ["v1", "schemas"]) => (Template::Schemas, Ids::default()),
        (Listener::Api, ["v1", "schemas", name, version]) => {
            (Template::Schema, Ids { schema: EventSchema::find(name, version), ..Ids::default() })
        }
        (Listener::Api, ["v1", "admin", rest @ ..]) => admin_place(rest),
        (Listener::Api, ["v1", rest @ ..]) => files_place(rest, false),
        (Listener::Api, rest) => files_place(rest, true),
        (Listener::Admin, _) => (Template::Unmatched, Ids::default()),
    }
}

fn admin_place(segments: &[&str]) -> Place {
    let named = |template, id: &str| (template, Ids { user: UserId::parse(id).ok(), ..Ids::default() });
    match segments {
        ["usage"] => (Template::AdminUsage, Ids::default()),
        ["users"] => (Template::AdminUsers, Ids::default()),
        ["users", id] => named(Template::AdminUser, id),
        ["users", id, "usage"] => named(Template::AdminUserUsage, id),
        ["users", id, "quota"] => named(Template::AdminUserQuota, id),
        ["users", id, "state"] => named(Template::AdminUserState, id),
        _ => (Template::Unmatched, Ids::default()),
    }
}

/// Three of the paths below `files` are known without the version too, for good.
fn files_place(segments: &[&str], is_alias: bool) -> Place {
    let named = |template, id: &str| (template, Ids { file: FileId::parse(id).ok(), ..Ids::default() });
    match segments {
        ["files"] => (Template::Files, Ids::default()),
        ["files", "presign-upload"] => (Template::Presign, Ids::default()),
        ["files", id, "download-url"] => named(Template::DownloadUrl, id),
        _ if is_alias => (Template::Unmatched, Ids::default()),
        ["files", "presign-batch"] => (Template::PresignBatch, Ids::default()),
        ["files", id] if !id.is_empty() => named(Template::File, id),
        ["files", id, "restore"] => named(Template::Restore, id),
        ["files", id, "complete"] => named(Template::Complete, id),
        ["files", id, "content"] => named(Template::Content, id),
        ["files", id, "timeline"] => named(Template::Timeline, id),
        ["files", id, "chunks"] => named(Template::Chunks, id),
        ["files", id, "chunks", chunk] => {
            let ids = Ids { file: FileId::parse(id).ok(), chunk: chunk_of(chunk), ..Ids::default() };
            (Template::Chunk, ids)
        }
        _ => (Template::Unmatched, Ids::default()),
    }
}

/// A number as we write it: without sign, zeros in front, or anything else.
fn chunk_of(text: &str) -> ChunkRef {
    text.parse::<u16>().ok().filter(|number| number.to_string() == text)
}

/// What a method asks of a place.
///
/// # Errors
/// `route_not_found`, `method_not_allowed`.
pub(super) fn find(method: &Method, place: Place) -> Result<Route, Problem> {
    let (template, Ids { file, user, chunk, schema, code }) = place;
    if template == Template::Unmatched {
        return Err(Problem::new(ErrorCode::RouteNotFound));
    }
    let verb = if method == Method::HEAD { "GET" } else { method.as_str() };
    match (verb, template) {
        ("POST", Template::Presign) => Ok(Route::Own(Own::Presign)),
        ("POST", Template::PresignBatch) => Ok(Route::Own(Own::PresignBatch)),
        ("POST", Template::Files) => Ok(Route::Own(Own::Create)),
        ("GET", Template::Files) => Ok(Route::Own(Own::List)),
        ("GET", Template::File) => Ok(Route::Own(Own::Show(file))),
        ("PATCH", Template::File) => Ok(Route::Own(Own::Update(file))),
        ("DELETE", Template::File) => Ok(Route::Own(Own::Remove(file))),
        ("POST", Template::Restore) => Ok(Route::Own(Own::Restore(file))),
        ("POST", Template::Complete) => Ok(Route::Own(Own::Complete(file))),
        ("GET", Template::DownloadUrl) => Ok(Route::Own(Own::SignDownload(file))),
        ("GET", Template::Content) => Ok(Route::Own(Own::GoDownload(file))),
        ("PATCH", Template::Chunk) => Ok(Route::Own(Own::SignChunk(file, chunk))),
        ("GET", Template::Chunks) => Ok(Route::Own(Own::ListChunks(file))),
        ("GET", Template::Timeline) => Ok(Route::Own(Own::Timeline(file))),
        ("GET", Template::Ledger) => Ok(Route::Own(Own::Ledger)),
        ("GET", Template::Usage) => Ok(Route::Own(Own::Usage)),
        ("GET", Template::Events) => Ok(Route::Own(Own::Events)),
        ("GET", Template::AdminUsage) => Ok(Route::Admin(Admin::Totals)),
        ("GET", Template::AdminUsers) => Ok(Route::Admin(Admin::Find)),
        ("GET", Template::AdminUser) => Ok(Route::Admin(Admin::Show(user))),
        ("GET", Template::AdminUserUsage) => Ok(Route::Admin(Admin::Usage(user))),
        ("PUT", Template::AdminUserQuota) => Ok(Route::Admin(Admin::SetQuota(user))),
        ("PUT", Template::AdminUserState) => Ok(Route::Admin(Admin::SetState(user))),
        ("GET", Template::Root) => Ok(Route::Open(Open::Root)),
        ("GET", Template::Livez) => Ok(Route::Open(Open::Livez)),
        ("GET", Template::Readyz) => Ok(Route::Open(Open::Readyz)),
        ("GET", Template::Schemas) => Ok(Route::Open(Open::Schemas)),
        ("GET", Template::Schema) => Ok(Route::Open(Open::Schema(schema))),
        ("GET", Template::Metrics) => Ok(Route::Open(Open::Metrics)),
        ("GET", Template::Errors) => Ok(Route::Open(Open::Errors)),
        ("GET", Template::Error) => Ok(Route::Open(Open::Error(code))),
        ("OPTIONS", template) => Ok(Route::Open(Open::Options(template.allow()))),
        (_, template) => Err(Problem::method(template.allow())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0199a3c4-0000-7000-8000-000000000001";

    fn find_at(listener: Listener, request: &str) -> Result<Route, Problem> {
        let (method, path) = request.split_once(' ').unwrap();
        let path = path.replace("ID", ID);
        find(&method.parse().unwrap(), place_of(listener, &path))
    }

    fn check(request: &str, expected: Own) {
        assert_eq!(find_at(Listener::Api, request), Ok(Route::Own(expected)), "{request}");
    }

    fn check_open(listener: Listener, request: &str, expected: Open) {
        assert_eq!(find_at(listener, request), Ok(Route::Open(expected)), "{request}");
    }

    fn check_refused(listener: Listener, request: &str, expected: ErrorCode) {
        assert_eq!(find_at(listener, request).map_err(|problem| problem.code()), Err(expected), "{request}");
    }

    #[test]
    fn every_route_of_the_contract_is_found() {
        let file = Some(FileId::parse(ID).unwrap());
        check("POST /v1/files/presign-upload", Own::Presign);
        check("POST /v1/files/presign-batch", Own::PresignBatch);
        check("POST /v1/files", Own::Create);
        check("GET /v1/files", Own::List);
        check("GET /v1/files/ID", Own::Show(file));
        check("PATCH /v1/files/ID", Own::Update(file));
        check("DELETE /v1/files/ID", Own::Remove(file));
        check("POST /v1/files/ID/restore", Own::Restore(file));
        check("POST /v1/files/ID/complete", Own::Complete(file));
        check("GET /v1/files/ID/download-url", Own::SignDownload(file));
        check("GET /v1/files/ID/content", Own::GoDownload(file));
        check("PATCH /v1/files/ID/chunks/7", Own::SignChunk(file, Some(7)));
        check("GET /v1/files/ID/chunks", Own::ListChunks(file));
        check("GET /v1/files/ID/timeline", Own::Timeline(file));
        check("GET /v1/usage", Own::Usage);
        check("GET /v1/usage/ledger", Own::Ledger);
        check("GET /v1/events", Own::Events);
    }

    #[test]
    fn the_server_as_a_whole_takes_options() {
        let allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
        for listener in [Listener::Api, Listener::Admin] {
            assert_eq!(
                find(&Method::OPTIONS, place_of(listener, "*")),
                Ok(Route::Open(Open::Options(allow)))
            );
            check_open(listener, "GET /", Open::Root);
            check_refused(listener, "GET /*", ErrorCode::RouteNotFound);
        }
    }

    #[test]
    fn what_operators_ask_is_found_on_the_main_port_only() {
        let user = Some(UserId::parse(ID).unwrap());
        for (request, expected) in [
            ("GET /v1/admin/usage", Admin::Totals),
            ("GET /v1/admin/users", Admin::Find),
            ("GET /v1/admin/users/ID", Admin::Show(user)),
            ("GET /v1/admin/users/ID/usage", Admin::Usage(user)),
            ("PUT /v1/admin/users/ID/quota", Admin::SetQuota(user)),
            ("PUT /v1/admin/users/ID/state", Admin::SetState(user)),
            ("PUT /v1/admin/users/alice/state", Admin::SetState(None)),
        ] {
            assert_eq!(find_at(Listener::Api, request), Ok(Route::Admin(expected)), "{request}");
            check_refused(Listener::Admin, request, ErrorCode::RouteNotFound);
        }
        check_refused(Listener::Api, "POST /v1/admin/users/ID/quota", ErrorCode::MethodNotAllowed);
        check_refused(Listener::Api, "GET /admin/usage", ErrorCode::RouteNotFound);
    }

    #[test]
    fn three_paths_are_known_without_the_version() {
        check("POST /files/presign-upload", Own::Presign);
        check("GET /files", Own::List);
        check("POST /files", Own::Create);
        check("GET /files/ID/download-url", Own::SignDownload(FileId::parse(ID).ok()));
        check_refused(Listener::Api, "GET /files/ID", ErrorCode::RouteNotFound);
        check_refused(Listener::Api, "GET /usage", ErrorCode::RouteNotFound);
        check_refused(Listener::Api, "POST /files/presign-batch", ErrorCode::RouteNotFound);
    }

    #[test]
    fn head_goes_where_get_goes() {
        check("HEAD /v1/files/ID", Own::Show(FileId::parse(ID).ok()));
        check_refused(Listener::Api, "HEAD /v1/files/presign-upload", ErrorCode::MethodNotAllowed);
    }

    #[test]
    fn an_id_that_is_none_is_a_file_that_is_not_there() {
        check("GET /v1/files/nonsense", Own::Show(None));
        check("GET /v1/files/0199a3c4000070008000000000000001", Own::Show(None));
        let file = FileId::parse(ID).ok();
        for chunk in ["x", "+1", "01", "-1", "1.0", "65536", ""] {
            check(&format!("PATCH /v1/files/ID/chunks/{chunk}"), Own::SignChunk(file, None));
        }
    }

    #[test]
    fn health_is_on_both_ports_and_metrics_on_one() {
        for listener in [Listener::Api, Listener::Admin] {
            check_open(listener, "GET /livez", Open::Livez);
            check_open(listener, "GET /readyz", Open::Readyz);
        }
        for listener in [Listener::Api, Listener::Admin] {
            check_open(listener, "GET /errors", Open::Errors);
            check_open(listener, "GET /errors/quota-exceeded", Open::Error(Some(ErrorCode::QuotaExceeded)));
            check_open(listener, "GET /errors/quota_exceeded", Open::Error(Some(ErrorCode::QuotaExceeded)));
            check_open(listener, "GET /errors/nothing", Open::Error(None));
        }
        check_open(Listener::Admin, "GET /metrics", Open::Metrics);
        check_refused(Listener::Api, "GET /metrics", ErrorCode::RouteNotFound);
        check_refused(Listener::Admin, "GET /v1/files", ErrorCode::RouteNotFound);
    }

    #[test]
    fn what_is_unknown_is_not_found() {
        for path in ["/v1", "/v1/", "/v1/files/", "/v1/files/ID/", "/v2/files", "/v1/files/ID/links/x/y"] {
            check_refused(Listener::Api, &format!("GET {path}"), ErrorCode::RouteNotFound);
        }
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        check_refused(Listener::Api, "PUT /v1/files/ID", ErrorCode::MethodNotAllowed);
        check_refused(Listener::Api, "GET /v1/files/presign-upload", ErrorCode::MethodNotAllowed);
        check_refused(Listener::Api, "BREW /v1/files", ErrorCode::MethodNotAllowed);
        check_open(Listener::Api, "OPTIONS /v1/files", Open::Options("GET, HEAD, POST, OPTIONS"));
    }

    #[test]
    fn allow_lists_exactly_the_methods_that_are_found() {
        // What the server as a whole takes is the sum of all paths, and asked for by one method only.
        let is_path = |template: &Template| !matches!(template, Template::Unmatched | Template::Server);
        for template in Template::ALL.iter().copied().filter(is_path) {
            for method in ["GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"] {
                let is_found = find(&method.parse().unwrap(), (template, Ids::default())).is_ok();
                let is_listed = template.allow().split(", ").any(|allowed| allowed == method);
                assert_eq!(is_found, is_listed, "{method} {}", template.as_str());
            }
        }
    }
}
