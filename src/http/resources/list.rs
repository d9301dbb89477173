//! The caller's files, newest first, a page at a time.

use hyper::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use uuid::Uuid;

use super::file_view::FileView;
use super::upload_request::in_nfc;
use crate::domain::file::{File, PublicStatus};
use crate::domain::ids::FileId;
use crate::http::error::Problem;
use crate::http::request::AuthorizedRequest;
use crate::http::services::within;
use crate::http::wire::answers::{self, CachePolicy, HandlerResult};
use crate::http::wire::cursor::{self, Scope};
use crate::http::wire::query::Query;
use crate::limits;
use crate::ports::{FilePage, LedgerPort};

/// Rows of one read, where the first did not fill the page.
const LIST_STEP: usize = 1000;
/// Rows read for one page: all that a user may have.
const READ_MAX: usize = 60_000;
const _: () = assert!(limits::ROWS_MAX == 60_000, "a page passes over every row that nobody may see");

#[derive(Serialize)]
struct FilesView<'a> {
    items: Vec<FileView<'a>>,
    next_cursor: Option<&'a str>,
}

/// Which files are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StatusFilter {
    /// All but those in the trash.
    Untrashed,
    Pending,
    Processed,
    Failed,
    Trashed,
}

const STATUSES: [(&str, StatusFilter); 4] = [
    ("pending", StatusFilter::Pending),
    ("processed", StatusFilter::Processed),
    ("failed", StatusFilter::Failed),
    ("trashed", StatusFilter::Trashed),
];

impl StatusFilter {
    const fn takes(self, shown: PublicStatus) -> bool {
        match shown {
            PublicStatus::Pending => matches!(self, Self::Untrashed | Self::Pending),
            PublicStatus::Processed => matches!(self, Self::Untrashed | Self::Processed),
            PublicStatus::Failed(_) => matches!(self, Self::Untrashed | Self::Failed),
            PublicStatus::Trashed => matches!(self, Self::Trashed),
            PublicStatus::Hidden => false,
        }
    }

    fn word(self) -> Option<&'static str> {
        STATUSES.into_iter().find(|(_, wanted)| *wanted == self).map(|(word, _)| word)
    }
}

/// What a list asks for.
#[derive(Debug, PartialEq, Eq)]
struct FileFilter {
    wanted: StatusFilter,
    name_prefix: String,
    size: usize,
}

impl FileFilter {
    /// Reads the query; the cursor is still sealed.
    fn read(query: Option<&str>) -> Result<(Self, Option<String>), Problem> {
        let mut query = Query::parse(query);
        let cursor = query.take("cursor").map(std::borrow::Cow::into_owned);
        let name_prefix = in_nfc(&query.take("name_prefix").unwrap_or_default());
        let wanted = query.word("status", &STATUSES).unwrap_or(StatusFilter::Untrashed);
        let size = query.page_size();
        query.end()?;
        Ok((Self { wanted, name_prefix, size }, cursor))
    }

    /// The filters as a text that two different ones never share.
    fn scope(&self) -> String {
        format!("files:{}:{}", self.wanted.word().unwrap_or_default(), self.name_prefix)
    }

    fn takes(&self, file: &File) -> bool {
        self.wanted.takes(file.public_status()) && file.filename.starts_with(&self.name_prefix)
    }

    /// The target of the next page.
    fn next(&self, public_url: &str, cursor: &str) -> String {
        let mut target = format!("{public_url}/v1/files?size={}&cursor={cursor}", self.size);
        if let Some(word) = self.wanted.word() {
            target = format!("{target}&status={word}");
        }
        if !self.name_prefix.is_empty() {
            let prefix = utf8_percent_encode(&self.name_prefix, NON_ALPHANUMERIC);
            target = format!("{target}&name_prefix={prefix}");
        }
        target
    }
}

/// A page of files, and the last one if there are more.
struct Page {
    files: Vec<File>,
    last: Option<FileId>,
}

/// `GET /v1/files`.
pub(in crate::http) async fn list(request: &AuthorizedRequest<'_>) -> HandlerResult {
    let services = &request.api.services;
    let key = &services.options.cursor_key;
    let (filter, sealed) = FileFilter::read(request.head.uri.query())?;
    let text = filter.scope();
    let scope = Scope { user: request.user(), list: &text };
    let before = sealed.map(|sealed| cursor::open(key, scope, &sealed)).transpose()?;
    let before = before.map(|position| FileId::from_uuid(Uuid::from_bytes(position)));
    let found = search(request, &filter, before).await?;
    let next = found.last.map(|last| cursor::seal(key, scope, *last.uuid().as_bytes()));
    let view = FilesView {
        items: found.files.iter().filter_map(FileView::of).collect(),
        next_cursor: next.as_deref(),
    };
    let bytes_about = 64 + found.files.len() * FileView::BYTES_ABOUT;
    let mut response = answers::json(StatusCode::OK, &view, CachePolicy::Revalidate, bytes_about);
    if let Some(cursor) = &next {
        answers::link_next(&mut response, &filter.next(&services.options.public_url, cursor))?;
    }
    Ok(response)
}

/// Reads rows until the page is full, there are no more, or enough were looked at for one request.
async fn search(
    request: &AuthorizedRequest<'_>,
    filter: &FileFilter,
    mut before: Option<FileId>,
) -> Result<Page, Problem> {
    let mut files = Vec::with_capacity(filter.size);
    let (mut looked_at, mut read) = (0, 0);
    loop {
        // One row more than needed shows whether there are more. If the filters left gaps, larger steps fill them.
        let step_min = if read == 0 { 0 } else { LIST_STEP };
        let limit = (filter.size - files.len() + 1).max(step_min);
        let page = FilePage { before, limit };
        let rows = within(request.api.services.ledger.files(request.user(), page)).await?;
        let is_end = rows.len() < limit;
        let count = rows.len();
        // Hidden rows are skipped: a page is full unless it is the last. Their number is bounded by
        // `quota.rows_max`, and they leave within the hour.
        looked_at += rows.iter().filter(|row| row.public_status() != PublicStatus::Hidden).count();
        read += count;
        for (at, row) in rows.into_iter().enumerate() {
            let id = row.file_id;
            if filter.takes(&row) {
                files.push(row);
            }
            before = Some(id);
            let is_more = !is_end || at + 1 < count;
            if files.len() == filter.size {
                return Ok(Page { files, last: before.filter(|_| is_more) });
            }
        }
        if is_end {
            return Ok(Page { files, last: None });
        }
        if looked_at >= limits::LIST_ROWS_MAX || read >= READ_MAX {
            return Ok(Page { files, last: before });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: Result<(StatusFilter, &str, usize), &str>) {
        let outcome = FileFilter::read(Some(query));
        match (&outcome, expected) {
            (Ok((filter, _)), Ok((wanted, name_prefix, size))) => {
                let expected = FileFilter { wanted, name_prefix: name_prefix.to_owned(), size };
                assert_eq!(*filter, expected, "{query}");
            }
            (Err(problem), Err(pointer)) => assert_eq!(problem.faults()[0].pointer, pointer, "{query}"),
            (found, expected) => panic!("{query}: {found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_query_is_read() {
        check("", Ok((StatusFilter::Untrashed, "", 50)));
        check("size=7&status=trashed&name_prefix=a%20b", Ok((StatusFilter::Trashed, "a b", 7)));
        check("size=200", Ok((StatusFilter::Untrashed, "", 200)));
        check("size=201", Ok((StatusFilter::Untrashed, "", 200)));
        check("size=18446744073709551615", Ok((StatusFilter::Untrashed, "", 200)));
    }

    #[test]
    fn a_query_that_means_nothing_is_refused() {
        for bad in ["size=0", "size=-1", "size=x", "size=", "size=1&size=2"] {
            check(bad, Err("?size"));
        }
        check("status=gone", Err("?status"));
        check("limit=5", Err("?limit"));
    }

    #[test]
    fn the_next_page_has_the_same_filters() {
        let (filter, _) = FileFilter::read(Some("size=7&status=failed&name_prefix=a%26b")).unwrap();
        let next = filter.next("https://files.example", "CURSOR");
        assert_eq!(
            next,
            "https://files.example/v1/files?size=7&cursor=CURSOR&status=failed&name_prefix=a%26b"
        );
        let (again, cursor) = FileFilter::read(next.split_once('?').map(|(_, query)| query)).unwrap();
        assert_eq!((again, cursor.as_deref()), (filter, Some("CURSOR")));
    }

    #[test]
    fn hidden_files_are_never_listed_and_trash_only_when_asked() {
        for wanted in [
            StatusFilter::Untrashed,
            StatusFilter::Pending,
            StatusFilter::Processed,
            StatusFilter::Failed,
            StatusFilter::Trashed,
        ] {
            assert!(!wanted.takes(PublicStatus::Hidden));
            assert_eq!(wanted.takes(PublicStatus::Trashed), wanted == StatusFilter::Trashed);
        }
    }
}
