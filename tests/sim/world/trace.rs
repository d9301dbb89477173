//! What has happened, line by line.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use uuid::Uuid;

/// Lines printed with a failure.
const LAST_MAX: usize = 50;

/// The story of one seed.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// Whether all lines are kept.
    pub(crate) keeps_all: bool,
    pub(crate) lines: u64,
    pub(crate) all: String,
    last: VecDeque<String>,
    names: BTreeMap<Uuid, String>,
}

impl Trace {
    pub(crate) fn note(&mut self, now: u64, what: fmt::Arguments<'_>) {
        let line = format!("{:>5} {:>12.3}s {what}", self.lines, Seconds(now));
        self.lines += 1;
        if self.keeps_all {
            self.all.push_str(&line);
            self.all.push('\n');
        }
        if self.last.len() == LAST_MAX {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// The last lines.
    pub(crate) fn tail(&self) -> String {
        self.last.iter().map(|line| format!("  {line}\n")).collect()
    }

    /// A short name, by the order of first sight.
    pub(crate) fn name(&mut self, kind: char, id: Uuid) -> String {
        let next = self.names.len();
        self.names.entry(id).or_insert_with(|| format!("{kind}{next}")).clone()
    }
}

struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}
