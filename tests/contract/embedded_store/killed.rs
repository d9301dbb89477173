//! `kill -9` in the middle of writing: what was acknowledged is there afterwards.
//!
//! The test runs itself a second time as the process that is killed; a variable tells which one it is.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;

/// Names the folder to the process that will be killed.
const DIR_VAR: &str = "WHARFDEV_TEST_KILLED_DIR";
const WRITERS: u128 = 8;
const ROUNDS: usize = 3;
/// Acknowledgements after which a round ends.
const ACKNOWLEDGED_PER_ROUND: usize = 400;

// proves: I7 F4
#[test]
fn what_was_acknowledged_survives_a_kill() {
    if let Some(dir) = std::env::var_os(DIR_VAR) {
        write_until_killed(Path::new(&dir));
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let mut acknowledged = Acknowledged::default();
    for _ in 0..ROUNDS {
        kill_in_the_middle(dir.path(), &mut acknowledged);
        check(dir.path(), &acknowledged);
    }
}

/// The highest that was acknowledged, by writer.
#[derive(Default)]
struct Acknowledged {
    versions: [u64; 8],
    sequences: [u64; 8],
}

fn kill_in_the_middle(dir: &Path, acknowledged: &mut Acknowledged) {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "embedded_store::killed::what_was_acknowledged_survives_a_kill", "--nocapture"])
        .env(DIR_VAR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut count = 0;
    while let Some(Ok(line)) = lines.next() {
        if count == ACKNOWLEDGED_PER_ROUND {
            child.kill().expect("it runs");
        }
        let words: Vec<&str> = line.split(' ').collect();
        if let ["acknowledged", writer, version, sequence] = words[..] {
            let writer: usize = writer.parse().expect("a number");
            acknowledged.versions[writer] = version.parse().expect("a number");
            acknowledged.sequences[writer] = sequence.parse().expect("a number");
            count += 1;
        }
    }
    assert!(count >= ACKNOWLEDGED_PER_ROUND, "it wrote until it was killed: {count}");
    assert!(!child.wait().expect("it ended").success(), "it was killed");
}

fn write_until_killed(dir: &Path) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = EmbeddedStore::open(dir, Clock::System).expect("the folder is free");
        let write = |n: u128| {
            let (ledger, log) = (store.ledger(), store.log());
            async move {
                loop {
                    let version = commit(&ledger, user(n)).await.expect("commit");
                    let new = record("wharf.x", &format!("{n}-{version}"));
                    let stored = log.publish(Stream::Events, new).await.expect("publish");
                    let line = format!("acknowledged {n} {version} {}\n", stored.sequence);
                    std::io::stdout().write_all(line.as_bytes()).expect("somebody reads");
                }
            }
        };
        futures_util::future::join_all((0..WRITERS).map(write)).await;
    });
}

fn check(dir: &Path, acknowledged: &Acknowledged) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = EmbeddedStore::open(dir, Clock::System).expect("the dead hold nothing");
        for n in 0..WRITERS {
            let at = usize::try_from(n).expect("small");
            let account = store.ledger().load(user(n)).await.expect("load").expect("there");
            assert!(account.version >= acknowledged.versions[at], "writer {n} lost a commit");
            let entries = store.ledger().entries_after(user(n), 0, usize::MAX).await.expect("read");
            let versions: Vec<u64> = entries.iter().map(|entry| entry.version).collect();
            let all: Vec<u64> = (1..=account.version).collect();
            assert_eq!(versions, all, "account and entries of a write stand or fall together");
            let from = ReplayFrom::Sequence(acknowledged.sequences[at]);
            let mut replay = store.log().replay(Stream::Events, ">".to_owned(), from).await.expect("replay");
            let record = replay.next(SOON).await.expect("next").expect("the log lost a record");
            assert_eq!(record.id, format!("{n}-{}", acknowledged.versions[at]));
        }
    });
}
