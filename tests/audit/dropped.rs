//! Entries that the ledger has dropped for their age, and entries that only look so.

use std::time::Duration;

use wharfinger::app::Kind;
use wharfinger::domain::account::Account;
use wharfinger::domain::draft::Write;
use wharfinger::domain::entry::{Entry, EntryKind, Totals};
use wharfinger::domain::file::{File, Status};
use wharfinger::domain::ids::UserId;
use wharfinger::domain::time::Timestamp;
use wharfinger::ports::LedgerPort as _;

use crate::world::Yard;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long the ledger keeps an entry.
const KEPT_DAYS: u32 = 90;
/// Versions of the user, the last of them a purge.
const LAST: u64 = 4;

/// Another user, of whom nothing is left but one row, and entries from one version on.
struct Rest {
    /// Days since the row was made, and since its file was purged.
    created: u32,
    changed: u32,
    published: u64,
    /// The entries that are left.
    entries: &'static [u64],
}

/// Long idle: everything was dropped.
const IDLE: Rest = Rest { created: 120, changed: 100, published: LAST, entries: &[] };

/// What the audit says of this user where entries are kept for ever, or for 90 days.
async fn check(rest: Rest, kept_days: Option<u32>, expected: &[Kind]) {
    let mut yard = Yard::new().await;
    yard.options.entries_kept = kept_days.map(|days| days * DAY);
    let user = UserId::from_subject("https://issuer.example", "bob").unwrap();
    let days_ago = |days: u32| yard.inside.now().before(days * DAY);
    let row = File {
        created_at: days_ago(rest.created),
        changed_at: days_ago(rest.changed),
        revision: u32::try_from(LAST).unwrap(),
        ..yard.inside.row(yard.gone).await
    };
    let account = Account { version: LAST, published: rest.published, row_count: 1, ..Account::new(user) };
    let like = yard.entry(yard.account().await.version).await;
    let entries = rest.entries.iter().map(|version| entry(&like, &row, *version)).collect();
    let write = Write { files: vec![row], entries, ..Write::on(account, yard.inside.time.op_id()) };
    let write = Write { expected: None, ..write };
    yard.inside.well.ledger.commit(write).await.unwrap();
    let (findings, _) = yard.audit(Some(user)).await.unwrap();
    let kinds: Vec<_> = findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, expected, "{findings:#?}");
}

/// The file's entry of this version: reserved, processed, deleted, purged.
fn entry(like: &Entry, row: &File, version: u64) -> Entry {
    let size = row.size_bytes;
    let (kind, status, totals) = match version {
        1 => (
            EntryKind::Reserved,
            Status::Pending,
            Totals { reserved_bytes: size, file_count: 1, ..Totals::default() },
        ),
        2 => (
            EntryKind::Processed,
            Status::Processed,
            Totals { used_bytes: size, file_count: 1, ..Totals::default() },
        ),
        3 => (EntryKind::Deleted, Status::Deleting, Totals::default()),
        _ => (EntryKind::Purged, Status::Gone, Totals::default()),
    };
    let at: Timestamp = if version == 1 { row.created_at } else { row.changed_at };
    let (file_id, status) = (Some(row.file_id), Some(status));
    let revision = u32::try_from(version).unwrap();
    Entry { version, kind, file_id, at, size_bytes: size, status, revision, totals, ..like.clone() }
}

#[tokio::test]
async fn a_user_who_was_idle_longer_than_entries_are_kept_is_not_accused() {
    check(IDLE, Some(KEPT_DAYS), &[]).await;
    check(IDLE, None, &[Kind::EntriesMissing]).await;
}

// proves: I28
#[tokio::test]
async fn entries_are_missing_if_what_they_made_is_younger_than_they_are_kept() {
    let changed = |changed| Rest { changed, ..IDLE };
    check(changed(KEPT_DAYS), Some(KEPT_DAYS), &[]).await;
    check(changed(KEPT_DAYS - 1), Some(KEPT_DAYS), &[Kind::EntriesMissing]).await;
    let begun = |created| Rest { created, changed: 60, entries: &[3, 4], ..IDLE };
    check(begun(KEPT_DAYS), Some(KEPT_DAYS), &[]).await;
    check(begun(KEPT_DAYS - 1), Some(KEPT_DAYS), &[Kind::EntriesMissing]).await;
    let whole = Rest { entries: &[1, 2, 3, 4], ..begun(KEPT_DAYS - 1) };
    check(whole, Some(KEPT_DAYS), &[]).await;
}

// proves: I28
#[tokio::test]
async fn entries_that_were_never_told_are_missing_however_old_they_are() {
    check(Rest { published: LAST - 1, ..IDLE }, Some(KEPT_DAYS), &[Kind::EntriesMissing]).await;
}

// proves: I28
#[tokio::test]
async fn age_excuses_the_start_of_the_entries_and_not_their_end() {
    let cut = Rest { created: 80, changed: 60, entries: &[1, 2, 3], ..IDLE };
    check(cut, Some(KEPT_DAYS), &[Kind::EntriesMissing]).await;
}
