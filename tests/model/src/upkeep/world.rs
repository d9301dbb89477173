//! The world: what may happen next, which rules hold, and what a good end is.

use super::decide::decide;
use super::ledger::{Kind, Ledger, Write};
use super::protocol::{Bounds, Protocol};
use super::state::{Memory, Node, Outcome, State, Stray};
use super::step::Step;
use crate::search::Model;

/// A protocol in a world of some size.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// The protocol.
    pub protocol: Protocol,
    /// The size.
    pub bounds: Bounds,
}

impl Model for World {
    type State = State;
    type Step = Step;

    fn start(&self) -> State {
        State::default()
    }

    fn steps(&self, state: &State, reach: &mut impl FnMut(Step, State)) {
        self.pass_time(state, reach);
        self.move_stray(state, reach);
        self.read(state, reach);
        for node in 0..if self.bounds.has_two_nodes { 2 } else { 1 } {
            if state.asked < self.bounds.asks && !state.nodes[node].has_request {
                let mut next = *state;
                next.asked += 1;
                next.nodes[node].has_request = true;
                reach(Step::Ask { node }, next);
            }
            die(state, node, reach);
            publish(state, node, reach);
            match state.nodes[node] {
                Node { write: Some(write), .. } => self.await_write(state, node, write, reach),
                Node { memory: None, .. } => load(state, node, reach),
                Node { memory: Some(memory), .. } => {
                    let mut next = *state;
                    next.nodes[node].memory = None;
                    reach(Step::Forget { node }, next);
                    decide((&self.protocol, &self.bounds), state, (node, memory), reach);
                }
            }
        }
    }

    fn broken(&self, before: &State, after: &State) -> Option<&'static str> {
        let ledger = &after.ledger;
        let mut unlogged = after.logged + 1..=ledger.version;
        if after.is_misjudged {
            Some("a write whose answer was lost was judged wrongly")
        } else if !unlogged.clone().all(|version| ledger.has_entry(version)) {
            Some("I21: an entry was trimmed before its event was in the log")
        } else if !unlogged.all(|version| ledger.has_row_of(version)) {
            Some("I21: a row was forgotten before its last event was in the log")
        } else if !(ledger.floor + 1..=ledger.version).all(|version| ledger.has_entry(version)) {
            Some("I28: an entry above the floor is not there")
        } else if ledger.published < before.ledger.published || ledger.floor < before.ledger.floor {
            Some("I23: a write took back what another one had written")
        } else if is_reserved_twice(before, after) {
            Some("I9: a request reserved a second time within its day")
        } else if after.is_gap_missed {
            Some("I28: a reader passed over trimmed entries and did not notice")
        } else {
            None
        }
    }

    fn is_settled(&self, state: &State) -> bool {
        let Ledger { version, published, rows, .. } = state.ledger;
        let rests = |node: &Node| node.write.is_none() && !node.has_request;
        state.stray.is_none()
            && state.nodes.iter().all(rests)
            && version % 2 == 0
            && [state.logged, published] == [version; 2]
            && rows == [false; 2]
            && (!self.bounds.has_reader || state.read == version)
    }

    fn is_sure(&self, step: Step) -> bool {
        step.is_sure()
    }

    fn pack(&self, state: &State) -> u128 {
        state.canonical()
    }
}

impl World {
    /// The day of the request ends, and the request leaves the ledger at any time after that.
    fn pass_time(&self, state: &State, reach: &mut impl FnMut(Step, State)) {
        if state.ledger.version > 0 && !state.is_day_over {
            reach(Step::DayPasses, State { is_day_over: true, ..*state });
        }
        if state.ledger.remembers && (state.is_day_over || !self.protocol.remembers_for_a_day) {
            let mut next = *state;
            next.ledger.remembers = false;
            reach(Step::RequestExpires, next);
        }
    }

    fn move_stray(&self, state: &State, reach: &mut impl FnMut(Step, State)) {
        let Some(Stray { write, judge }) = state.stray else { return };
        let mut next = State { stray: None, ..*state };
        reach(Step::StrayIsLost, next);
        let applied = self.apply(&mut next, &write);
        if let Some((_, outcome @ Outcome::Unknown { .. })) =
            judge.and_then(|node| next.nodes[node].write.as_mut())
        {
            *outcome = Outcome::Unknown { is_applied: applied };
        }
        reach(Step::StrayLands { applied }, next);
    }

    /// The ledger gets a write.
    fn apply(&self, state: &mut State, write: &Write) -> bool {
        let applied = state.ledger.take(&self.protocol, write);
        if applied {
            state.outdate();
            state.is_day_over &= write.kind != Kind::Reserve;
        }
        applied
    }

    /// The reader reads the next entry that is there.
    fn read(&self, state: &State, reach: &mut impl FnMut(Step, State)) {
        if let Some(version) = state.ledger.next_entry(state.read).filter(|_| self.bounds.has_reader) {
            let is_next = version == state.read + 1;
            let is_gap_missed = !is_next && !self.protocol.reports_gaps;
            reach(Step::Read { version, is_next }, State { read: version, is_gap_missed, ..*state });
        }
    }

    /// A node's write goes its way.
    fn await_write(
        &self,
        state: &State,
        node: usize,
        (write, outcome): (Write, Outcome),
        reach: &mut impl FnMut(Step, State),
    ) {
        let unknown = |is_applied| {
            let mut next = *state;
            next.nodes[node].write = Some((write, Outcome::Unknown { is_applied }));
            next
        };
        match outcome {
            Outcome::Sent => {
                let mut next = *state;
                let applied = self.apply(&mut next, &write);
                let outcome = if applied { Outcome::Applied } else { Outcome::Refused };
                next.nodes[node].write = Some((Write { is_latest: applied, ..write }, outcome));
                reach(Step::Write { node, applied }, next);
                let stray = Some(Stray { write, judge: Some(node) });
                reach(Step::StopWaiting { node, leaves_write: true }, State { stray, ..unknown(false) });
            }
            Outcome::Applied | Outcome::Refused => {
                let applied = outcome == Outcome::Applied;
                let mut next = *state;
                ended(&mut next.nodes[node], &write, applied);
                reach(Step::Receive { node, applied }, next);
                reach(Step::StopWaiting { node, leaves_write: false }, unknown(applied));
            }
            Outcome::Unknown { is_applied } => {
                let mut next = *state;
                // An entry at the version that was proposed names the attempt that made it.
                let is_found = is_applied && next.ledger.has_entry(write.version());
                let applied = write.kind.is_transition() && is_found;
                next.is_misjudged = write.kind.is_transition() && applied != is_applied;
                if let Some(stray) = next.stray.as_mut().filter(|stray| stray.judge == Some(node)) {
                    stray.judge = None;
                }
                ended(&mut next.nodes[node], &write, applied);
                next.nodes[node].memory = None;
                reach(Step::Judge { node, applied }, next);
            }
        }
    }
}

/// A node reads the account.
fn load(state: &State, node: usize, reach: &mut impl FnMut(Step, State)) {
    let Ledger { version, published, floor, .. } = state.ledger;
    let mut next = *state;
    next.nodes[node].memory = Some(Memory { version, published, floor, logged: published, is_latest: true });
    reach(Step::Load { node }, next);
}

/// A node knows how its write ended.
fn ended(node: &mut Node, write: &Write, applied: bool) {
    let logged = node.memory.map_or(0, |memory| memory.logged).max(write.published);
    let Write { published, floor, is_latest, .. } = *write;
    node.write = None;
    node.memory = applied.then_some(Memory { version: write.version(), published, floor, logged, is_latest });
    node.has_request &= !(applied && write.kind == Kind::Reserve);
}

/// A node dies. What it has sent may still be applied.
fn die(state: &State, node: usize, reach: &mut impl FnMut(Step, State)) {
    let mut next = *state;
    let left = match state.nodes[node].write {
        Some((write, Outcome::Sent)) => Some(Stray { write, judge: None }),
        Some((_, Outcome::Applied | Outcome::Refused | Outcome::Unknown { .. })) | None => None,
    };
    next.stray = left.or(state.stray);
    if let Some(stray) = next.stray.as_mut().filter(|stray| stray.judge == Some(node)) {
        stray.judge = None;
    }
    next.nodes[node] = Node::default();
    if state.nodes[node] != Node::default() {
        reach(Step::Die { node, leaves_write: left.is_some() }, next);
    }
}

/// A node publishes the next event that is not in the log, as far as it knows. It reads the entry and its row for this.
fn publish(state: &State, node: usize, reach: &mut impl FnMut(Step, State)) {
    let Some(memory) = state.nodes[node].memory else { return };
    let version = memory.logged + 1;
    if version > memory.version || !state.ledger.has_entry(version) || !state.ledger.has_row_of(version) {
        return;
    }
    let mut next = State { logged: state.logged.max(version), ..*state };
    reach(Step::Publish { node, version, confirmed: false }, next);
    next.nodes[node].memory = Some(Memory { logged: version, ..memory });
    reach(Step::Publish { node, version, confirmed: true }, next);
}

/// Whether a step made a second file for the request although its day is not over.
fn is_reserved_twice(before: &State, after: &State) -> bool {
    let is_reservation = after.ledger.version > before.ledger.version && after.ledger.version % 2 == 1;
    is_reservation && before.ledger.version > 0 && !before.is_day_over
}
