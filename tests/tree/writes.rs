//! Writes whose outcome is unknown, that land late, or that others overtake: each ends in exactly one
//! reservation.

use std::time::Duration;

use crate::fault_injection::{Fault, Op, Port};
use wharfinger::actors::DeskError;
use wharfinger::domain::arrival::ArrivalKind;
use wharfinger::domain::decide::{IdempotencyKey, Reserve, ReserveRefusal};
use wharfinger::domain::file::Status;
use wharfinger::domain::ids::ObjectKey;
use wharfinger::domain::transitions::{FilePatch, Removal};
use wharfinger::ports::CommitError;

use crate::inside::PATIENCE;
use crate::world::{Reservation, World};

/// The outcome of a reservation whose commits go so, one after the other, and how many commits it took.
/// Whatever the outcome, a repeat with the same key then finds or makes exactly one file.
async fn check(faults: &[Fault], expected: Result<(), DeskError<ReserveRefusal>>, commits: u64) {
    let world = World::start().await;
    for fault in faults {
        world.plan.next(Op::Commit, *fault);
    }
    let reserved = world.reserve_as(Some(1), 5).await;
    assert_eq!(reserved.clone().map(drop), expected, "{faults:?}");
    assert_eq!(world.plan.calls(Op::Commit), commits, "{faults:?}");
    let again = world.reserve_as(Some(1), 5).await;
    if reserved.is_ok() {
        assert_eq!(again, reserved, "{faults:?}");
    }
    check_one(&world, again).await;
}

/// There is one reservation of 5 bytes, and it is this.
async fn check_one(world: &World, reserved: Reservation) {
    let rows = world.rows(world.user).await;
    let found: Vec<_> = rows.iter().map(|row| (row.file_id, row.status)).collect();
    assert_eq!(found, [(reserved.unwrap().file, Status::Pending)]);
    world.check_bytes(0, 5).await;
    world.check_events(&["1 files.reserved"]).await;
    world.check_ledger().await;
}

// proves: I24 F3 F33 F34
#[tokio::test]
async fn rows_3_33_34_a_write_of_unknown_outcome_is_one_reservation() {
    check(&[Fault::Fine], Ok(()), 1).await;
    check(&[Fault::Unanswered], Ok(()), 1).await;
    check(&[Fault::Lost], Ok(()), 2).await;
    check(&[Fault::Lost, Fault::Unanswered], Ok(()), 2).await;
    check(&[Fault::Twice], Ok(()), 1).await;
}

// proves: I12 F33 F36
#[tokio::test]
async fn rows_33_36_a_write_that_is_lost_again_and_again_is_refused() {
    check(&[Fault::Lost, Fault::Lost, Fault::Lost], Err(DeskError::Unavailable), 3).await;
}

// proves: I12 F35
#[tokio::test]
async fn row_35_a_ledger_that_takes_no_writes_is_told_at_once() {
    check(&[Fault::Unavailable], Err(DeskError::Unavailable), 1).await;
}

// proves: I12 I13 F35
#[tokio::test]
async fn row_35_nothing_is_answered_from_memory_while_the_ledger_is_away() {
    let world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    world.plan.set_port(Port::Ledger, Fault::Unavailable);
    assert_eq!(world.reserve(1).await, Err(DeskError::Unavailable));
    assert_eq!(world.handle.restore(key.user, key.file).await, Err(DeskError::Unavailable));
    world.plan.heal();
    check_one(&world, Ok(key)).await;
}

// proves: I9 F3
#[tokio::test]
async fn row_3_when_even_the_outcome_cannot_be_read_a_repeat_finds_it() {
    let world = World::start().await;
    world.plan.set(Op::Commit, Fault::Unanswered);
    world.plan.set(Op::Entry, Fault::Unavailable);
    assert_eq!(world.reserve_as(Some(1), 5).await, Err(DeskError::Unavailable));
    world.plan.heal();
    let again = world.reserve_as(Some(1), 5).await;
    check_one(&world, again).await;
}

// proves: I23 F2 F44
#[tokio::test]
async fn row_2_a_write_that_lands_after_its_repeat_does_not_apply() {
    let world = World::start().await;
    world.plan.next(Op::Commit, Fault::Late);
    let reserved = world.reserve(5).await;
    assert_eq!(world.late.land_late().await, [Err(CommitError::Conflict)]);
    check_one(&world, reserved).await;
}

// proves: F2 F3
#[tokio::test]
async fn row_2_a_write_that_lands_before_its_repeat_is_found() {
    let world = World::start().await;
    world.plan.next(Op::Commit, Fault::Late);
    world.plan.next(Op::Commit, Fault::Hang);
    let land = async {
        world.calls(Op::Commit, 2).await;
        assert_eq!(world.late.land_late().await, [Ok(())]);
        world.plan.heal();
    };
    let (reserved, ()) = tokio::join!(world.reserve(5), land);
    check_one(&world, reserved).await;
    assert_eq!(world.plan.calls(Op::Commit), 2);
}

// proves: I22 F33 F34
#[tokio::test]
async fn rows_33_34_a_settlement_of_unknown_outcome_counts_once() {
    for fault in [Fault::Unanswered, Fault::Lost, Fault::Late] {
        let world = World::start().await;
        let key = world.reserve(5).await.unwrap();
        world.land(key).await;
        world.plan.next(Op::Commit, fault);
        world.tell(ArrivalKind::Created, key).await;
        world.wait_for_status(key, Status::Processed).await;
        world.late.land_late().await;
        world.check_bytes(5, 0).await;
        world.check_events(&["1 files.reserved", "2 files.processed"]).await;
        world.check_ledger().await;
    }
}

// proves: F3 F34
#[tokio::test]
async fn rows_3_34_a_change_bound_to_a_revision_is_not_refused_for_its_own_lost_answer() {
    let world = World::start().await;
    let key = world.upload(5).await;
    world.plan.next(Op::Commit, Fault::Unanswered);
    let patch = FilePatch { filename: Some("b.txt".to_owned()), visibility: None, if_revision: Some(2) };
    let changed = world.handle.update(key.user, key.file, patch).await.unwrap();
    assert_eq!((changed.filename.as_str(), changed.revision), ("b.txt", 3));
}

// proves: F33 F34
#[tokio::test]
async fn rows_33_34_anothers_entry_does_not_answer_for_a_write_that_was_lost() {
    let world = World::start().await;
    world.reserve(1).await.unwrap();
    let other = world.another_tree().await;
    let asked = Reserve { uploads: vec![world.upload_of("b.txt", 2)], idempotency: None, subject: None };
    other.handle().reserve(world.user, asked).await.unwrap();
    // On an old version, and nobody says that it was refused: at the version it proposed stands another's entry.
    world.plan.next(Op::Commit, Fault::Lost);
    let reserved = world.reserve(5).await.unwrap();
    world.check_status(reserved, Status::Pending).await;
    world.check_bytes(0, 8).await;
    world.check_ledger().await;
    other.stop(crate::inside::PATIENCE).await;
}

// proves: F33 F34
#[tokio::test]
async fn row_33_a_write_that_others_wrote_upon_is_known_as_applied_and_not_done_again() {
    let world = World::start().await;
    let key = world.upload(5).await;
    let other = world.another_tree().await;
    world.plan.next(Op::Commit, Fault::Unanswered);
    world.plan.next(Op::Entry, Fault::Hang);
    let asked = world.plan.calls(Op::Entry);
    let undo = async {
        world.calls(Op::Entry, asked + 1).await;
        other.handle().restore(key.user, key.file).await.unwrap();
        world.plan.heal();
    };
    let (trashed, ()) = tokio::join!(world.handle.remove(key.user, key.file, Removal::Trash), undo);
    trashed.unwrap();
    world.check_status(key, Status::Processed).await;
    let expected = ["1 files.reserved", "2 files.processed", "3 files.trashed", "4 files.restored"];
    world.check_events(&expected).await;
    other.stop(crate::inside::PATIENCE).await;
}

// proves: F2 F33
#[tokio::test]
async fn row_2_a_change_bound_to_a_revision_whose_write_lands_late_is_not_refused_for_it() {
    let world = World::start().await;
    let key = world.upload(5).await;
    let first = world.plan.calls(Op::Commit);
    world.plan.next(Op::Commit, Fault::Late);
    world.plan.next(Op::Commit, Fault::Hang);
    let patch = FilePatch { filename: Some("b.txt".to_owned()), visibility: None, if_revision: Some(2) };
    let land = async {
        world.calls(Op::Commit, first + 2).await;
        assert_eq!(world.late.land_late().await, [Ok(())]);
        world.plan.heal();
    };
    let (changed, ()) = tokio::join!(world.handle.update(key.user, key.file, patch), land);
    let changed = changed.expect("its first write is the one that counts");
    assert_eq!((changed.filename.as_str(), changed.revision), ("b.txt", 3));
    assert_eq!(world.row(key).await.revision, 3, "once");
    world.check_events(&["1 files.reserved", "2 files.processed", "3 files.updated"]).await;
    world.check_ledger().await;
}

// proves: I9 F48
#[tokio::test]
async fn row_48_a_client_that_hangs_up_has_reserved_and_its_repeat_finds_it() {
    let world = World::start().await;
    world.plan.set(Op::Commit, Fault::Hang);
    tokio::select! {
        reserved = world.reserve_as(Some(1), 5) => panic!("answered without a write: {reserved:?}"),
        () = world.calls(Op::Commit, 1) => {}
    }
    world.plan.heal();
    let again = world.reserve_as(Some(1), 5).await;
    assert_eq!(world.plan.calls(Op::Commit), 1, "the first write is what counts");
    check_one(&world, again).await;
}

// proves: I3 I23 F5 F41 F43
#[tokio::test]
async fn rows_5_41_two_owners_of_one_user_never_take_more_than_the_quota() {
    let world = World::with_quota(100).await;
    let other = world.another_tree().await;
    let asked = || Reserve { uploads: vec![world.upload_of("a.txt", 10)], idempotency: None, subject: None };
    let both = (0..20).map(|number| {
        let handle = if number % 2 == 0 { &world.handle } else { other.handle() };
        handle.reserve(world.user, asked())
    });
    let outcomes = futures_util::future::join_all(both).await;
    let granted = u64::try_from(outcomes.iter().filter(|outcome| outcome.is_ok()).count()).unwrap();
    assert!((1..=10).contains(&granted), "{granted} of 10 bytes in 100");
    world.check_bytes(0, granted * 10).await;
    world.check_ledger().await;
    world.wait_for_events().await;
    other.stop(crate::inside::PATIENCE).await;
}

// proves: I13 F6
#[tokio::test]
async fn row_6_a_full_account_is_looked_at_again_before_it_is_told() {
    let world = World::with_quota(10).await;
    let key = world.upload(10).await;
    let other = world.another_tree().await;
    let delete = other.handle().remove(key.user, key.file, Removal::Permanent);
    delete.await.unwrap();
    assert!(matches!(world.reserve(5).await, Err(DeskError::Refused(ReserveRefusal::QuotaExceeded { .. }))));
    // A memory older than a second is not good enough for a no (invariant 13).
    world.pass(std::time::Duration::from_secs(1));
    let reserved: ObjectKey = world.reserve(5).await.unwrap();
    world.check_status(reserved, Status::Pending).await;
    world.check_bytes(0, 5).await;
    other.stop(crate::inside::PATIENCE).await;
}

// proves: I10
#[tokio::test]
async fn a_repeat_finds_what_another_node_made_of_its_file() {
    let world = World::start().await;
    let key = world.reserve_as(Some(1), 5).await.unwrap();
    let other = world.another_tree().await;
    world.land(key).await;
    other.handle().complete(key.user, key.file).await.unwrap();
    other.handle().remove(key.user, key.file, Removal::Permanent).await.unwrap();
    world.pass(Duration::from_secs(2));
    let idempotency = Some(IdempotencyKey { key: 1, body: 5 });
    let asked = Reserve { uploads: vec![world.upload_of("a.txt", 5)], idempotency, subject: None };
    let repeated = world.handle.reserve(world.user, asked).await.unwrap();
    assert!(repeated.repeated);
    assert_ne!(repeated.files[0].status, Status::Pending, "nothing may be signed for it");
    other.stop(PATIENCE).await;
}

// proves: I23 F5
#[tokio::test]
async fn row_5_a_file_that_another_node_reserved_is_settled_by_a_node_that_remembers_an_older_account() {
    let world = World::start().await;
    world.reserve(1).await.unwrap();
    let other = world.another_tree().await;
    let upload = world.upload_of("b.txt", 5);
    let asked = Reserve { uploads: vec![upload], idempotency: None, subject: None };
    let reserved = other.handle().reserve(world.user, asked).await.unwrap();
    let key = ObjectKey { user: world.user, file: reserved.files[0].file_id };
    world.land(key).await;
    world.handle.complete(key.user, key.file).await.unwrap();
    world.check_status(key, Status::Processed).await;
    world.check_bytes(5, 1).await;
    world.check_ledger().await;
    other.stop(PATIENCE).await;
}
