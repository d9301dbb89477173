//! Files that come in chunks: begun in the bucket, kept by the ledger, joined once, and given up when nothing may come.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fault_injection::{Fault, Op};
use futures_util::future::join_all;
use wharfinger::actors::{Arrived, Completed, DeskError, Handle, Reserved};
use wharfinger::domain::account::AccountState;
use wharfinger::domain::arrival::ArrivalKind;
use wharfinger::domain::decide::{IdempotencyKey, Reserve, ReserveRefusal, Rules};
use wharfinger::domain::file::{Reason, Status};
use wharfinger::domain::ids::ObjectKey;
use wharfinger::domain::transitions::{FileRefusal, Removal};
use wharfinger::ports::ObjectsPort as _;

use crate::inside::eventually;
use crate::world::World;

const CHUNK: u64 = 5 << 20;
/// Two chunks, the second of 7 bytes.
const SIZE: u64 = CHUNK + 7;

async fn reserve_as(
    world: &World,
    handle: &Handle,
    key: Option<u64>,
    sizes: &[u64],
) -> Result<Reserved, DeskError<ReserveRefusal>> {
    reserve_with(world, handle, key.map(|key| IdempotencyKey { key, body: 1 }), sizes).await
}

async fn reserve_with(
    world: &World,
    handle: &Handle,
    idempotency: Option<IdempotencyKey>,
    sizes: &[u64],
) -> Result<Reserved, DeskError<ReserveRefusal>> {
    let uploads: Vec<_> = sizes.iter().map(|size| world.upload_of("a.bin", *size)).collect();
    let chunk_bytes: BTreeMap<_, _> = uploads.iter().map(|upload| (upload.file_id, CHUNK)).collect();
    handle.reserve_chunked(world.user, Reserve { uploads, idempotency, subject: None }, &chunk_bytes).await
}

fn first(world: &World, reserved: &Reserved) -> ObjectKey {
    ObjectKey { user: world.user, file: reserved.files[0].file_id }
}

/// A reserved file of two chunks.
async fn begun(world: &World) -> ObjectKey {
    let reserved = reserve_as(world, &world.handle, None, &[SIZE]).await.unwrap();
    first(world, &reserved)
}

/// The same, its chunks there.
async fn landed(world: &World) -> ObjectKey {
    let key = begun(world).await;
    for number in [1, 2] {
        assert_eq!(world.land_chunk(key, number).await, 200);
    }
    key
}

async fn complete(world: &World, key: ObjectKey) -> Result<Completed, DeskError<FileRefusal>> {
    world.handle.complete(key.user, key.file).await
}

async fn wait_until_given_up(world: &World, key: ObjectKey) {
    let look = async || (!world.knows_upload(key).await).then_some(());
    eventually("the upload to be given up", look).await;
}

fn lifetime() -> Duration {
    Rules::default().upload_url_ttl + Rules::GRACE + Duration::from_secs(1)
}

async fn check_processed(
    world: &World,
    key: ObjectKey,
    completed: Result<Completed, DeskError<FileRefusal>>,
) {
    let Ok(Completed::Settled(file)) = completed else { panic!("not settled: {completed:?}") };
    assert_eq!((file.status, file.size_bytes), (Status::Processed, SIZE));
    world.check_bytes(SIZE, 0).await;
    assert!(world.is_in_the_bucket(key).await && !world.knows_upload(key).await);
    world.check_ledger().await;
}

// proves: I14 I16
#[tokio::test]
async fn chunks_become_one_file_when_all_have_arrived() {
    let world = World::start().await;
    let key = begun(&world).await;
    world.check_bytes(0, SIZE).await;
    let missing = |completed| match completed {
        Ok(Completed::Incomplete(chunks)) => {
            chunks.iter().map(|chunk| (chunk.number, chunk.size_bytes)).collect()
        }
        other => panic!("not incomplete: {other:?}"),
    };
    let told: Vec<(u16, u64)> = missing(complete(&world, key).await);
    assert_eq!(told, [(1, CHUNK), (2, 7)]);
    assert_eq!(world.land_chunk(key, 2).await, 200);
    let told: Vec<(u16, u64)> = missing(complete(&world, key).await);
    assert_eq!(told, [(1, CHUNK)]);
    assert_eq!(world.land_chunk(key, 1).await, 200);
    assert_eq!(world.land_chunk(key, 1).await, 200, "again is fine");
    let arrived = world.handle.arrived(key.user, key.file).await;
    assert!(matches!(arrived, Ok(Arrived::Parts(_, parts)) if parts == BTreeMap::from([(1, CHUNK), (2, 7)])));
    for _ in 0..2 {
        let completed = complete(&world, key).await;
        check_processed(&world, key, completed).await;
    }
    assert!(matches!(world.handle.arrived(key.user, key.file).await, Ok(Arrived::Whole(_))));
    world.check_events(&["1 files.reserved", "2 files.processed"]).await;
}

#[tokio::test]
async fn what_cannot_be_reserved_begins_nothing_in_the_bucket() {
    let world = World::with_quota(SIZE).await;
    let refused = reserve_as(&world, &world.handle, None, &[SIZE + 1]).await;
    assert!(matches!(refused, Err(DeskError::Refused(ReserveRefusal::QuotaExceeded { .. }))), "{refused:?}");
    world.handle.set_state(world.user, AccountState::Suspended).await.unwrap();
    let refused = reserve_as(&world, &world.handle, None, &[SIZE]).await;
    assert_eq!(refused, Err(DeskError::Refused(ReserveRefusal::Suspended)));
    assert_eq!(world.plan.calls(Op::CreateMultipart), 0);
}

// proves: I9
#[tokio::test]
async fn a_repeat_finds_the_same_upload_and_begins_no_other() {
    let world = World::start().await;
    let one = reserve_as(&world, &world.handle, Some(1), &[SIZE]).await.unwrap();
    let again = reserve_as(&world, &world.handle, Some(1), &[SIZE]).await.unwrap();
    assert_eq!((&one.files, again.repeated), (&again.files, true));
    assert_eq!(world.plan.calls(Op::CreateMultipart), 1);
    world.check_bytes(0, SIZE).await;
}

// proves: I9
#[tokio::test]
async fn requests_with_one_key_at_the_same_time_begin_one_upload() {
    let world = World::start().await;
    world.plan.set(Op::CreateMultipart, Fault::Hang);
    let release = async {
        world.calls(Op::CreateMultipart, 1).await;
        world.plan.heal();
    };
    let ask = || reserve_as(&world, &world.handle, Some(1), &[SIZE]);
    let (all, ()) = tokio::join!(join_all((0..8).map(|_| ask())), release);
    let all: Vec<_> = all.into_iter().map(Result::unwrap).collect();
    assert!(all.iter().all(|one| one.files == all[0].files), "{all:?}");
    assert_eq!(all.iter().filter(|one| !one.repeated).count(), 1, "{all:?}");
    assert_eq!(world.plan.calls(Op::CreateMultipart), 1);
    assert_eq!(world.plan.calls(Op::Commit), 1);
    world.check_bytes(0, SIZE).await;
}

#[tokio::test]
async fn another_body_under_a_key_that_is_being_carried_out_is_refused() {
    let world = World::start().await;
    world.plan.set(Op::CreateMultipart, Fault::Hang);
    let release = async {
        world.calls(Op::CreateMultipart, 1).await;
        world.plan.heal();
    };
    let (one, other, ()) = tokio::join!(
        reserve_as(&world, &world.handle, Some(1), &[SIZE]),
        reserve_with(&world, &world.handle, Some(IdempotencyKey { key: 1, body: 2 }), &[7]),
        release
    );
    assert_eq!(one.unwrap().files.len(), 1);
    assert_eq!(other, Err(DeskError::Refused(ReserveRefusal::IdempotencyReused)));
    assert_eq!(world.plan.calls(Op::CreateMultipart), 1);
}

// proves: I9 F5
#[tokio::test]
async fn of_two_owners_that_begin_the_same_request_one_keeps_its_upload() {
    let world = World::start().await;
    let other = world.another_tree().await;
    world.plan.set(Op::CreateMultipart, Fault::Hang);
    let release = async {
        world.calls(Op::CreateMultipart, 2).await;
        world.plan.heal();
    };
    let (one, two, ()) = tokio::join!(
        reserve_as(&world, &world.handle, Some(1), &[SIZE]),
        reserve_as(&world, other.handle(), Some(1), &[SIZE]),
        release
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.files, two.files);
    world.check_bytes(0, SIZE).await;
    world.calls(Op::AbortMultipart, 1).await;
    assert!(world.knows_upload(first(&world, &one)).await, "the one that the row names stays");
    other.stop(crate::inside::PATIENCE).await;
}

#[tokio::test]
async fn a_batch_of_which_one_cannot_be_begun_reserves_nothing_and_gives_the_others_up() {
    let world = World::start().await;
    world.plan.next(Op::CreateMultipart, Fault::Unavailable);
    let refused = reserve_as(&world, &world.handle, None, &[SIZE; 3]).await;
    assert_eq!(refused, Err(DeskError::ObjectsUnavailable));
    world.calls(Op::AbortMultipart, 2).await;
    world.check_bytes(0, 0).await;
    assert_eq!(world.plan.calls(Op::Commit), 0, "nothing was written");
    let reserved = reserve_as(&world, &world.handle, None, &[SIZE; 3]).await.unwrap();
    assert_eq!(reserved.files.len(), 3);
    assert_eq!(world.plan.calls(Op::Commit), 1, "all in one write");
}

// proves: I7 F3 F33
#[tokio::test]
async fn a_presign_of_unknown_outcome_keeps_the_upload_that_its_row_names() {
    for fault in [Fault::Unanswered, Fault::Lost, Fault::Late] {
        let world = World::start().await;
        world.plan.next(Op::Commit, fault);
        let key = landed(&world).await;
        world.late.land_late().await;
        let completed = complete(&world, key).await;
        check_processed(&world, key, completed).await;
    }
}

// proves: F15
#[tokio::test]
async fn a_join_whose_answer_is_lost_is_found_done_and_one_that_fails_is_tried_again() {
    for fault in [Fault::Unanswered, Fault::Lost, Fault::Unavailable] {
        let world = World::start().await;
        let key = landed(&world).await;
        world.plan.next(Op::CompleteMultipart, fault);
        assert_eq!(complete(&world, key).await, Err(DeskError::ObjectsUnavailable), "{fault:?}");
        let completed = complete(&world, key).await;
        check_processed(&world, key, completed).await;
    }
}

// proves: I20
#[tokio::test]
async fn a_join_that_nobody_waited_for_is_settled_by_its_news() {
    let world = World::start().await;
    let key = landed(&world).await;
    world.plan.next(Op::Commit, Fault::Unavailable);
    assert_eq!(complete(&world, key).await, Err(DeskError::Unavailable), "joined, not settled");
    assert!(world.is_in_the_bucket(key).await);
    world.tell(ArrivalKind::Created, key).await;
    world.wait_for_status(key, Status::Processed).await;
    world.check_bytes(SIZE, 0).await;
}

#[tokio::test]
async fn many_completes_at_once_are_one_file() {
    let world = World::start().await;
    let key = landed(&world).await;
    let all = futures_util::future::join_all((0..8).map(|_| complete(&world, key))).await;
    let is_fine = |completed: &Result<Completed, _>| {
        matches!(completed, Ok(Completed::Settled(_) | Completed::Joining(_)))
    };
    assert!(all.iter().all(is_fine), "{all:?}");
    let completed = complete(&world, key).await;
    check_processed(&world, key, completed).await;
    world.check_events(&["1 files.reserved", "2 files.processed"]).await;
}

// proves: I8 F10
#[tokio::test]
async fn a_cancelled_upload_is_given_up_and_stays_reserved() {
    let world = World::start().await;
    let key = landed(&world).await;
    world.plan.next(Op::AbortMultipart, Fault::Unavailable);
    world.handle.remove(key.user, key.file, Removal::Trash).await.unwrap();
    wait_until_given_up(&world, key).await;
    assert_eq!(world.land_chunk(key, 1).await, 404, "nothing can come any more");
    world.check_bytes(0, SIZE).await;
    let completed = complete(&world, key).await;
    assert!(matches!(completed, Ok(Completed::Settled(file)) if file.reason == Some(Reason::Cancelled)));
    world.pass(lifetime());
    world.sweep().await;
    world.check_status(key, Status::Expired).await;
    world.check_bytes(0, 0).await;
    world.check_ledger().await;
}

// proves: I8 F7
#[tokio::test]
async fn an_upload_that_is_never_completed_expires_and_is_given_up() {
    let world = World::start().await;
    let key = landed(&world).await;
    world.pass(lifetime());
    world.sweep().await;
    world.check_status(key, Status::Expired).await;
    wait_until_given_up(&world, key).await;
    assert!(!world.is_in_the_bucket(key).await);
    world.check_bytes(0, 0).await;
    assert!(
        matches!(complete(&world, key).await, Ok(Completed::Settled(file)) if file.status == Status::Expired)
    );
    assert!(matches!(world.handle.arrived(key.user, key.file).await, Ok(Arrived::Gone(_))));
}

/// A reservation ends while its chunks are being joined: then the object is late like any other.
// proves: I18 F10
#[tokio::test]
async fn chunks_that_are_joined_too_late_are_a_late_object() {
    let world = World::start().await;
    let key = landed(&world).await;
    world.plan.set(Op::CompleteMultipart, Fault::Hang);
    world.plan.set(Op::AbortMultipart, Fault::Hang);
    let expire = async {
        world.calls(Op::CompleteMultipart, 1).await;
        world.pass(lifetime());
        world.sweep().await;
        world.check_status(key, Status::Expired).await;
        world.plan.set(Op::CompleteMultipart, Fault::Fine);
    };
    let (completed, ()) = tokio::join!(complete(&world, key), expire);
    world.plan.heal();
    check_processed(&world, key, completed).await;
}

#[tokio::test]
async fn an_upload_that_the_bucket_has_given_up_by_itself_is_told() {
    let world = World::start().await;
    let key = landed(&world).await;
    let upload_id = world.row(key).await.multipart.unwrap().upload_id;
    world.well.objects.abort_multipart(key, &upload_id).await.unwrap();
    assert!(matches!(complete(&world, key).await, Ok(Completed::Gone(_))));
    assert!(matches!(world.handle.arrived(key.user, key.file).await, Ok(Arrived::Gone(_))));
    world.check_bytes(0, SIZE).await;
}

#[tokio::test]
async fn a_file_that_comes_whole_has_no_chunks() {
    let world = World::start().await;
    let key = world.reserve(5).await.unwrap();
    let refused = || DeskError::Refused(FileRefusal::NotChunked);
    assert_eq!(world.handle.arrived(key.user, key.file).await, Err(refused()));
    assert_eq!(world.handle.open_upload(key.user, key.file).await.unwrap_err(), refused());
    assert!(matches!(complete(&world, key).await, Ok(Completed::NotThere(_))));
}

// proves: I12
#[tokio::test]
async fn what_is_to_be_known_of_an_upload_is_never_old() {
    let world = World::start().await;
    let key = begun(&world).await;
    let open = world.handle.open_upload(key.user, key.file).await.unwrap();
    assert_eq!((open.state, open.file.status), (AccountState::Active, Status::Pending));
    let other = world.another_tree().await;
    other.handle().set_state(world.user, AccountState::Suspended).await.unwrap();
    world.pass(Duration::from_secs(1));
    let open = world.handle.open_upload(key.user, key.file).await.unwrap();
    assert_eq!(open.state, AccountState::Suspended);
    world.plan.set_port(crate::fault_injection::Port::Ledger, Fault::Unavailable);
    world.pass(Duration::from_secs(1));
    let refused = world.handle.open_upload(key.user, key.file).await;
    assert_eq!(refused.unwrap_err(), DeskError::Unavailable);
    other.stop(crate::inside::PATIENCE).await;
}

/// Uploads that the bucket has open.
async fn open_uploads(world: &World) -> usize {
    world.well.objects.list_uploads("user/".to_owned(), None).await.unwrap().uploads.len()
}

async fn wait_for_open(world: &World, count: usize) {
    let look = async || (open_uploads(world).await == count).then_some(());
    eventually(&format!("{count} open uploads"), look).await;
}

const AN_HOUR: Duration = Duration::from_secs(3601);

// proves: F2 F4
#[tokio::test]
async fn an_upload_of_a_presign_that_was_never_written_is_found_by_the_sweep() {
    for (op, fault) in [
        (Op::Commit, Fault::Unavailable),
        (Op::CreateMultipart, Fault::Unanswered),
        (Op::Commit, Fault::Hang),
    ] {
        let world = World::start().await;
        world.plan.next(op, fault);
        tokio::select! {
            reserved = reserve_as(&world, &world.handle, None, &[SIZE]) => assert!(reserved.is_err(), "{op:?} {fault:?}"),
            // The client goes away.
            () = world.calls(Op::Commit, 1), if fault == Fault::Hang => {}
        }
        wait_for_open(&world, 1).await;
        world.sweep().await;
        assert_eq!(open_uploads(&world).await, 1, "too young to tell");
        world.pass(AN_HOUR);
        world.plan.heal();
        world.sweep().await;
        world.sweep().await;
        wait_for_open(&world, 0).await;
        world.check_ledger().await;
    }
}

// proves: I7
#[tokio::test]
async fn a_presign_that_is_written_an_hour_after_its_upload_was_begun_is_not_acknowledged() {
    let world = World::start().await;
    world.plan.set(Op::Commit, Fault::Hang);
    let sleep = async {
        world.calls(Op::Commit, 1).await;
        world.pass(AN_HOUR);
        world.plan.heal();
    };
    let (reserved, ()) = tokio::join!(reserve_as(&world, &world.handle, None, &[SIZE]), sleep);
    assert_eq!(reserved, Err(DeskError::Unavailable), "its upload may be given up as nobody's");
    world.check_ledger().await;
}

#[tokio::test]
async fn the_sweep_leaves_an_upload_alone_that_a_pending_file_names() {
    let rules = Rules { upload_url_ttl: Duration::from_secs(7200), ..Rules::default() };
    let world = World::with(crate::inside::Chosen { rules, ..crate::inside::Chosen::default() }).await;
    let key = begun(&world).await;
    world.pass(AN_HOUR);
    world.sweep().await;
    assert!(world.knows_upload(key).await);
    for number in [1, 2] {
        assert_eq!(world.land_chunk(key, number).await, 200);
    }
    let completed = complete(&world, key).await;
    check_processed(&world, key, completed).await;
}

#[tokio::test]
async fn an_upload_that_could_not_be_given_up_is_found_by_the_sweep() {
    let world = World::start().await;
    let key = begun(&world).await;
    world.plan.set(Op::AbortMultipart, Fault::Unavailable);
    world.handle.remove(key.user, key.file, Removal::Trash).await.unwrap();
    world.calls(Op::AbortMultipart, 6).await;
    assert!(world.knows_upload(key).await, "left to the sweep");
    world.plan.heal();
    world.plan.next(Op::ListUploads, Fault::Unavailable);
    world.pass(AN_HOUR);
    world.sweep().await;
    world.sweep().await;
    wait_until_given_up(&world, key).await;
}

// proves: I25
#[tokio::test]
async fn a_file_that_is_completed_many_times_at_once_is_joined_once() {
    let world = World::start().await;
    let key = landed(&world).await;
    let heads = world.plan.calls(Op::Head);
    world.plan.set(Op::CompleteMultipart, Fault::Hang);
    let release = async {
        world.calls(Op::CompleteMultipart, 1).await;
        world.plan.heal();
    };
    let completes = join_all((0..64).map(|_| complete(&world, key)));
    let (completed, ()) = tokio::join!(completes, release);
    for completed in completed {
        check_processed(&world, key, completed).await;
    }
    assert_eq!(world.plan.calls(Op::CompleteMultipart), 1);
    assert!(world.plan.calls(Op::Head) - heads < 8, "they share their looks too");
}
