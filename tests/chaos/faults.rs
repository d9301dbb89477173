//! Carries a plan out: lanes side by side, and in a lane one step after the other, each healed before the next.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::sleep_until;

use crate::nodes::Nodes;
use crate::plan::{Fault, LANES, Step, Target};
use crate::{disk, links, servers, tombstones};

/// Between two looks at what our processes count.
const SCRAPE_EVERY: Duration = Duration::from_secs(2);

/// A step that was carried out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) step: Step,
    pub(crate) began: Instant,
}

/// Carries out what is planned before `until`; returns when all is healed.
pub(crate) async fn carry_out(steps: &[Step], nodes: &Nodes, until: Instant) -> Vec<Done> {
    let start = Instant::now();
    let lanes = (0..LANES).map(|lane| async move {
        let mut done = Vec::new();
        for step in steps.iter().filter(|step| step.lane == lane) {
            sleep_until((start + step.at).into()).await;
            if Instant::now() >= until {
                println!("chaos: no time left for {step}");
                break;
            }
            let began = Instant::now();
            println!("chaos: {:6.1}s {step}", start.elapsed().as_secs_f64());
            one(step, nodes).await;
            done.push(Done { step: *step, began });
        }
        done
    });
    let watch = async {
        while Instant::now() < until {
            nodes.scrape().await;
            nodes.revive();
            tokio::time::sleep(SCRAPE_EVERY).await;
        }
    };
    let (done, ()) = tokio::join!(join_all(lanes), watch);
    done.into_iter().flatten().collect()
}

/// One step, healed when it returns.
async fn one(step: &Step, nodes: &Nodes) {
    match (step.target, step.fault) {
        (Target::Node(index), Fault::Kill) => {
            nodes.kill(index).await;
            tokio::time::sleep(step.lasts).await;
            nodes.begin(index);
        }
        (Target::Node(index), _) => {
            nodes.signal(index, "-STOP").await;
            tokio::time::sleep(step.lasts).await;
            nodes.signal(index, "-CONT").await;
        }
        (Target::Server(name), Fault::Kill) => {
            servers::signal(name, "-KILL").await;
            tokio::time::sleep(step.lasts).await;
            let kind = name.split('-').next().unwrap_or(name);
            servers::up(kind).await;
        }
        (Target::Server(name), _) => {
            servers::signal(name, "-STOP").await;
            tokio::time::sleep(step.lasts).await;
            servers::signal(name, "-CONT").await;
        }
        (Target::Disk, _) => {
            disk::fill().await;
            tokio::time::sleep(step.lasts).await;
            disk::free();
        }
        (Target::Stream(name), _) => servers::delete_stream_under_a_listener(name, step.lasts).await,
        (Target::Account(user), _) => {
            let rows = tombstones::fill(user).await;
            println!("chaos: {rows} deleted rows in the account of chaos-{user}");
        }
        (Target::Link(link), fault) => {
            links::spoil(link, fault).await;
            tokio::time::sleep(step.lasts).await;
            links::heal(link).await;
        }
    }
}
