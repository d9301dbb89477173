//! The backends that fail on purpose: with nothing planned they keep every contract, and each fault does what
//! it says.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fault_injection::{
    Fault, FaultyLedger, FaultyLog, FaultyObjects, FaultyQueue, FaultySigner, Op, Plan,
};
use bytes::Bytes;
use futures_util::FutureExt as _;
use uuid::Uuid;
use wharfinger::adapters::embedded::QueuePolicy;
use wharfinger::adapters::{Ledger, Log, Objects, Queue, Signer};
use wharfinger::domain::account::{Account, AccountState};
use wharfinger::domain::draft::{Draft, Write};
use wharfinger::domain::ids::UserId;
use wharfinger::domain::time::Timestamp;
use wharfinger::ports::{
    Clock, CommitError, ConsumerPort, ConsumerSpec, LedgerError, LedgerPort, LogPort, NewRecord,
    ObjectsError, ObjectsPort, PublishError, QueuePort, SignerError, SignerPort, Stream,
};

use crate::embedded_store;
use crate::http::{Embedded, Http, file_of, grant, new_user};
use crate::ledger::ledger_cases;
use crate::log::log_cases;
use crate::queue::queue_cases;

const START: Timestamp = Timestamp::from_millis(1_795_169_642_161);
const POLICY: QueuePolicy = QueuePolicy { visibility: Duration::from_secs(30), deliveries_max: 3 };

/// A store behind faulty backends of one plan, with a clock that the test moves.
struct World {
    plan: Plan,
    late: FaultyLedger,
    store: embedded_store::World,
}

impl World {
    fn new() -> Self {
        let (plan, mut store) = (Plan::default(), embedded_store::World::new());
        let late = FaultyLedger::new(store.store.ledger(), plan.clone());
        store.ledger = Ledger::custom(late.clone());
        store.log = Log::custom(FaultyLog::new(store.store.log(), plan.clone()));
        store.queue = Queue::custom(FaultyQueue::new(store.embedded_queue.clone(), plan.clone()));
        Self { plan, late, store }
    }
}

impl std::ops::Deref for World {
    type Target = embedded_store::World;

    fn deref(&self) -> &embedded_store::World {
        &self.store
    }
}

mod holds_the_ledger_contract {
    use super::*;
    ledger_cases!(World::new().store);
}

mod holds_the_log_contract {
    use super::*;
    log_cases!(World::new().store);
}

mod holds_the_queue_contract {
    use super::*;
    queue_cases!(World::new().store);
}

/// An embedded bucket and its signer, both faulty.
async fn bucket(plan: &Plan) -> (Embedded, Objects, Signer) {
    let embedded = Embedded::start().await;
    let (Objects::Embedded(bucket), Signer::Embedded(signer)) =
        (embedded.objects.clone(), embedded.signer.clone())
    else {
        panic!("an embedded bucket has embedded parts");
    };
    let objects = Objects::custom(FaultyObjects::new(bucket, plan.clone()));
    (embedded, objects, Signer::custom(FaultySigner::new(signer, plan.clone())))
}

#[tokio::test]
async fn the_bucket_and_the_signer_keep_their_contracts() {
    let (_embedded, objects, signer) = bucket(&Plan::default()).await;
    crate::objects::objects(&objects, &signer).await;
    crate::signer::signer(&signer, &objects).await;
}

fn first_write(user: UserId) -> Write {
    let account = Account::new(user);
    let transition = account.set_state(AccountState::Suspended, START).unwrap();
    let mut draft = Draft::new(account, BTreeMap::new(), Clock::System.op_id(), 0);
    draft.push(&transition);
    draft.into_write().0
}

/// How a commit under this fault ends, and which version the account has then.
async fn check_commit(fault: Fault, expected: &str, version: Option<u64>) {
    let world = World::new();
    let user = UserId::from_uuid(Uuid::now_v7());
    world.plan.next(Op::Commit, fault);
    let said = match world.ledger.commit(first_write(user)).await {
        Ok(()) => "done",
        Err(CommitError::Conflict) => "conflict",
        Err(CommitError::Unavailable { .. }) => "unavailable",
        Err(CommitError::Refused { .. }) => "refused",
        Err(CommitError::Unknown { .. }) => "unknown",
    };
    assert_eq!(said, expected, "{fault:?}");
    let found = world.ledger.load(user).await.unwrap();
    assert_eq!(found.map(|account| account.version), version, "{fault:?}");
}

#[tokio::test]
async fn a_commit_goes_as_planned() {
    check_commit(Fault::Fine, "done", Some(1)).await;
    check_commit(Fault::Twice, "done", Some(1)).await;
    check_commit(Fault::Unavailable, "unavailable", None).await;
    check_commit(Fault::Dropped, "unavailable", None).await;
    check_commit(Fault::Lost, "unknown", None).await;
    check_commit(Fault::Corrupt, "unknown", None).await;
    check_commit(Fault::Late, "unknown", None).await;
    check_commit(Fault::Unanswered, "unknown", Some(1)).await;
}

// proves: I23 F2
#[tokio::test]
async fn a_late_write_lands_when_it_is_let_and_only_on_its_version() {
    let world = World::new();
    let user = UserId::from_uuid(Uuid::now_v7());
    world.plan.set(Op::Commit, Fault::Late);
    for _ in 0..2 {
        assert!(world.ledger.commit(first_write(user)).await.is_err());
    }
    assert_eq!(world.late.land_late().await, [Ok(()), Err(CommitError::Conflict)]);
    assert_eq!(world.late.land_late().await, [], "each lands once");
}

#[tokio::test]
async fn a_read_goes_as_planned() {
    let world = World::new();
    let user = UserId::from_uuid(Uuid::now_v7());
    for fault in [Fault::Unavailable, Fault::Lost, Fault::Unanswered, Fault::Dropped, Fault::Late] {
        world.plan.next(Op::Load, fault);
        let read = world.ledger.load(user).await;
        assert!(matches!(read, Err(LedgerError::Unavailable { .. })), "{fault:?}: {read:?}");
    }
    world.plan.next(Op::Load, Fault::Corrupt);
    assert!(matches!(world.ledger.load(user).await, Err(LedgerError::Corrupt { .. })));
    world.plan.set(Op::Load, Fault::Hang);
    let mut hung = std::pin::pin!(world.ledger.load(user));
    assert_eq!(hung.as_mut().now_or_never(), None);
    world.plan.heal();
    assert_eq!(hung.await, Ok(None));
    world.plan.next(Op::Load, Fault::Panic);
    let panicked = tokio::spawn({
        let ledger = world.ledger.clone();
        async move { ledger.load(user).await.is_ok() }
    });
    assert!(panicked.await.unwrap_err().is_panic());
}

fn record(id: &str) -> NewRecord {
    let payload = Bytes::from_static(b"{}");
    NewRecord { subject: "wharf.ingest.v1.1.u".to_owned(), id: id.to_owned(), headers: Vec::new(), payload }
}

/// What a pull brings now, by the records' ids.
async fn pulled(consumer: &mut impl ConsumerPort) -> Vec<String> {
    let taken = consumer.pull(10, Duration::ZERO).await.unwrap();
    taken.into_iter().map(|delivery| delivery.record.id).collect()
}

#[tokio::test]
async fn the_log_loses_and_doubles_as_planned() {
    let world = World::new();
    let publish = async |id: &str| world.log.publish(Stream::Ingest, record(id)).await;
    let unknown = |said: Result<_, PublishError>| matches!(said, Err(PublishError::Unknown { .. }));
    world.plan.next(Op::Publish(Stream::Ingest), Fault::Unanswered);
    assert!(unknown(publish("stored").await));
    world.plan.next(Op::Publish(Stream::Ingest), Fault::Lost);
    assert!(unknown(publish("lost").await));
    world.plan.next(Op::Publish(Stream::Ingest), Fault::Dropped);
    assert!(publish("forgotten").await.is_ok());
    world.plan.next(Op::Publish(Stream::Ingest), Fault::Twice);
    assert!(!publish("twice").await.unwrap().duplicate, "the first answer counts");

    let spec = ConsumerSpec {
        stream: Stream::Ingest,
        name: "one".to_owned(),
        filter: "wharf.ingest.v1.1.>".to_owned(),
        ack_wait: Duration::from_secs(2),
        ack_pending_max: 10,
    };
    let mut consumer = world.log.consumer(spec).await.unwrap();
    world.plan.next(Op::Pull, Fault::Twice);
    assert_eq!(pulled(&mut consumer).await, ["stored", "twice", "twice", "stored"]);
    world.pass_now(Duration::from_secs(3));
    world.plan.next(Op::Pull, Fault::Dropped);
    assert_eq!(pulled(&mut consumer).await, Vec::<String>::new());
    assert_eq!(pulled(&mut consumer).await, Vec::<String>::new(), "what was lost on the way stays hidden");
    world.pass_now(Duration::from_secs(3));
    let taken = consumer.pull(1, Duration::ZERO).await.unwrap();
    world.plan.next(Op::Ack, Fault::Dropped);
    assert_eq!(consumer.ack(&taken[0].token).await, Ok(()));
    world.pass_now(Duration::from_secs(3));
    assert_eq!(pulled(&mut consumer).await, ["stored", "twice"], "that acknowledgement was lost");
}

#[tokio::test]
async fn the_queue_loses_and_doubles_as_planned() {
    let world = World::new();
    for (fault, said) in [(Fault::Fine, true), (Fault::Dropped, true), (Fault::Unavailable, false)] {
        world.plan.next(Op::QueueSend, fault);
        assert_eq!(world.queue.send(format!("{fault:?}")).await.is_ok(), said, "{fault:?}");
    }
    world.plan.next(Op::QueueReceive, Fault::Twice);
    let taken = world.queue.receive(10, Duration::ZERO).await.unwrap();
    assert_eq!(taken.iter().map(|delivery| delivery.body.as_str()).collect::<Vec<_>>(), ["Fine", "Fine"]);
    world.plan.next(Op::QueueDelete, Fault::Dropped);
    assert_eq!(world.queue.delete(vec![taken[0].receipt.clone()]).await, Ok(Vec::new()));
    world.pass_now(POLICY.visibility);
    assert_eq!(world.queue.receive(10, Duration::ZERO).await.unwrap().len(), 1, "it was not deleted");
}

#[tokio::test]
async fn the_bucket_and_the_signer_go_as_planned() {
    let plan = Plan::default();
    let (_embedded, objects, signer) = bucket(&plan).await;
    let key = file_of(new_user());
    let put = signer.upload(&grant(key, b"hello")).await.unwrap();
    assert_eq!(Http::new().follow(&put, b"hello").await.0, 200);
    plan.next(Op::Head, Fault::Unavailable);
    assert!(matches!(objects.head(key).await, Err(ObjectsError::Unavailable { .. })));
    plan.next(Op::ObjectDelete, Fault::Dropped);
    assert_eq!(objects.delete(key).await, Ok(()));
    assert!(objects.head(key).await.unwrap().is_some(), "it was only said to be gone");
    plan.next(Op::ObjectDelete, Fault::Unanswered);
    assert!(objects.delete(key).await.is_err());
    assert_eq!(objects.head(key).await, Ok(None), "it was only said to be there");
    plan.next(Op::SignUpload, Fault::Unavailable);
    let refused = signer.upload(&grant(key, b"hello")).await;
    assert!(matches!(refused, Err(SignerError::Unavailable { .. })));
}
