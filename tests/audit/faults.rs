//! The audit on backends that fail, and beside a concurrent writer.

use crate::fault_injection::{Fault, Op};
use wharfinger::app::{AuditError, FindingKind};
use wharfinger::domain::decide::Reserve;

use crate::inside::PATIENCE;
use crate::world::Yard;

#[tokio::test]
async fn a_read_that_fails_once_is_tried_again() {
    for op in [
        Op::Scan,
        Op::Load,
        Op::Files,
        Op::EntriesAfter,
        Op::List,
        Op::ListUploads,
        Op::Replay,
        Op::ReplayNext,
    ] {
        let yard = Yard::new().await;
        yard.inside.plan.next(op, Fault::Unavailable);
        yard.check(&[]).await;
    }
}

/// The audit ends because of `what`.
async fn check_end(op: Op, what: &str) {
    let yard = Yard::new().await;
    yard.inside.plan.set(op, Fault::Unavailable);
    let error = yard.audit(Some(yard.user)).await.unwrap_err();
    assert!(matches!(&error, AuditError::Unreadable { what: named, .. } if *named == what), "{error}");
}

#[tokio::test]
async fn what_cannot_be_read_ends_the_audit() {
    let log = async { tokio::join!(check_end(Op::Replay, "the log"), check_end(Op::ReplayNext, "the log")) };
    tokio::join!(check_end(Op::Load, "the ledger"), check_end(Op::List, "the bucket"), log);
}

#[tokio::test]
async fn an_account_that_cannot_be_understood_is_told_and_the_rest_is_read() {
    let yard = Yard::new().await;
    yard.inside.plan.set(Op::Files, Fault::Corrupt);
    yard.check(&[FindingKind::Unreadable]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_moves_is_not_accused() {
    let yard = Yard::new().await;
    let tree = yard.inside.another_tree().await;
    let (handle, user) = (tree.handle().clone(), yard.user);
    let uploads: Vec<_> = (0..200).map(|_| yard.inside.upload_of("b.txt", 1)).collect();
    let writer = tokio::spawn(async move {
        for upload in uploads {
            let asked = Reserve { uploads: vec![upload], idempotency: None, subject: None };
            handle.reserve(user, asked).await.unwrap();
        }
    });
    let mut audits = 0;
    while !writer.is_finished() {
        yard.check(&[]).await;
        audits += 1;
    }
    writer.await.unwrap();
    yard.check(&[]).await;
    tree.stop(PATIENCE).await;
    assert!(audits > 1, "they ran side by side");
}
