//! The commands of the runbooks, run as they are written.

use std::collections::BTreeSet;
use std::process::Output;

use crate::support::serve::Site;
use crate::support::servers::{named, new_name};
use crate::support::wharfinger;

const RUNBOOKS: &str = include_str!("../../docs/runbooks.md");

/// Every command of ours in the text, once.
fn commands() -> BTreeSet<&'static str> {
    let quoted = RUNBOOKS.split('`').skip(1).step_by(2);
    quoted.filter(|text| text.starts_with("wharfinger ")).collect()
}

/// Runs a command as it is written, with what its capital words stand for.
fn run(command: &str, site: &Site, user: &str) -> Output {
    let config = site.config();
    let word = |word: &str| match word {
        "FILE" => config.clone(),
        "USER" => user.to_owned(),
        "VERSION" => "1".to_owned(),
        other => other.to_owned(),
    };
    let words: Vec<String> = command.split_whitespace().skip(1).map(word).collect();
    wharfinger().args(words).output().expect("the binary starts")
}

/// Which deployment a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    /// A running one.
    Running,
    /// One that was stopped.
    Stopped,
    /// One with its ledger on CQL.
    Cql,
    /// One with bucket or queue on AWS: tried by `tests/real_bucket.rs`.
    Aws,
}

fn is_for(command: &str) -> For {
    let words: Vec<_> = command.split_whitespace().skip(1).take(2).collect();
    match words.as_slice() {
        ["health" | "audit", _] | ["config", _] => For::Running,
        ["events", "republish"] => For::Stopped,
        ["schema", _] => For::Cql,
        ["aws", _] => For::Aws,
        other => panic!("{command:?}: how is {other:?} tried?"),
    }
}

fn expect_good(command: &str, output: &Output) {
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn every_command_of_the_runbooks_does_what_it_says() {
    let commands = commands();
    let all = |which: For| commands.iter().filter(move |command| is_for(command) == which);
    assert!(all(For::Running).count() >= 3 && all(For::Stopped).count() >= 1, "{commands:?}");
    let site = Site::new("");
    let serve = site.serve().await;
    let api = serve.user("ann");
    let file = api.upload("a.txt", "hello").await;
    api.events_until("0", "files.processed").await;
    let grant = api.presign("b.txt", 5).await.expect(201).json();
    let user = grant["upload_url"].as_str().and_then(|url| url.split("/user/").nth(1)?.split('/').next());
    let user = user.expect("a user in the key").to_owned();
    for command in all(For::Running) {
        expect_good(command, &run(command, &site, &user));
    }
    assert_eq!(serve.terminate().await, Some(0), "{file}");
    for command in all(For::Stopped) {
        expect_good(command, &run(command, &site, &user));
    }
}

#[test]
fn commands_for_tables_work_on_cql() {
    let Some(cql) = named("WHARFDEV_TEST_CQL") else { return };
    let nodes: Vec<String> = cql.split(',').map(|node| format!("{node:?}")).collect();
    let keyspace = new_name().replace('-', "_");
    let text = format!(
        "[ledger]\nkind = \"scylla\"\n[ledger.scylla]\nnodes = [{}]\nkeyspace = {keyspace:?}\n",
        nodes.join(", ")
    );
    let site = Site::new(&text);
    for command in commands().into_iter().filter(|command| is_for(command) == For::Cql) {
        expect_good(command, &run(command, &site, ""));
    }
}

#[test]
fn the_first_commands_say_which_deployment_they_are_for() {
    for command in commands() {
        assert!(command.contains(" --config FILE"), "{command} works for nobody as it is written");
    }
}
