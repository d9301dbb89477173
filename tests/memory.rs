//! What an idle account costs in memory. Measured as the growth of the whole process, so it has a process of its own.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and a figure is printed"
)]

#[path = "support/fault_injection/mod.rs"]
mod fault_injection;
mod inside;

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use metrics_exporter_prometheus::PrometheusBuilder;
use uuid::Uuid;
use wharfinger::actors::DeskError;
use wharfinger::domain::account::Account;
use wharfinger::domain::draft::Draft;
use wharfinger::domain::ids::{FileId, UserId};
use wharfinger::domain::transitions::{FileRefusal, Removal};
use wharfinger::ports::LedgerPort as _;

use inside::{Chosen, Inside, eventually};

/// Accounts of one wave.
const USERS: u32 = 20_000;
/// How many are asked at the same time.
const AT_ONCE: usize = 256;
/// What an idle account may cost, its place in the map and the allocator's share included.
const BYTES_MAX: u64 = 2048;

fn user(wave: u32, number: u32) -> UserId {
    UserId::from_subject("issuer", &format!("{wave}/{number}")).unwrap()
}

/// Bytes of this process that are in memory.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Accounts that were written once, of which every event is out.
async fn write(world: &Inside, wave: u32) {
    stream::iter(0..USERS)
        .for_each_concurrent(AT_ONCE, async |number| {
            let account = Account::new(user(wave, number));
            let quota = account.set_quota(Some(1 << 30), world.now()).unwrap();
            let mut draft = Draft::new(account, std::collections::BTreeMap::new(), world.time.op_id(), 0);
            draft.push(&quota);
            draft.mark_published(1);
            world.well.ledger.commit(draft.into_write().0).await.unwrap();
        })
        .await;
}

/// Asks each account something that changes nothing. Returns by how many bytes the process grew.
async fn touch(world: &Inside, wave: u32) -> u64 {
    let before = resident_bytes();
    let file = FileId::from_uuid(Uuid::nil());
    stream::iter(0..USERS)
        .for_each_concurrent(AT_ONCE, async |number| {
            let asked = world.handle.remove(user(wave, number), file, Removal::Trash).await;
            assert_eq!(asked, Err(DeskError::Refused(FileRefusal::NotFound)));
        })
        .await;
    resident_bytes().saturating_sub(before)
}

// proves: I25
#[tokio::test]
async fn an_idle_account_costs_little_and_is_dropped_in_time() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let desks = || {
        let text = recorder.handle().render();
        text.lines().find_map(|line| line.strip_prefix("wharf_desks ")).unwrap_or("0").to_owned()
    };
    let world = Inside::start(Chosen { shards: 64, ..Chosen::default() }).await;
    for wave in 0..3 {
        write(&world, wave).await;
    }
    // The first wave grows what is there once: stacks, arenas, caches.
    touch(&world, 0).await;
    let rest = async || {
        world.pass(Duration::from_secs(61));
        (desks() == "0").then_some(())
    };
    eventually("the first wave to be dropped", rest).await;
    // One more takes the room that the first left; the next is what is measured.
    touch(&world, 1).await;
    let grown = touch(&world, 2).await;
    let bytes_each = grown / u64::from(USERS);
    eprintln!("idle account: {bytes_each} bytes each ({USERS} accounts: {} KiB)", grown / 1024);
    assert!(bytes_each <= BYTES_MAX, "{bytes_each} bytes for each idle account");
}
