//! Entries that the ledger has trimmed, and entries that only look so.

use wharfinger::app::FindingKind;
use wharfinger::domain::account::Account;
use wharfinger::domain::draft::Write;
use wharfinger::domain::entry::{Entry, EntryKind, Totals};
use wharfinger::domain::file::{File, Status};
use wharfinger::domain::ids::UserId;
use wharfinger::ports::LedgerPort as _;

use crate::world::Yard;

/// Versions of the user, the last of them a purge.
const LAST: u64 = 4;

/// The audit's findings about another user with one row, whose history is trimmed up to `floor` and of whom these entries
/// are left.
async fn check(floor: u64, left: &[u64], expected: &[FindingKind]) {
    let yard = Yard::new().await;
    let user = UserId::from_subject("https://issuer.example", "bob").unwrap();
    let revision = u32::try_from(LAST).unwrap();
    let row = File { revision, ..yard.inside.row(yard.gone).await };
    let account =
        Account { version: LAST, published: LAST, history_floor: floor, row_count: 1, ..Account::new(user) };
    let like = yard.entry(yard.account().await.version).await;
    let entries = left.iter().map(|version| entry(&like, &row, *version)).collect();
    let write = Write::on(account, yard.inside.time.op_id());
    let write = Write { expected: None, files: vec![row], entries, ..write };
    yard.inside.well.ledger.commit(write).await.unwrap();
    for version in left {
        yard.tell_of(user, *version).await;
    }
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
    let at = if version == 1 { row.created_at } else { row.changed_at };
    let (file_id, status) = (Some(row.file_id), Some(status));
    let revision = u32::try_from(version).unwrap();
    Entry { version, kind, file_id, at, size_bytes: size, status, revision, totals, ..like.clone() }
}

// proves: I28
#[tokio::test]
async fn what_was_trimmed_is_not_missing() {
    check(0, &[1, 2, 3, 4], &[]).await;
    check(2, &[3, 4], &[]).await;
    check(3, &[4], &[]).await;
}

// proves: I28
#[tokio::test]
async fn what_is_above_the_floor_must_be_there() {
    check(0, &[2, 3, 4], &[FindingKind::EntriesMissing]).await;
    check(1, &[3, 4], &[FindingKind::EntriesMissing]).await;
    check(2, &[4], &[FindingKind::EntriesMissing]).await;
    check(1, &[2, 4], &[FindingKind::EntriesMissing]).await;
    check(2, &[3], &[FindingKind::EntriesMissing]).await;
    check(2, &[], &[FindingKind::EntriesMissing]).await;
}
