//! The report: figures to keep.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::Asked;
use crate::faults::Done;
use crate::judge::Verdict;
use crate::load::Load;
use crate::plan::{Fault, Target};
use crate::told::read;

/// Counters worth a line, by how their names start.
const SHOWN: [&str; 16] = [
    "wharf_desk_commits_total",
    "wharf_desk_unknown_resolved_total",
    "wharf_desk_invariants_broken_total",
    "wharf_arrivals_total",
    "wharf_bridge_arrivals_total",
    "wharf_bridge_rejected_total",
    "wharf_bridge_left_total",
    "wharf_ingest_trimmed_total",
    "wharf_bridge_publish_failures_total",
    "wharf_bridge_delete_failures_total",
    "wharf_nats_publishes_total",
    "wharf_nats_readers_rebuilt_total",
    "wharf_cql_errors_total",
    "wharf_sweep_found_total",
    "wharf_actor_restarts_total",
    "wharf_errands_lost_total",
];

/// A run that is as long must have refused some user for quota.
const QUOTA_MET_IN_MINUTES: u64 = 5;

/// All that is printed at the end.
pub(crate) struct Report<'a> {
    pub(crate) asked: Asked,
    pub(crate) capacity: u64,
    pub(crate) rate: u64,
    pub(crate) done: Vec<Done>,
    pub(crate) verdict: Verdict,
    pub(crate) load: &'a Load,
    pub(crate) counters: BTreeMap<String, f64>,
    /// How often a process of ours ended by itself.
    pub(crate) ended: u64,
}

impl Report<'_> {
    /// Nothing was lost, nothing is wrong.
    pub(crate) fn is_good(&self) -> bool {
        let verdict = &self.verdict;
        let lost = [&verdict.presigns_lost, &verdict.deletes_lost, &verdict.puts_lost, &verdict.others];
        lost.iter().all(|lost| lost.is_empty())
            && verdict.quiet_after.is_some()
            // Nobody repaired anything: what looks like it is a disorder.
            && verdict.audit["events_repaired"] == 0
            && self.load.told.violations().is_empty()
            && self.has_met_the_quota()
    }

    /// Where nobody was refused, nothing could be over-committed.
    fn has_met_the_quota(&self) -> bool {
        self.asked.minutes < QUOTA_MET_IN_MINUTES || read(&self.load.told.refused_for_quota) > 0
    }

    fn count(&self, kinds: &[&str]) -> u64 {
        let of = |kind: &&str| self.verdict.disagreements.get(&format!("{kind:?}")).copied().unwrap_or(0);
        kinds.iter().map(of).sum()
    }

    fn invariants(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = &self.verdict;
        let lines = [
            ("acknowledged presigns lost", verdict.presigns_lost.len().to_string()),
            ("acknowledged deletes lost", verdict.deletes_lost.len().to_string()),
            ("acknowledged uploads not processed", verdict.puts_lost.len().to_string()),
            ("other acknowledged changes lost", verdict.others.len().to_string()),
            ("answers that may not be", self.load.told.violations().len().to_string()),
            (
                "sums that drifted",
                self.count(&["sums", "reservations", "totals", "row_unlike_entry"]).to_string(),
            ),
            ("orphans", self.count(&["orphan", "dead_object", "deleting_lingers"]).to_string()),
            ("processed without object", self.count(&["no_object", "other_object"]).to_string()),
            ("over-commits", self.count(&["over_quota"]).to_string()),
            (
                "events missing or out of order",
                self.count(&["event_missing", "event_order", "unpublished"]).to_string(),
            ),
            ("other disagreements", format!("{:?}", verdict.disagreements)),
        ];
        lines.iter().try_for_each(|(what, value)| writeln!(f, "| {what} | {value} |"))?;
        let lost = [&verdict.presigns_lost, &verdict.deletes_lost, &verdict.puts_lost, &verdict.others];
        lost.into_iter().flatten().try_for_each(|line| writeln!(f, "LOST {line}"))
    }

    fn work(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = &self.load.told;
        let counts = [
            ("presigns acknowledged", read(&told.presigns)),
            ("presigns repeated by their key", read(&told.repeats)),
            ("uploads acknowledged", read(&told.puts)),
            ("deletes acknowledged", read(&told.deletes)),
            ("moves to the trash acknowledged", read(&told.trashes)),
            ("restores acknowledged", read(&told.restores)),
            ("presigns refused for quota", read(&told.refused_for_quota)),
            ("tries that failed", read(&told.failed_tries)),
            ("requests given up", read(&told.given_up)),
        ];
        writeln!(
            f,
            "| capacity, then load (acknowledged operations a second) | {}, {} |",
            self.capacity, self.rate
        )?;
        counts.iter().try_for_each(|(what, count)| writeln!(f, "| {what} | {count} |"))
    }

    fn faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts: BTreeMap<(String, Fault), usize> = BTreeMap::new();
        for done in &self.done {
            let target = match done.step.target {
                Target::Node(_) => "our processes".to_owned(),
                Target::Server(name) => name.split('-').next().unwrap_or(name).to_owned(),
                Target::Disk => "the disk of the bucket".to_owned(),
                Target::Stream(name) => name.to_owned(),
                Target::Account(_) => "accounts".to_owned(),
                Target::Link(link) => {
                    format!("link to {}", link.name().split('-').next().unwrap_or_default())
                }
            };
            *counts.entry((target, done.step.fault)).or_default() += 1;
        }
        let kills = self.done.iter().filter(|done| done.step.fault == Fault::Kill).count();
        writeln!(f, "| faults, of them kills | {}, {kills} |", self.done.len())?;
        counts
            .iter()
            .try_for_each(|((target, fault), count)| writeln!(f, "| {target}: {fault:?} | {count} |"))?;
        let of_ours =
            |done: &&Done| matches!(done.step.target, Target::Node(_)) && done.step.fault == Fault::Kill;
        let gaps = self.done.iter().filter(of_ours).filter_map(|done| self.load.told.next_ack(done.began));
        writeln!(f, "| our processes that ended by themselves | {} |", self.ended)?;
        let (p50, p99) = quantiles(gaps.collect());
        writeln!(
            f,
            "| from a kill of ours to the next acknowledged presign, p50 / p99 | {p50:.2?} / {p99:.2?} |"
        )
    }

    fn times(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = &self.verdict;
        let count = verdict.settle_times.len();
        let (p50, p99) = quantiles(verdict.settle_times.clone());
        writeln!(f, "| settle time of {count} files, p50 / p99 | {p50:.2?} / {p99:.2?} |")?;
        writeln!(f, "| settled only when the client said complete | {} |", verdict.late)?;
        match verdict.quiet_after {
            Some(after) => {
                writeln!(f, "| from the healing to an audit without a disagreement | {after:.0?} |")
            }
            None => writeln!(f, "| from the healing to an audit without a disagreement | NEVER |"),
        }
    }

    fn counters(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for shown in SHOWN {
            for (name, value) in self.counters.iter().filter(|(name, _)| name.starts_with(shown)) {
                writeln!(f, "| `{name}` | {value} |")?;
            }
        }
        Ok(())
    }
}

/// The middle and the 99th of a hundred.
fn quantiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
    (at(50).copied().unwrap_or_default(), at(99).copied().unwrap_or_default())
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Asked { minutes, seed } = self.asked;
        writeln!(f, "\n## scripts/chaos --minutes {minutes} --seed {seed}\n\n| What | Figure |\n|---|---|")?;
        self.invariants(f)?;
        self.work(f)?;
        self.faults(f)?;
        self.times(f)?;
        writeln!(f, "| audit read | {} |", self.verdict.audit)?;
        self.counters(f)?;
        writeln!(
            f,
            "\n{}",
            if self.is_good() { "chaos: all is as it should be" } else { "chaos: SOMETHING IS WRONG" }
        )
    }
}
