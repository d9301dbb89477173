//! Chaos on real servers: three of our processes on one ledger, a load, faults by seed, and then the audit.
//!
//! Does nothing unless `scripts/chaos` asks for it: `run --minutes N --seed S`, with `WHARFDEV_SERVERS_DIR` set.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it stops where it is wrong, and prints a report"
)]

#[path = "../support/mod.rs"]
mod support;
mod dice;
mod disk;
mod plan;
mod servers;
mod links;
mod nodes;
mod told;
mod load;
mod tombstones;
mod faults;
mod judge;
mod report;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use load::{Load, Pace};
use nodes::Nodes;
use report::Report;

/// How long the load runs without faults, so that its capacity is known.
const MEASURE: Duration = Duration::from_secs(20);

/// What was asked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    minutes: u64,
    seed: u64,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(asked) = asked(&args) else {
        println!("chaos: nothing asked for; see scripts/chaos --help");
        return ExitCode::SUCCESS;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let is_good = runtime.expect("threads").block_on(run(asked));
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Anything but a well-formed `run` asks for nothing: the test command lists and filters this binary too.
fn asked(args: &[String]) -> Option<Asked> {
    match args {
        [run, minutes_flag, minutes, seed_flag, seed]
            if run == "run" && minutes_flag == "--minutes" && seed_flag == "--seed" =>
        {
            Some(Asked { minutes: minutes.parse().ok()?, seed: seed.parse().ok()? })
        }
        _ => None,
    }
}

async fn run(asked: Asked) -> bool {
    let steps = plan::plan(asked.seed, Duration::from_secs(asked.minutes * 60));
    println!("chaos: seed {}, {} minutes, {} faults planned", asked.seed, asked.minutes, steps.len());
    for step in &steps {
        println!("plan {step}");
    }
    links::make().await;
    let nodes = Nodes::start().await;
    let load = Load::new(asked.seed, nodes.tokens());

    println!("chaos: {MEASURE:?} at full speed, without faults");
    let before = load.told.acknowledged();
    load.run(Pace::unlimited(), Instant::now() + MEASURE).await;
    let capacity = (load.told.acknowledged() - before) / MEASURE.as_secs();
    let rate = (capacity / 2).max(1);
    println!("chaos: {capacity} acknowledged operations a second; going on with {rate}");

    let until = Instant::now() + Duration::from_secs(asked.minutes * 60);
    let ((), done) =
        tokio::join!(load.run(Pace::per_second(rate), until), faults::carry_out(&steps, &nodes, until));
    println!("chaos: over; healing");
    let verdict = judge::settle(&nodes, &load.told).await;
    nodes.scrape().await;
    let report = Report {
        asked,
        capacity,
        rate,
        done,
        verdict,
        load: &load,
        counters: nodes.counters(),
        ended: nodes.ended(),
    };
    println!("{report}");
    report.is_good()
}
