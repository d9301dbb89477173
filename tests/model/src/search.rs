//! The search: every state that can be reached, breadth first, so that what breaks is shown by a shortest way.

use std::fmt;

use crate::seen::{Seen, index, number};

/// A protocol in its world.
pub trait Model {
    /// Everything there is at one moment.
    type State: Copy;
    /// One thing that happens; shown as a sentence.
    type Step: Copy + fmt::Display;

    /// Before anything happened.
    fn start(&self) -> Self::State;

    /// Tells `reach` each step that is possible now and the state it leads to.
    fn steps(&self, state: &Self::State, reach: &mut impl FnMut(Self::Step, Self::State));

    /// The rule that a step breaks, if it does.
    fn broken(&self, before: &Self::State, after: &Self::State) -> Option<&'static str>;

    /// Whether everything is as it should be in the end.
    fn is_settled(&self, state: &Self::State) -> bool;

    /// Whether a step happens by itself sooner or later: no client and no event is needed for it.
    fn is_sure(&self, step: Self::Step) -> bool;

    /// A number for a state; the same for states that differ only in the names of things.
    fn pack(&self, state: &Self::State) -> u128;
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// States that can be reached; of a broken protocol those seen before.
    pub states: usize,
    /// Steps between them.
    pub transitions: usize,
    /// Whether the protocol is sound.
    pub verdict: Verdict,
}

/// Whether a protocol is sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No state breaks a rule, and every state can still settle by itself.
    Holds,
    /// A rule can be broken.
    Broken {
        /// Which.
        rule: &'static str,
        /// A shortest way there, a sentence a step.
        trace: Vec<String>,
    },
    /// No rule is broken, but from some states nothing leads to a good end without help.
    NeverSettles {
        /// How many.
        states: usize,
        /// A shortest way to one of them.
        trace: Vec<String>,
    },
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} states, {} transitions: ", self.states, self.transitions)?;
        let trace = match &self.verdict {
            Verdict::Holds => return f.write_str("every rule holds, and everything settles"),
            Verdict::Broken { rule, trace } => {
                write!(f, "broken in {} steps: {rule}", trace.len())?;
                trace
            }
            Verdict::NeverSettles { states, trace } => {
                write!(f, "{states} states never settle; the nearest is {} steps away", trace.len())?;
                trace
            }
        };
        (1..).zip(trace).try_for_each(|(n, step)| write!(f, "\n  {n:2}. {step}"))
    }
}

/// Tries everything that can happen.
pub fn search<M: Model>(model: &M) -> Report {
    let mut search = Search::new(model);
    let mut layer = vec![model.start()];
    let mut visited = 0;
    while !layer.is_empty() {
        let mut next = Vec::new();
        for state in layer {
            if let Err(rule) = search.visit(&state, &mut next) {
                let trace = search.trace_to_broken(visited, rule);
                return search.report(Verdict::Broken { rule, trace });
            }
            visited += 1;
        }
        layer = next;
    }
    let stuck = search.stuck();
    let verdict = match stuck.first() {
        None => Verdict::Holds,
        Some(nearest) => Verdict::NeverSettles { states: stuck.len(), trace: search.trace(*nearest).0 },
    };
    search.report(verdict)
}

/// A search on its way. States have numbers in the order they were reached, which is the order they are visited.
struct Search<'a, M: Model> {
    model: &'a M,
    seen: Seen,
    /// By state: the one from which it was reached first.
    parents: Vec<u32>,
    is_settled: Vec<bool>,
    /// Where sure steps lead, state after state; and by state, where its own begin.
    targets: Vec<u32>,
    begins: Vec<usize>,
    transitions: usize,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M) -> Self {
        let start = model.start();
        let mut seen = Seen::new();
        seen.insert(model.pack(&start));
        Self {
            model,
            seen,
            parents: vec![0],
            is_settled: vec![model.is_settled(&start)],
            targets: Vec::new(),
            begins: Vec::new(),
            transitions: 0,
        }
    }

    /// Takes every step from the next state in order; states that are new go to `next`.
    fn visit(&mut self, state: &M::State, next: &mut Vec<M::State>) -> Result<(), &'static str> {
        let from = number(self.begins.len());
        self.begins.push(self.targets.len());
        let model = self.model;
        let mut outcome = Ok(());
        model.steps(state, &mut |step, after| {
            self.transitions += 1;
            if let Some(rule) = model.broken(state, &after) {
                outcome = outcome.and(Err(rule));
            }
            let (to, is_new) = self.seen.insert(model.pack(&after));
            if is_new {
                self.parents.push(from);
                self.is_settled.push(model.is_settled(&after));
                next.push(after);
            }
            if model.is_sure(step) && to != from {
                self.targets.push(to);
            }
        });
        outcome
    }

    /// The states from which sure steps alone never lead to a settled one, nearest first.
    fn stuck(&self) -> Vec<u32> {
        let mut settles = self.is_settled.clone();
        let mut is_news = true;
        while is_news {
            is_news = false;
            // Later states mostly lead on to the end, so from the back a few rounds are enough.
            for state in (0..settles.len()).rev().filter(|state| !self.is_settled[*state]) {
                if !settles[state] && self.targets_of(state).iter().any(|to| settles[index(*to)]) {
                    settles[state] = true;
                    is_news = true;
                }
            }
        }
        (0..settles.len()).filter(|state| !settles[*state]).map(number).collect()
    }

    fn targets_of(&self, state: usize) -> &[u32] {
        let end = self.begins.get(state + 1).copied().unwrap_or(self.targets.len());
        &self.targets[self.begins[state]..end]
    }

    /// A shortest way to a state, and the state. Names of things stay what they were at the start.
    fn trace(&self, end: u32) -> (Vec<String>, M::State) {
        let mut way = vec![end];
        while let Some(state) = way.last().filter(|state| **state != 0) {
            way.push(self.parents[index(*state)]);
        }
        let mut trace = Vec::new();
        let mut state = self.model.start();
        for next in way.into_iter().rev().skip(1) {
            let packed = self.seen.state(next);
            let (step, after) = self
                .find(&state, |after| self.model.pack(after) == packed)
                .expect("it was reached by a step");
            trace.push(step.to_string());
            state = after;
        }
        (trace, state)
    }

    /// A shortest way to a state, and from it the step that breaks a rule.
    fn trace_to_broken(&self, from: u32, rule: &str) -> Vec<String> {
        let (mut trace, state) = self.trace(from);
        let is_broken = |after: &M::State| self.model.broken(&state, after) == Some(rule);
        let (step, _) = self.find(&state, is_broken).expect("it was broken by a step");
        trace.push(step.to_string());
        trace
    }

    fn find(&self, state: &M::State, is_it: impl Fn(&M::State) -> bool) -> Option<(M::Step, M::State)> {
        let mut found = None;
        self.model.steps(state, &mut |step, after| {
            if found.is_none() && is_it(&after) {
                found = Some((step, after));
            }
        });
        found
    }

    fn report(&self, verdict: Verdict) -> Report {
        Report { states: self.seen.len(), transitions: self.transitions, verdict }
    }
}
