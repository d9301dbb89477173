//! Reports of seeds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// The report of one seed.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) violations: Vec<String>,
    /// The last lines of its trace.
    pub(crate) tail: String,
    /// All of it, if it was kept.
    pub(crate) trace: String,
    pub(crate) lines: u64,
    pub(crate) simulated_ms: u64,
    pub(crate) asks: u64,
    pub(crate) calls: u64,
    pub(crate) commits: u64,
    pub(crate) faults: BTreeMap<(&'static str, &'static str), u64>,
    pub(crate) answers: BTreeMap<&'static str, u64>,
    /// Situations that only some seeds reach.
    pub(crate) reached: BTreeMap<&'static str, u64>,
}

impl Outcome {
    /// What to say of a seed that broke something: what, where, and how to see it again.
    pub(crate) fn failure(&self) -> String {
        let Self { seed, lines, tail, .. } = self;
        let broken = self.violations.join("\n  ");
        format!(
            "seed {seed}, line {lines}:\n  {broken}\nthe last events:\n{tail}replay: WHARFDEV_SIM_SEED={seed} cargo test --test sim one_seed -- --nocapture\n"
        )
    }
}

/// The report of many seeds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    seeds: u64,
    simulated_ms: u64,
    asks: u64,
    calls: u64,
    commits: u64,
    faults: BTreeMap<(&'static str, &'static str), u64>,
    answers: BTreeMap<&'static str, u64>,
    reached: BTreeMap<&'static str, u64>,
    pub(crate) failures: Vec<String>,
}

impl Report {
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.simulated_ms += outcome.simulated_ms;
        self.asks += outcome.asks;
        self.calls += outcome.calls;
        self.commits += outcome.commits;
        for (kind, count) in &outcome.faults {
            *self.faults.entry(*kind).or_default() += count;
        }
        for (answer, count) in &outcome.answers {
            *self.answers.entry(answer).or_default() += count;
        }
        for (what, count) in &outcome.reached {
            *self.reached.entry(what).or_default() += count;
        }
        if !outcome.violations.is_empty() {
            self.failures.push(outcome.failure());
        }
    }

    /// Panics unless each of these was reached a few times: what never happens proves nothing.
    pub(crate) fn expect_reached(&self, of: &[&str]) {
        for what in of {
            let count = self.reached.get(what).copied().unwrap_or(0);
            assert!(count >= 5, "{what} {count} times in {} seeds", self.seeds);
        }
    }

    pub(crate) fn text(&self, took: Duration) -> String {
        let mut text = String::new();
        let faults: u64 = self.faults.values().sum();
        let per_second = self.seeds * 1000 / u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
        let hours = self.simulated_ms / 3_600_000;
        writeln!(
            text,
            "seeds {}, simulated hours {hours}, requests {}, port calls {}, commits {}, faults {faults}, seeds a second {per_second}, violations: {}",
            self.seeds, self.asks, self.calls, self.commits, self.failures.len(),
        )
        .unwrap();
        let answers: Vec<String> =
            self.answers.iter().map(|(word, count)| format!("{word} {count}")).collect();
        writeln!(text, "answers: {}", answers.join(", ")).unwrap();
        let reached: Vec<String> =
            self.reached.iter().map(|(what, count)| format!("{what} {count}")).collect();
        writeln!(text, "reached: {}", reached.join(", ")).unwrap();
        let faults = self.faults.iter().map(|((what, how), count)| format!("{what} {how} {count}"));
        writeln!(text, "faults: {}", faults.collect::<Vec<_>>().join(", ")).unwrap();
        text
    }
}
