//! What only a whole sweep finds: old trash, old rows, orphans in the bucket, sums that differ.

use std::time::Duration;

use crate::fault_injection::{Fault, Op};
use wharfinger::actors::{DeskError, Orphans, SweepOptions, TreeOptions};
use wharfinger::app::{AuditOptions, Auditor, Finding, FindingKind};
use wharfinger::domain::decide::{Reserve, ReserveRefusal, Rules};
use wharfinger::domain::file::Status;
use wharfinger::domain::ids::{ObjectKey, UserId};
use wharfinger::domain::transitions::Removal;
use wharfinger::limits::{
    FAILED_RETENTION, FORGET_MARGIN, GONE_RETENTION, IDEMPOTENCY_TTL, MISSING_AGE_MIN, ORPHAN_AGE_MIN,
    TRASH_RETENTION, UPLOAD_URL_TTL,
};
use wharfinger::ports::{LedgerPort as _, ObjectsPort as _, Stream};

use crate::counted::Counted;
use crate::inside::{Backends, Chosen, eventually};
use crate::world::World;

const A_MOMENT: Duration = Duration::from_millis(1);
const A_MINUTE: Duration = Duration::from_secs(60);

async fn with(sweep: SweepOptions) -> World {
    World::with(Chosen { options: TreeOptions { sweep, ..TreeOptions::default() }, ..Chosen::default() })
        .await
}

async fn with_orphans(orphans: Orphans) -> World {
    with(SweepOptions { orphans, ..SweepOptions::default() }).await
}

async fn wait_until_removed(world: &World, key: ObjectKey) {
    let look = async || (!world.is_in_the_bucket(key).await).then_some(());
    eventually("the object to go", look).await;
}

async fn has_row(world: &World, key: ObjectKey) -> bool {
    world.well.ledger.file(key.user, key.file).await.unwrap().is_some()
}

/// A file that is deleted for good, its bytes gone.
async fn gone(world: &World) -> ObjectKey {
    let key = world.upload(5).await;
    world.handle.remove(key.user, key.file, Removal::Permanent).await.unwrap();
    world.wait_for_status(key, Status::Gone).await;
    key
}

// proves: I10
#[tokio::test]
async fn trash_is_deleted_when_its_time_is_over_and_not_before() {
    let world = World::start().await;
    let (old, restored) = (world.upload(5).await, world.upload(6).await);
    for key in [old, restored] {
        world.handle.remove(key.user, key.file, Removal::Trash).await.unwrap();
    }
    world.pass(TRASH_RETENTION);
    world.sweep().await;
    world.check_status(old, Status::Trashed).await;
    world.check_bytes(11, 0).await;
    world.handle.restore(restored.user, restored.file).await.unwrap();
    world.pass(A_MOMENT);
    world.sweep().await;
    world.wait_for_status(old, Status::Gone).await;
    wait_until_removed(&world, old).await;
    world.check_status(restored, Status::Processed).await;
    world.check_bytes(6, 0).await;
    // The log itself forgets after 30 days: what it still has is the end.
    let look = async || {
        world
            .events()
            .await
            .ends_with(&["8 files.deleted".to_owned(), "9 files.purged".to_owned()])
            .then_some(())
    };
    eventually("the end to be told", look).await;
    world.check_ledger().await;
}

/// S3 refuses whose clock is wrong, and by such a clock all trash may be old.
#[tokio::test]
async fn nothing_is_ended_or_forgotten_without_an_answer_of_the_bucket() {
    let world = World::start().await;
    let (trashed, gone) = (world.upload(5).await, gone(&world).await);
    world.handle.remove(trashed.user, trashed.file, Removal::Trash).await.unwrap();
    world.wait_until_saved().await;
    world.plan.set(Op::List, Fault::Unavailable);
    world.pass(TRASH_RETENTION + A_MOMENT);
    world.sweep().await;
    world.check_status(trashed, Status::Trashed).await;
    assert!(has_row(&world, gone).await);
    world.plan.heal();
    world.sweep().await;
    world.wait_for_status(trashed, Status::Gone).await;
    assert!(!has_row(&world, gone).await);
}

#[tokio::test]
async fn a_setting_says_how_long_trash_is_kept() {
    let day = Duration::from_secs(24 * 3600);
    let world = with(SweepOptions { trash_retention: day, ..SweepOptions::default() }).await;
    let keys = [world.upload(1).await, world.upload(2).await];
    for key in keys {
        world.handle.remove(key.user, key.file, Removal::Trash).await.unwrap();
    }
    world.pass(day + A_MOMENT);
    world.sweep().await;
    for key in keys {
        world.wait_for_status(key, Status::Gone).await;
    }
    world.check_bytes(0, 0).await;
}

/// From when a file is reserved until its row may be forgotten, if its owner may not see it.
fn uploads_end() -> Duration {
    UPLOAD_URL_TTL + Rules::GRACE + FORGET_MARGIN
}

// proves: I4 I6
#[tokio::test]
async fn a_row_that_nobody_may_see_is_forgotten_when_no_url_of_it_can_be_used_and_not_before() {
    let world = World::start().await;
    let (gone, kept) = (gone(&world).await, world.upload(7).await);
    world.wait_until_saved().await;
    let deleted_by = world.now();
    world.clock.set(deleted_by.after(uploads_end() - A_MINUTE));
    world.sweep().await;
    world.check_status(gone, Status::Gone).await;
    world.pass(A_MINUTE + A_MOMENT);
    let version = world.account().await.version;
    world.sweep().await;
    assert!(!has_row(&world, gone).await);
    world.check_status(kept, Status::Processed).await;
    let account = world.account().await;
    assert_eq!((account.version, account.row_count), (version, 1), "it is no transition");
    world.check_ledger().await;
}

// proves: I4 I6 I18
#[tokio::test]
async fn a_file_that_failed_is_shown_for_a_day_and_then_forgotten() {
    let world = World::start().await;
    let expired = world.reserve(5).await.unwrap();
    world.pass(uploads_end() + A_MOMENT);
    world.sweep().await;
    world.check_status(expired, Status::Expired).await;
    world.wait_until_saved().await;
    world.pass(FAILED_RETENTION - A_MINUTE);
    world.sweep().await;
    assert!(has_row(&world, expired).await);
    world.pass(A_MINUTE + A_MOMENT);
    world.sweep().await;
    assert!(!has_row(&world, expired).await);
    world.check_ledger().await;
}

// proves: I4
#[tokio::test]
async fn neighbouring_rows_are_forgotten_in_one_write() {
    let world = World::start().await;
    let kept = world.upload(7).await;
    for _ in 0..20 {
        gone(&world).await;
    }
    let young = world.upload(8).await;
    world.wait_until_saved().await;
    world.pass(uploads_end() + A_MOMENT);
    let commits = world.plan.calls(Op::Commit);
    world.sweep().await;
    assert_eq!(world.plan.calls(Op::Commit), commits + 1, "a range, not a row each");
    assert_eq!(world.account().await.row_count, 2);
    world.check_status(kept, Status::Processed).await;
    world.check_status(young, Status::Processed).await;
    world.check_ledger().await;
}

// proves: I4
#[tokio::test]
async fn a_loop_of_presigns_and_deletes_fills_no_partition() {
    let rows_max = 8;
    let rules = Rules { files_max: 4, rows_max, ..Rules::default() };
    let world = World::with(Chosen { rules, ..Chosen::default() }).await;
    for _ in 0..rows_max {
        gone(&world).await;
    }
    let refused = world.reserve(1).await;
    let too_many = ReserveRefusal::TooManyFiles { files_max: 4 };
    assert_eq!(refused, Err(DeskError::Refused(too_many)));
    assert_eq!(world.account().await.row_count, rows_max);
    world.wait_until_saved().await;
    world.pass(uploads_end() + A_MOMENT);
    world.sweep().await;
    assert_eq!(world.account().await.row_count, 0);
    world.reserve(1).await.unwrap();
}

// proves: I9
#[tokio::test]
async fn a_repeat_finds_its_file_deleted_after_the_row_was_forgotten() {
    let world = World::start().await;
    let key = world.reserve_as(Some(1), 5).await.unwrap();
    world.land(key).await;
    world.handle.complete(key.user, key.file).await.unwrap();
    world.handle.remove(key.user, key.file, Removal::Permanent).await.unwrap();
    world.wait_for_status(key, Status::Gone).await;
    world.wait_until_saved().await;
    world.pass(uploads_end() + A_MOMENT);
    world.sweep().await;
    assert!(!has_row(&world, key).await);
    assert_eq!(world.reserve_as(Some(1), 5).await, Ok(key), "the same file, and nothing is reserved");
    world.check_bytes(0, 0).await;
    world.pass(IDEMPOTENCY_TTL);
    assert_ne!(world.reserve_as(Some(1), 5).await, Ok(key), "its day is over");
}

// proves: I28
#[tokio::test]
async fn history_is_trimmed_when_it_is_older_than_it_is_kept() {
    let day = Duration::from_secs(24 * 3600);
    let world = with(SweepOptions { history: Some(day), ..SweepOptions::default() }).await;
    let old = world.upload(5).await;
    world.wait_until_saved().await;
    world.pass(day / 2);
    world.upload(6).await;
    world.wait_until_saved().await;
    world.sweep().await;
    assert_eq!(world.account().await.history_floor, 0, "nothing is old enough");
    world.pass(day / 2 + A_MINUTE);
    world.sweep().await;
    let account = world.account().await;
    assert_eq!((account.history_floor, account.version), (2, 4));
    let left = world.well.ledger.entries_after(world.user, 0, 10).await.unwrap();
    assert_eq!(left.iter().map(|entry| entry.version).collect::<Vec<_>>(), [3, 4]);
    world.check_status(old, Status::Processed).await;
    // The last entry stays, however old: its totals are the account's.
    world.pass(10 * day);
    world.sweep().await;
    assert_eq!(world.account().await.history_floor, 3);
}

// proves: I28
#[tokio::test]
async fn history_that_is_not_published_is_not_trimmed() {
    let day = Duration::from_secs(24 * 3600);
    let world = with(SweepOptions { history: Some(day), ..SweepOptions::default() }).await;
    world.plan.set(Op::Publish(Stream::Events), Fault::Unavailable);
    world.upload(5).await;
    world.pass(2 * day);
    world.sweep().await;
    assert_eq!(world.account().await.history_floor, 0);
}

// proves: I21
#[tokio::test]
async fn a_row_is_not_forgotten_before_its_last_event_is_out() {
    let world = World::start().await;
    world.plan.set(Op::Publish(Stream::Events), Fault::Unavailable);
    let key = gone(&world).await;
    check_kept_until_told(&world, key).await;
}

// proves: I21
#[tokio::test]
async fn a_row_that_a_slow_clock_wrote_is_not_forgotten_before_its_last_event_is_out() {
    let world = World::start().await;
    world.plan.set(Op::Publish(Stream::Events), Fault::Unavailable);
    let now = world.now();
    world.pass(A_MINUTE);
    world.reserve(5).await.unwrap();
    world.clock.set(now);
    let key = gone(&world).await;
    check_kept_until_told(&world, key).await;
}

async fn check_kept_until_told(world: &World, key: ObjectKey) {
    world.pass(GONE_RETENTION + A_MOMENT);
    world.sweep().await;
    assert!(has_row(world, key).await, "its event is made from it");
    world.plan.heal();
    world.wait_until_saved().await;
    world.sweep().await;
    assert!(!has_row(world, key).await);
}

#[tokio::test]
async fn a_conflict_keeps_a_row_from_being_forgotten_and_the_next_sweep_forgets_it() {
    let world = World::start().await;
    let key = gone(&world).await;
    world.wait_until_saved().await;
    world.pass(GONE_RETENTION + A_MOMENT);
    world.plan.set(Op::Commit, Fault::Unavailable);
    world.sweep().await;
    assert!(has_row(&world, key).await);
    world.plan.heal();
    world.sweep().await;
    assert!(!has_row(&world, key).await);
}

/// An object that no row knows: of a user with an account, or without.
async fn orphan(world: &World, user: UserId) -> ObjectKey {
    let key = ObjectKey { user, file: world.time.file_id() };
    world.put(key, 5, "text/plain".to_owned()).await;
    key
}

async fn check_orphans(orphans: Orphans, is_removed: bool, counted: u64) {
    let world = with_orphans(orphans).await;
    let kept = world.upload(3).await;
    let stranger = UserId::from_subject("https://issuer.example", "nobody").unwrap();
    let keys = [orphan(&world, world.user).await, orphan(&world, stranger).await];
    world.pass(ORPHAN_AGE_MIN);
    world.sweep().await;
    for key in keys {
        assert!(world.is_in_the_bucket(key).await, "not before it is a day old");
    }
    world.pass(A_MOMENT);
    let before = world.plan.calls(Op::ObjectDelete);
    let found = Counted::during(world.sweep()).await;
    assert_eq!(found.of("wharf_sweep_found_total", "orphan"), counted, "{orphans:?}");
    assert_eq!(
        found.plain("wharf_sweep_orphan_objects"),
        Some(if counted > 0 { 2.0 } else { 0.0 }),
        "{orphans:?}"
    );
    if is_removed {
        for key in keys {
            wait_until_removed(&world, key).await;
        }
    } else {
        assert_eq!(world.plan.calls(Op::ObjectDelete), before, "{orphans:?}");
    }
    assert!(world.is_in_the_bucket(kept).await);
    world.check_ledger().await;
}

#[tokio::test]
async fn an_object_that_is_nobodys_is_told_of_and_kept_unless_a_setting_says_otherwise() {
    assert_eq!(SweepOptions::default().orphans, Orphans::Report);
    check_orphans(Orphans::Report, false, 2).await;
}

// proves: I17
#[tokio::test]
async fn an_object_that_is_nobodys_is_removed_where_a_setting_says_so() {
    check_orphans(Orphans::Remove, true, 2).await;
}

// proves: F40
#[tokio::test]
async fn while_a_backup_is_restored_nobody_looks_for_orphans() {
    check_orphans(Orphans::Off, false, 0).await;
}

#[tokio::test]
async fn an_account_that_cannot_be_read_is_told_of_and_hides_no_other() {
    let world = World::start().await;
    let (damaged, stranger) = (user_at(1), user_at(u128::MAX));
    world.fill(damaged, std::iter::once("a".to_owned())).await;
    let (trashed, late) = (world.upload(5).await, world.reserve(6).await.unwrap());
    world.handle.remove(trashed.user, trashed.file, Removal::Trash).await.unwrap();
    for user in [damaged, stranger] {
        let key = orphan(&world, user).await;
        world.well.objects.create_multipart(key, "text/plain", Vec::new()).await.unwrap();
    }
    world.late.damage(damaged);
    world.pass(TRASH_RETENTION + A_MOMENT);
    let found = Counted::during(world.sweep()).await;
    assert_eq!(found.plain("wharf_sweep_unreadable_accounts"), Some(1.0));
    // In each pass, and for its upload.
    assert_eq!(found.of("wharf_sweep_failures_total", "an account"), 3);
    world.check_status(late, Status::Expired).await;
    world.wait_for_status(trashed, Status::Gone).await;
    assert_eq!(found.of("wharf_sweep_found_total", "orphan"), 1, "of the stranger");
    assert_eq!(found.of("wharf_sweep_found_total", "upload"), 1, "of the stranger");
    assert_eq!(world.handle.census().map(|census| (census.users, census.unreadable)), Some((1, 1)));
    world.reserve(1).await.unwrap();
    assert!(world.health.is_ready(), "it is no outage");
}

/// Health must not learn of it: not from a read, not from a write whose outcome cannot be read, not from a sweep.
#[tokio::test]
async fn a_user_whose_data_the_ledger_cannot_read_is_no_outage() {
    let world = World::start().await;
    let (unreadable, late) = (user_at(1), world.reserve(6).await.unwrap());
    let reserve = || {
        let uploads = vec![world.upload_of("a.txt", 1)];
        world.handle.reserve(unreadable, Reserve { uploads, idempotency: None, subject: None })
    };
    reserve().await.unwrap();
    world.late.make_unreadable(unreadable);
    for attempt in ["a write whose outcome cannot be read", "a read"] {
        assert!(matches!(reserve().await, Err(DeskError::Unavailable)), "{attempt}");
        assert!(world.health.is_ready(), "{attempt}: {:?}", world.health.states());
    }
    world.pass(TRASH_RETENTION);
    let found = Counted::during(world.sweep()).await;
    assert_eq!(found.plain("wharf_sweep_unreadable_accounts"), Some(1.0));
    world.check_status(late, Status::Expired).await;
    assert_eq!(world.handle.census().map(|census| (census.users, census.unreadable)), Some((1, 1)));
    world.reserve(1).await.unwrap();
    assert!(world.health.is_ready(), "{:?}", world.health.states());
}

#[tokio::test]
async fn an_audit_tells_of_an_account_that_cannot_be_read_and_goes_on() {
    check_audit_of_unreadable(|world| world.late.damage(user_at(1)), Some(user_at(1))).await;
    check_audit_of_unreadable(|world| world.late.make_unreadable(user_at(1)), None).await;
}

async fn check_audit_of_unreadable(spoil: impl Fn(&World), named: Option<UserId>) {
    let world = World::start().await;
    world.fill(user_at(1), std::iter::once("a".to_owned())).await;
    world.upload(5).await;
    world.wait_until_saved().await;
    world.plant(|account| account.totals.used_bytes += 7).await;
    spoil(&world);
    let Backends { ledger, log, objects, .. } = world.faulty.clone();
    let options = AuditOptions {
        user: None,
        grace: Duration::ZERO,
        deep_every: Duration::ZERO,
        trash_retention: TRASH_RETENTION,
        quiet: Duration::ZERO,
        reads_per_sec: None,
    };
    let audited = wharfinger::app::Deployment { ledger, log, objects, clock: world.time.clone() };
    let mut told = Vec::new();
    let mut tell = |finding: &Finding| {
        told.push((finding.user, finding.kind));
        Ok(())
    };
    Auditor::new(audited, options).run(&mut tell).await.unwrap();
    assert!(told.contains(&(named, FindingKind::Unreadable)), "{told:?}");
    assert!(told.iter().any(|(user, _)| *user == Some(world.user)), "{told:?}");
}

/// A user who comes before the others in every list, or behind them.
fn user_at(place: u128) -> UserId {
    UserId::from_uuid(uuid::Uuid::from_u128(place))
}

// proves: I14
#[tokio::test]
async fn a_processed_file_without_an_object_is_an_alarm_and_nothing_is_changed() {
    let world = World::start().await;
    world.upload(5).await;
    world.fill(world.user, ["a".to_owned(), "b".to_owned()].into_iter()).await;
    world.pass(MISSING_AGE_MIN);
    let found = Counted::during(world.sweep()).await;
    assert_eq!(found.plain("wharf_sweep_missing_objects"), Some(0.0), "not within the hour");
    world.pass(A_MOMENT);
    let version = world.account().await.version;
    let found = Counted::during(world.sweep()).await;
    assert_eq!(found.plain("wharf_sweep_missing_objects"), Some(2.0));
    assert_eq!(found.of("wharf_sweep_found_total", "missing"), 2);
    assert_eq!(world.account().await.version, version);
    world.check_bytes(7, 0).await;
}

#[tokio::test]
async fn a_file_whose_deletion_is_under_way_is_not_missing() {
    let world = World::start().await;
    let key = world.upload(5).await;
    world.plan.set(Op::ObjectDelete, Fault::Unanswered);
    world.pass(MISSING_AGE_MIN + A_MOMENT);
    world.handle.remove(key.user, key.file, Removal::Permanent).await.unwrap();
    wait_until_removed(&world, key).await;
    let found = Counted::during(world.sweep()).await;
    assert_eq!(found.plain("wharf_sweep_missing_objects"), Some(0.0));
}

// proves: I1
#[tokio::test]
async fn sums_that_are_not_those_of_the_rows_are_an_alarm_and_nothing_is_changed() {
    let world = World::start().await;
    world.upload(5).await;
    let found = Counted::during(world.sweep()).await;
    assert_eq!(found.plain("wharf_sweep_drifted_accounts"), Some(0.0));
    world.plant(|account| account.totals.used_bytes += 7).await;
    for _ in 0..2 {
        let found = Counted::during(world.sweep()).await;
        assert_eq!(found.plain("wharf_sweep_drifted_accounts"), Some(1.0));
        assert_eq!(found.plain("wharf_sweep_drifted_bytes"), Some(7.0));
    }
    world.check_bytes(12, 0).await;
}

#[tokio::test]
async fn an_account_that_moves_while_it_is_read_is_read_again_and_is_no_drift() {
    let world = World::start().await;
    world.upload(5).await;
    world.plan.set(Op::Files, Fault::Hang);
    let before = world.plan.calls(Op::Files);
    let meddle = async {
        world.calls(Op::Files, before + 1).await;
        world.reserve(3).await.unwrap();
        world.plan.heal();
    };
    let found = Counted::during(async {
        tokio::join!(world.sweep(), meddle);
    })
    .await;
    assert_eq!(found.plain("wharf_sweep_drifted_accounts"), Some(0.0));
    assert_eq!(world.plan.calls(Op::Files), before + 2, "once more, at one version");
}

#[tokio::test]
async fn a_sweep_ends_though_nobody_answers_and_ends_no_alarm() {
    let world = World::start().await;
    world.upload(5).await;
    world.plant(|account| account.totals.used_bytes += 7).await;
    world.plan.set(Op::Scan, Fault::Hang);
    world.plan.set(Op::List, Fault::Hang);
    let found = Counted::during(world.sweep()).await;
    assert_eq!(found.of("wharf_sweep_failures_total", "accounts"), 2, "one a pass");
    assert_eq!(found.of("wharf_sweep_failures_total", "objects"), 1);
    assert_eq!(found.plain("wharf_sweep_drifted_accounts"), None, "it could not look");
}

#[tokio::test]
async fn an_account_that_cannot_be_read_does_not_keep_the_rest_from_being_looked_at() {
    let world = World::start().await;
    world.upload(5).await;
    let other = UserId::from_subject("https://issuer.example", "bob").unwrap();
    world.fill(other, std::iter::once("a".to_owned())).await;
    world.plan.next(Op::Files, Fault::Corrupt);
    let found = Counted::during(world.sweep()).await;
    assert_eq!(found.of("wharf_sweep_failures_total", "an account"), 1);
    assert_eq!(world.plan.calls(Op::Files), 2, "the other's rows were read");
}

#[tokio::test]
async fn a_sweep_counts_what_all_users_have() {
    let world = World::start().await;
    world.upload(5).await;
    world.reserve(4).await.unwrap();
    let trashed = world.upload(3).await;
    world.handle.remove(trashed.user, trashed.file, Removal::Trash).await.unwrap();
    let other = UserId::from_subject("https://issuer.example", "bob").unwrap();
    world.fill(other, (0..20).map(|n| n.to_string())).await;
    world.pass(A_MOMENT);
    world.sweep().await;
    let census = world.handle.census().expect("a count");
    assert_eq!((census.as_of, census.users, census.files), (world.now(), 2, 23));
    assert_eq!((census.used_bytes, census.reserved_bytes, census.trashed_bytes), (28, 4, 3));
    let top: Vec<UserId> = census.top.iter().map(|top| top.user).collect();
    assert_eq!(top, [other, world.user], "the most first");
    world.plan.set(Op::Scan, Fault::Unavailable);
    world.pass(A_MOMENT);
    world.sweep().await;
    assert_eq!(world.handle.census(), Some(census), "half a count is none");
}
