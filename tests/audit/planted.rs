//! Each kind of disagreement, planted alone, is reported, and nothing else is.

use std::time::Duration;

use wharfinger::actors::{Republish, republish};
use wharfinger::app::FindingKind;
use wharfinger::domain::draft::RowRange;
use wharfinger::domain::event::{EventSource, filter_of};
use wharfinger::domain::file::Status;
use wharfinger::domain::ids::{ObjectKey, UserId};
use wharfinger::limits::{SWEEP_EVERY, TRASH_RETENTION};
use wharfinger::ports::ObjectsPort as _;

use crate::inside::BUCKET;
use crate::world::{GRACE, Yard};

/// Spoils a clean deployment, and expects these kinds.
async fn check(spoil: impl AsyncFnOnce(&Yard), expected: &[FindingKind]) {
    let yard = Yard::new().await;
    spoil(&yard).await;
    yard.check(expected).await;
}

#[tokio::test]
async fn what_agrees_is_clean() {
    let yard = Yard::new().await;
    let (findings, summary) = yard.audit(None).await.unwrap();
    assert_eq!(findings, []);
    // Four reservations, three settlements, a trashing, a deletion and its purge.
    let read = (summary.users, summary.files, summary.objects, summary.entries, summary.events);
    assert_eq!(read, (1, 4, 2, 10, 10));
    assert_eq!((summary.moving, summary.events_repeated, summary.dlq_records), (0, 0, 0));
}

#[tokio::test]
async fn one_user_can_be_asked_for_and_others_are_not_looked_at() {
    let yard = Yard::new().await;
    let nobody = UserId::from_subject("https://issuer.example", "bob").unwrap();
    yard.edit(|write| write.account.totals.used_bytes += 1).await;
    assert_eq!(yard.audit(Some(nobody)).await.unwrap().1.users, 0);
    assert_eq!(yard.audit(Some(yard.user)).await.unwrap().1.disagreements, 2);
}

// proves: I1 I2 I4
#[tokio::test]
async fn sums_that_differ_from_the_rows_are_told() {
    let sums = [FindingKind::Sums, FindingKind::Totals];
    check(async |yard| yard.edit(|write| write.account.totals.used_bytes += 1).await, &sums).await;
    check(async |yard| yard.edit(|write| write.account.totals.trashed_bytes += 1).await, &sums).await;
    check(async |yard| yard.edit(|write| write.account.totals.reserved_bytes += 1).await, &sums).await;
    check(async |yard| yard.edit(|write| write.account.totals.file_count += 1).await, &sums).await;
    let lost = async |yard: &Yard| yard.edit(|write| write.account.pending.clear()).await;
    check(lost, &[FindingKind::Reservations]).await;
    let miscounted = async |yard: &Yard| yard.edit(|write| write.account.deleting_count += 1).await;
    check(miscounted, &[FindingKind::DeletingCount]).await;
}

// proves: I3
#[tokio::test]
async fn a_reservation_over_the_limit_is_told() {
    check(async |yard| yard.edit_entry(1, |entry| entry.limit_bytes = 4).await, &[FindingKind::OverQuota])
        .await;
}

// proves: I5 I28
#[tokio::test]
async fn entries_that_do_not_lead_to_the_account_are_told() {
    check(
        async |yard| yard.add_entries(&[12]).await,
        &[FindingKind::EventMissing, FindingKind::EntriesMissing],
    )
    .await;
    let behind = async |yard: &Yard| yard.edit(|write| write.account.version += 1).await;
    check(behind, &[FindingKind::EntriesMissing]).await;
    let ahead = async |yard: &Yard| {
        let mut entry = yard.entry(10).await;
        entry.version = 11;
        yard.edit(|write| write.entries.push(entry)).await;
    };
    check(ahead, &[FindingKind::EntriesMissing]).await;
    check(
        async |yard| yard.edit_entry(2, |entry| entry.totals.used_bytes += 1).await,
        &[FindingKind::Totals],
    )
    .await;
    let rewritten = async |yard: &Yard| yard.edit_row(yard.processed, |row| row.revision += 1).await;
    check(rewritten, &[FindingKind::RowUnlikeEntry]).await;
    let forgotten =
        async |yard: &Yard| yard.edit(|write| write.forgotten.push(RowRange::of(yard.processed.file))).await;
    check(forgotten, &[FindingKind::Sums, FindingKind::RowUnlikeEntry]).await;
    let published = async |yard: &Yard| yard.edit(|write| write.account.published += 1).await;
    check(published, &[FindingKind::Published]).await;
}

// proves: I6
#[tokio::test]
async fn a_status_that_moved_as_it_may_not_is_told() {
    let spoil = async |yard: &Yard| {
        // The first upload's settlement.
        yard.edit_entry(3, |entry| entry.status = Some(Status::Gone)).await;
    };
    check(spoil, &[FindingKind::Status, FindingKind::Totals, FindingKind::RowUnlikeEntry]).await;
}

// proves: I14
#[tokio::test]
async fn rows_without_their_object_are_told() {
    for trashed in [false, true] {
        let spoil = async |yard: &Yard| {
            let key = if trashed { yard.trashed } else { yard.processed };
            yard.inside.well.objects.delete(key).await.unwrap();
        };
        check(spoil, &[FindingKind::NoObject]).await;
    }
    let other =
        async |yard: &Yard| yard.edit_row(yard.processed, |row| row.etag = Some("x".to_owned())).await;
    check(other, &[FindingKind::OtherObject]).await;
    let longer = async |yard: &Yard| {
        yard.inside.well.objects.delete(yard.processed).await.unwrap();
        yard.put(yard.processed).await;
    };
    check(longer, &[FindingKind::OtherObject]).await;
}

// proves: I17
#[tokio::test]
async fn objects_without_a_row_that_lives_are_told_after_a_grace() {
    let file = |yard: &Yard| yard.inside.time.file_id();
    let orphan = async |yard: &Yard| {
        yard.put(ObjectKey { user: yard.user, file: file(yard) }).await;
        yard.check(&[]).await;
        yard.inside.pass(2 * GRACE);
    };
    check(orphan, &[FindingKind::Orphan]).await;
    let nobody = UserId::from_subject("https://issuer.example", "bob").unwrap();
    let stray = async |yard: &Yard| {
        yard.put(ObjectKey { user: nobody, file: file(yard) }).await;
        yard.put(ObjectKey { user: nobody, file: file(yard) }).await;
        yard.check(&[]).await;
        yard.inside.pass(2 * GRACE);
    };
    check(stray, &[FindingKind::Orphan]).await;
    let returned = async |yard: &Yard| {
        yard.put(yard.gone).await;
        yard.pass_deep(yard.inside.now()).await;
    };
    check(returned, &[FindingKind::DeadObject]).await;
}

// proves: I10 I17 I18
#[tokio::test]
async fn what_waits_too_long_is_told() {
    let reserved = async |yard: &Yard| {
        let release_at = yard.account().await.pending[&yard.pending.file].release_at;
        yard.inside.clock.set(release_at.after(GRACE));
        yard.check(&[]).await;
        yard.inside.pass(Duration::from_millis(1));
    };
    check(reserved, &[FindingKind::ReservationLingers]).await;
    let deleting = async |yard: &Yard| {
        let mut row = yard.inside.row(yard.gone).await;
        (row.status, row.revision) = (Status::Deleting, row.revision - 1);
        yard.edit(|write| {
            write.files.push(row);
            write.account.deleting_count = 1;
        })
        .await;
        yard.check(&[FindingKind::RowUnlikeEntry]).await;
        yard.inside.pass(2 * GRACE);
    };
    check(deleting, &[FindingKind::DeletingLingers, FindingKind::RowUnlikeEntry]).await;
    let trashed = async |yard: &Yard| {
        let since = yard.inside.now().before(TRASH_RETENTION);
        yard.edit_row(yard.trashed, |row| row.trashed_at = Some(since)).await;
        yard.pass_deep(yard.inside.now()).await;
    };
    check(trashed, &[FindingKind::TrashLingers]).await;
}

// proves: I21
#[tokio::test]
async fn entries_without_their_event_are_told() {
    check(async |yard| yard.add_entries(&[11]).await, &[FindingKind::EventMissing]).await;
    let late = async |yard: &Yard| {
        yard.add_entries(&[11]).await;
        yard.edit(|write| write.account.published = 10).await;
        yard.check(&[]).await;
        yard.inside.pass(2 * GRACE);
    };
    check(late, &[FindingKind::Unpublished, FindingKind::EventMissing]).await;
    let unsaid = async |yard: &Yard| {
        yard.edit(|write| write.account.published = 9).await;
        yard.check(&[]).await;
        yard.inside.pass(2 * GRACE);
    };
    check(unsaid, &[FindingKind::Unpublished]).await;
}

// proves: I21
#[tokio::test]
async fn events_that_are_not_as_the_entries_are_told() {
    let swapped = async |yard: &Yard| {
        yard.add_entries(&[11, 12]).await;
        yard.tell(12).await;
        yard.tell(11).await;
    };
    check(swapped, &[FindingKind::EventOrder]).await;
    check(async |yard| yard.tell(11).await, &[FindingKind::EventUnknown]).await;
    // What a sweep tells, it tells before that.
    let swept = async |yard: &Yard| {
        yard.add_entries(&[11, 12]).await;
        yard.tell(12).await;
        yard.inside.pass(SWEEP_EVERY + GRACE);
        yard.tell(11).await;
    };
    check(swept, &[FindingKind::EventOrder]).await;
    let spoilt = async |yard: &Yard| {
        let subject = filter_of(yard.user).replacen('*', "files", 1).replacen('*', "processed", 1);
        yard.publish(subject, "spoilt".to_owned(), b"?".to_vec()).await;
    };
    check(spoilt, &[FindingKind::Unreadable]).await;
}

/// Events 11 to 14, of which a broker lost all but the last, and half an hour.
async fn lost() -> Yard {
    let yard = Yard::new().await;
    yard.add_entries(&[11, 12, 13, 14]).await;
    yard.tell(14).await;
    yard.inside.pass(Duration::from_secs(1800));
    yard.check(&[FindingKind::EventMissing]).await;
    yard
}

#[tokio::test]
async fn events_that_were_lost_and_published_again_are_counted_and_fine() {
    let yard = lost().await;
    let source =
        EventSource { deployment: "test".to_owned(), bucket: BUCKET.to_owned(), redact_names: false };
    let asked = Republish { user: yard.user, from: 11, to: None, is_dry_run: false };
    let (ledger, log) = (&yard.inside.well.ledger, &yard.inside.well.log);
    republish(ledger, log, &source, asked).await.unwrap();
    yard.check(&[]).await;
    let (_, summary) = yard.audit(None).await.unwrap();
    assert_eq!((summary.events_repaired, summary.events), (3, 10 + 4 + summary.events_repeated));
}

// proves: I21
#[tokio::test]
async fn what_is_told_again_in_part_or_out_of_order_is_no_repair() {
    let check = async |told: &[u64], expected: &[FindingKind]| {
        let yard = lost().await;
        for version in told {
            yard.tell(*version).await;
        }
        yard.check(expected).await;
    };
    check(&[11, 12, 13], &[]).await;
    check(&[11, 13, 12], &[FindingKind::EventOrder]).await;
    check(&[11, 12], &[FindingKind::EventMissing, FindingKind::EventOrder]).await;
}

#[tokio::test]
async fn events_told_twice_are_counted_and_fine() {
    let yard = Yard::new().await;
    // After the window in which the log knows them again.
    yard.inside.pass(GRACE / 2 + Duration::from_secs(3600));
    yard.tell(3).await;
    yard.tell(4).await;
    let (findings, summary) = yard.audit(None).await.unwrap();
    let others: Vec<_> = findings.iter().filter(|f| f.kind != FindingKind::ReservationLingers).collect();
    assert_eq!((others, summary.events_repeated), (Vec::new(), 2));
}
