//! Answers that lie, come late or never: what is unknown is called so, and the entry tells what happened.

use wharfinger::adapters::scylla::{CqlSession, Migrations, ScyllaLedger};
use wharfinger::domain::account::Account;
use wharfinger::domain::ids::UserId;
use wharfinger::ports::{CommitError, LedgerPort};

use crate::proxy::{Fault, Proxy, error};
use crate::world::{account, add, adding, new_user, nodes, raw_ledger, report, shared};

const QUORUM: [u8; 2] = [0, 6]; // LOCAL_QUORUM
const SERIAL: [u8; 2] = [0, 9]; // LOCAL_SERIAL
const TWO_OF_ONE: [u8; 8] = [0, 0, 0, 2, 0, 0, 0, 1];
const CAS: [u8; 5] = [0, 3, b'C', b'A', b'S'];

const UNAVAILABLE: i32 = 0x1000;
const OVERLOADED: i32 = 0x1001;
const WRITE_TIMEOUT: i32 = 0x1100;

/// A ledger behind a proxy, one that is not, and a user with one file.
struct World {
    proxied: ScyllaLedger,
    direct: ScyllaLedger,
    proxy: Proxy,
    user: UserId,
    before: Account,
}

impl World {
    async fn new() -> Option<Self> {
        let nodes = nodes()?;
        let direct = raw_ledger(&nodes).await;
        let proxy = if nodes.len() == 1 { Proxy::before(&nodes[0]).await } else { None };
        let Some(proxy) = proxy else {
            report("skipped: faults (they need one server, on an address of this machine)");
            return None;
        };
        let mut settings = shared(&nodes);
        settings.nodes = vec![proxy.address.to_string()];
        settings.request_timeout_ms = 700;
        let cql = CqlSession::connect(&settings).await.expect("through the proxy");
        Migrations::shipped().status(&cql).await.expect("through the proxy");
        let proxied = ScyllaLedger::on(cql).await.expect("through the proxy");
        let user = new_user();
        let before = add(&proxied, user, 1).await;
        Some(Self { proxied, direct, proxy, user, before })
    }

    /// Commits under a fault; returns the answer to the caller, and whether it was written.
    async fn commit_under(&self, fault: Fault) -> (CommitError, bool) {
        let write = adding(&self.before, 2);
        self.proxy.arm(fault);
        let told = self.proxied.commit(write.clone()).await.expect_err("something went wrong");
        let entry = self.direct.entry(self.user, write.entries[0].version).await.expect("read");
        let is_written = entry.is_some_and(|entry| entry.op == write.op);
        let after = account(&self.direct, self.user).await;
        assert_eq!(after, if is_written { write.account } else { self.before.clone() }, "all or nothing");
        (told, is_written)
    }
}

fn is_unknown(told: &CommitError) -> bool {
    matches!(told, CommitError::Unknown { .. })
}

// proves: F34
#[tokio::test]
async fn unavailable_after_the_proposal_was_accepted_is_unknown() {
    let Some(world) = World::new().await else { return };
    let learn = error(UNAVAILABLE, &[&QUORUM, &TWO_OF_ONE]);
    let (told, is_written) = world.commit_under(Fault::CarryOutThenSay(learn)).await;
    assert!(is_unknown(&told) && is_written, "{told}, written: {is_written}");
}

// proves: F35
#[tokio::test]
async fn unavailable_before_the_proposal_is_a_refusal() {
    let Some(world) = World::new().await else { return };
    let (told, is_written) =
        world.commit_under(Fault::Refuse(error(UNAVAILABLE, &[&SERIAL, &TWO_OF_ONE]))).await;
    assert!(matches!(told, CommitError::Unavailable { .. }) && !is_written, "{told}, written: {is_written}");
}

// proves: F33
#[tokio::test]
async fn a_write_timeout_is_unknown_written_or_not() {
    let Some(world) = World::new().await else { return };
    let timeout = error(WRITE_TIMEOUT, &[&SERIAL, &TWO_OF_ONE, &CAS]);
    let (told, is_written) = world.commit_under(Fault::Refuse(timeout.clone())).await;
    assert!(is_unknown(&told) && !is_written, "{told}, written: {is_written}");
    let (told, is_written) = world.commit_under(Fault::CarryOutThenSay(timeout)).await;
    assert!(is_unknown(&told) && is_written, "{told}, written: {is_written}");
}

// proves: F36
#[tokio::test]
async fn an_overloaded_server_may_have_written() {
    let Some(world) = World::new().await else { return };
    let (told, is_written) = world.commit_under(Fault::CarryOutThenSay(error(OVERLOADED, &[]))).await;
    assert!(is_unknown(&told) && is_written, "{told}, written: {is_written}");
}

// proves: F33
#[tokio::test]
async fn a_connection_that_breaks_leaves_it_unknown_and_is_made_again() {
    let Some(world) = World::new().await else { return };
    let (told, is_written) = world.commit_under(Fault::CarryOutThenBreak).await;
    assert!(is_unknown(&told) && is_written, "{told}, written: {is_written}");
    let give_up_at = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while let Err(error) = world.proxied.load(world.user).await {
        assert!(tokio::time::Instant::now() < give_up_at, "{error}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

// proves: F33
#[tokio::test]
async fn silence_is_unknown() {
    let Some(world) = World::new().await else { return };
    let (told, is_written) = world.commit_under(Fault::CarryOutInSilence).await;
    assert!(is_unknown(&told) && is_written, "{told}, written: {is_written}");
}

// proves: I23 F2 F44
#[tokio::test]
async fn a_write_that_arrives_late_finds_its_version_taken() {
    let Some(world) = World::new().await else { return };
    let (told, is_written) = world.commit_under(Fault::Hold).await;
    assert!(is_unknown(&told) && !is_written, "{told}, written: {is_written}");
    let after = add(&world.direct, world.user, 1).await;
    world.proxy.release();
    world.proxy.swallowed().await;
    assert_eq!(world.direct.load(world.user).await, Ok(Some(after.clone())), "it changed nothing");
    assert_eq!(add(&world.proxied, world.user, 1).await.version, after.version + 1);
}

// proves: F2 F3
#[tokio::test]
async fn a_write_that_arrives_late_is_found_if_nobody_came_first() {
    let Some(world) = World::new().await else { return };
    let write = adding(&world.before, 1);
    world.proxy.arm(Fault::Hold);
    let told = world.proxied.commit(write.clone()).await.expect_err("silence");
    assert!(is_unknown(&told), "{told}");
    assert_eq!(world.direct.entry(world.user, write.account.version).await, Ok(None), "not yet");
    world.proxy.release();
    world.proxy.swallowed().await;
    assert_eq!(world.proxied.commit(write.clone()).await, Err(CommitError::Conflict), "the same again");
    let entry = world.direct.entry(world.user, write.account.version).await.expect("read").expect("there");
    assert_eq!(entry.op, write.op, "and the entry says: it was mine");
}
