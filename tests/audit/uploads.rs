//! Uploads in chunks that are open, and whether a pending file names them.

use std::time::Duration;

use wharfinger::app::FindingKind;
use wharfinger::domain::file::{Multipart, Status};
use wharfinger::domain::ids::ObjectKey;
use wharfinger::domain::time::Timestamp;
use wharfinger::limits::UPLOAD_AGE_MIN;
use wharfinger::ports::ObjectsPort as _;

use crate::world::{DEEP_EVERY, GRACE, Yard};

/// Begins an upload in the bucket alone, and returns its name and when it was begun.
async fn begin(yard: &Yard, key: ObjectKey) -> (String, Timestamp) {
    let upload_id = yard.inside.well.objects.create_multipart(key, "text/plain", Vec::new()).await.unwrap();
    (upload_id, yard.inside.now())
}

async fn name(yard: &Yard, key: ObjectKey, upload_id: String) {
    yard.edit_row(key, |row| row.multipart = Some(Multipart { upload_id, chunk_bytes: 5 << 20 })).await;
}

/// When the audit reports what the sweep may give up since `time`, and not before.
async fn check_told_after(yard: &Yard, time: Timestamp, told: bool) {
    yard.inside.clock.set(time.after(DEEP_EVERY + GRACE));
    assert!(!is_told(yard).await);
    yard.inside.pass(Duration::from_millis(1));
    assert_eq!(is_told(yard).await, told);
}

/// The reservation that nobody sweeps lingers too.
async fn is_told(yard: &Yard) -> bool {
    let (findings, _) = yard.audit(None).await.unwrap();
    let kinds: Vec<_> = findings.iter().map(|finding| finding.kind).collect();
    assert!(
        kinds.iter().all(|kind| [FindingKind::OrphanUpload, FindingKind::ReservationLingers].contains(kind)),
        "{findings:#?}"
    );
    kinds.contains(&FindingKind::OrphanUpload)
}

// proves: I17
#[tokio::test]
async fn an_open_upload_that_no_row_names_is_told_when_the_sweep_must_have_given_it_up() {
    let yard = Yard::new().await;
    let (_, begun) = begin(&yard, ObjectKey { user: yard.user, file: yard.inside.time.file_id() }).await;
    check_told_after(&yard, begun.after(UPLOAD_AGE_MIN), true).await;
    let nobody = wharfinger::domain::ids::UserId::from_subject("https://issuer.example", "bob").unwrap();
    assert_eq!(yard.audit(Some(nobody)).await.unwrap().1.disagreements, 0, "it is another's");
}

// proves: I17
#[tokio::test]
async fn an_open_upload_of_a_file_that_names_another_is_told() {
    let yard = Yard::new().await;
    let (_, begun) = begin(&yard, yard.pending).await;
    name(&yard, yard.pending, "another".to_owned()).await;
    check_told_after(&yard, begun.after(UPLOAD_AGE_MIN), true).await;
}

#[tokio::test]
async fn an_open_upload_that_a_pending_file_names_is_fine() {
    let yard = Yard::new().await;
    let (upload_id, begun) = begin(&yard, yard.pending).await;
    name(&yard, yard.pending, upload_id).await;
    check_told_after(&yard, begun.after(UPLOAD_AGE_MIN), false).await;
}

#[tokio::test]
async fn an_open_upload_of_a_file_that_has_moved_on_is_told_a_while_after_it_has() {
    let yard = Yard::new().await;
    let (upload_id, begun) = begin(&yard, yard.gone).await;
    let moved_at = begun.after(2 * UPLOAD_AGE_MIN);
    yard.edit_row(yard.gone, |row| {
        row.multipart = Some(Multipart { upload_id, chunk_bytes: 5 << 20 });
        (row.status, row.changed_at) = (Status::Gone, moved_at);
    })
    .await;
    check_told_after(&yard, moved_at, true).await;
}
