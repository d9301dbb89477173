//! The caller's ledger, newest first, and the timeline of one file. Both come from the ledger, never from logs.

use hyper::StatusCode;
use serde::Serialize;

use super::files;
use crate::domain::entry::{Entry, Totals};
use crate::domain::event;
use crate::domain::file::{File, Reason};
use crate::domain::history::{self, TotalsDelta};
use crate::domain::ids::{EventId, FileId, UserId};
use crate::domain::time::Timestamp;
use crate::http::error::Problem;
use crate::http::request::AuthorizedRequest;
use crate::http::services::within;
use crate::http::wire::answers::{self, CachePolicy, HandlerResult};
use crate::http::wire::cursor::{self, Scope};
use crate::http::wire::query::Query;
use crate::limits;
use crate::ports::LedgerPort;

#[derive(Serialize)]
struct LedgerView {
    items: Vec<EntryView>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct EntryView {
    version: u64,
    time: Timestamp,
    r#type: String,
    event_id: EventId,
    file_id: Option<FileId>,
    size_bytes: Option<u64>,
    reason: Option<&'static str>,
    /// None: the entry before is not kept any more.
    step: Option<DeltaView>,
    totals: EntryTotalsView,
}

#[derive(Serialize)]
struct DeltaView {
    used_bytes: i64,
    reserved_bytes: i64,
    trashed_bytes: i64,
    file_count: i64,
}

#[derive(Serialize)]
struct EntryTotalsView {
    used_bytes: u64,
    reserved_bytes: u64,
    trashed_bytes: u64,
    file_count: u32,
    limit_bytes: u64,
    state: &'static str,
}

impl EntryView {
    /// Bytes of one in JSON, about.
    const BYTES_ABOUT: usize = 512;

    fn of(user: UserId, entry: &Entry, older: Option<&Entry>) -> Self {
        let (name, event_id) = event::event_of_entry(user, entry);
        let Totals { used_bytes, reserved_bytes, trashed_bytes, file_count } = entry.totals;
        let (limit_bytes, state) = (entry.limit_bytes, entry.state.as_str());
        let delta = |step: TotalsDelta| DeltaView {
            used_bytes: step.used_bytes,
            reserved_bytes: step.reserved_bytes,
            trashed_bytes: step.trashed_bytes,
            file_count: step.file_count,
        };
        Self {
            version: entry.version,
            time: entry.at,
            r#type: name,
            event_id,
            file_id: entry.file_id,
            size_bytes: entry.file_id.map(|_| entry.size_bytes),
            reason: entry.reason.map(Reason::as_str),
            step: TotalsDelta::of(entry, older).map(delta),
            totals: EntryTotalsView {
                used_bytes,
                reserved_bytes,
                trashed_bytes,
                file_count,
                limit_bytes,
                state,
            },
        }
    }
}

/// Which entries are asked for.
struct EntryFilter {
    file: Option<FileId>,
    size: usize,
}

impl EntryFilter {
    /// Reads the query; the cursor is still sealed.
    fn read(query: Option<&str>) -> Result<(Self, Option<String>), Problem> {
        let mut query = Query::parse(query);
        let cursor = query.take("cursor").map(std::borrow::Cow::into_owned);
        let size = query.page_size();
        let file = query.take("file_id").map(|text| FileId::parse(&text));
        if matches!(file, Some(Err(_))) {
            query.fault("file_id", "malformed", "This must be a UUID.");
        }
        query.end()?;
        Ok((Self { file: file.and_then(Result::ok), size }, cursor))
    }

    /// The filter as a text that two different ones never share.
    fn scope(&self) -> String {
        self.file.map_or_else(|| "ledger:".to_owned(), |file| format!("ledger:{file}"))
    }

    fn takes(&self, entry: &Entry) -> bool {
        self.file.is_none_or(|file| entry.file_id == Some(file))
    }

    /// The target of the next page.
    fn next(&self, public_url: &str, cursor: &str) -> String {
        let target = format!("{public_url}/v1/usage/ledger?size={}&cursor={cursor}", self.size);
        self.file.map_or_else(|| target.clone(), |file| format!("{target}&file_id={file}"))
    }
}

/// `GET /v1/usage/ledger`.
pub(in crate::http) async fn ledger(request: &AuthorizedRequest<'_>) -> HandlerResult {
    let services = &request.api.services;
    let key = &services.options.cursor_key;
    let (filter, sealed) = EntryFilter::read(request.head.uri.query())?;
    let text = filter.scope();
    let scope = Scope { user: request.user(), list: &text };
    let before = sealed.map(|sealed| cursor::open(key, scope, &sealed)).transpose()?;
    let before = before.and_then(|position| u64::try_from(u128::from_be_bytes(position)).ok());
    let mut items = Vec::with_capacity(filter.size);
    let last = walk(request, before, |entry, older| {
        if filter.takes(entry) {
            items.push(EntryView::of(request.user(), entry, older));
        }
        items.len() < filter.size
    });
    let last = last.await?;
    let next = last.map(|last| cursor::seal(key, scope, u128::from(last).to_be_bytes()));
    let view = LedgerView { items, next_cursor: next };
    let bytes_about = 64 + view.items.len() * EntryView::BYTES_ABOUT;
    let mut response = answers::json(StatusCode::OK, &view, CachePolicy::Revalidate, bytes_about);
    if let Some(cursor) = &view.next_cursor {
        answers::link_next(&mut response, &filter.next(&services.options.public_url, cursor))?;
    }
    Ok(response)
}

/// Reads entries, newest first, from below `before` on, and shows each with the one before it (if it is kept) for
/// as long as more are wanted and not too many were read. Returns the last shown, if there are more.
async fn walk(
    request: &AuthorizedRequest<'_>,
    before: Option<u64>,
    mut wants_more: impl FnMut(&Entry, Option<&Entry>) -> bool,
) -> Result<Option<u64>, Problem> {
    let ledger = &request.api.services.ledger;
    let Some(account) = within(ledger.load(request.user())).await? else { return Ok(None) };
    let (floor, mut before) = (account.history_floor, before.unwrap_or(u64::MAX));
    let mut shown = 0;
    loop {
        // The last entry of a full page only serves as the predecessor of the one above it.
        let limit = limits::PAGE_MAX + 1;
        let entries = within(ledger.entries_before(request.user(), (floor, before), limit)).await?;
        let is_end = entries.len() < limit;
        let count = if is_end { entries.len() } else { limits::PAGE_MAX };
        for (at, entry) in entries.iter().take(count).enumerate() {
            before = entry.version;
            if !wants_more(entry, entries.get(at + 1)) {
                return Ok((at + 1 < entries.len()).then_some(before));
            }
        }
        shown += count;
        if is_end {
            return Ok(None);
        }
        if shown >= limits::LIST_ROWS_MAX {
            return Ok(Some(before));
        }
    }
}

#[derive(Serialize)]
struct TimelineView<'a> {
    file_id: FileId,
    trace_id: Option<&'a str>,
    /// Whether every entry of the file was found.
    is_complete: bool,
    steps: Vec<TimelineStepView>,
}

#[derive(Serialize)]
struct TimelineStepView {
    step: &'static str,
    at: Timestamp,
    /// Milliseconds since the step before.
    after_ms: u64,
}

/// `GET /v1/files/{file_id}/timeline`.
pub(in crate::http) async fn timeline(request: &AuthorizedRequest<'_>, file: FileId) -> HandlerResult {
    let row = files::find(request, file).await?;
    let mut entries = Vec::new();
    // Each change of a row has its entry, so the first one is the last to look for.
    walk(request, None, |entry, _| {
        if entry.file_id == Some(file) {
            entries.push(entry.clone());
        }
        entries.last().is_none_or(|oldest| oldest.revision > 1)
    })
    .await?;
    let is_complete = entries.last().is_some_and(|oldest| oldest.revision == 1);
    let view = TimelineView {
        file_id: file,
        trace_id: row.trace_id(),
        is_complete,
        steps: timeline_steps(&row, &entries),
    };
    Ok(answers::json(StatusCode::OK, &view, CachePolicy::Revalidate, 1024))
}

fn timeline_steps(row: &File, entries: &[Entry]) -> Vec<TimelineStepView> {
    let timeline = history::timeline_of(row, entries);
    let mut before = row.created_at;
    let step = |(step, at): (history::TimelineStep, Timestamp)| {
        let after_ms = u64::try_from(at.since(before).as_millis()).unwrap_or(u64::MAX);
        before = at.max(before);
        TimelineStepView { step: step.as_str(), at, after_ms }
    };
    timeline.into_iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: Result<(bool, usize), &str>) {
        match (EntryFilter::read(Some(query)), expected) {
            (Ok((filter, _)), Ok(expected)) => {
                assert_eq!((filter.file.is_some(), filter.size), expected, "{query}");
                let next = filter.next("https://files.example", "CURSOR");
                let (again, cursor) =
                    EntryFilter::read(next.split_once('?').map(|(_, query)| query)).unwrap();
                assert_eq!((again.scope(), again.size), (filter.scope(), filter.size), "the same filters");
                assert_eq!(cursor.as_deref(), Some("CURSOR"));
            }
            (Err(problem), Err(pointer)) => assert_eq!(problem.faults()[0].pointer, pointer, "{query}"),
            (Ok(_), Err(pointer)) => panic!("{query}: not refused for {pointer}"),
            (Err(problem), Ok(_)) => panic!("{query}: {problem:?}"),
        }
    }

    #[test]
    fn a_query_is_read() {
        check("", Ok((false, 50)));
        check("size=7&file_id=0199a3c4-0000-7000-8000-000000000001", Ok((true, 7)));
        check("size=1000", Ok((false, 200)));
        check("size=0", Err("?size"));
        check("file_id=x", Err("?file_id"));
        check("version=3", Err("?version"));
    }
}
