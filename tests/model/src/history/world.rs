//! The world: what may happen next, which rules hold, and what a good end is.

use super::protocol::{Bounds, Judge, Protocol};
use super::publish::{mark_alone, publish};
use super::state::{Ledger, Memory, Node, Op, Outcome, State, Write};
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
        if let Some(write) = state.stray {
            let mut next = State { stray: None, ..*state };
            reach(Step::StrayIsLost, next);
            let applied = next.ledger.take(&write);
            reach(Step::StrayLands { applied }, next);
        }
        for node in 0..2 {
            self.ask(state, node, reach);
            die(state, node, reach);
            publish(&self.protocol, state, node, reach);
            match state.nodes[node] {
                Node { write: Some(write), .. } => self.await_write(state, node, write, reach),
                Node { memory: None, .. } => self.load(state, node, reach),
                Node { memory: Some(memory), request, .. } => {
                    let mut next = *state;
                    next.nodes[node].memory = None;
                    reach(Step::Forget { node }, next);
                    if let Some(op) = request {
                        decide(state, (node, op), memory, reach);
                    } else if let Some(write) = mark_alone(&state.nodes[node]) {
                        let mut next = *state;
                        next.nodes[node].write = Some((write, Outcome::Sent));
                        reach(Step::SendMark { node }, next);
                    }
                }
            }
        }
    }

    fn broken(&self, _: &State, after: &State) -> Option<&'static str> {
        let twice = |request| after.ledger.entries_of(request) > 1;
        if after.is_misjudged {
            Some("a write whose answer was lost was judged wrongly")
        } else if after.is_log_torn {
            Some("I21: an event came before the one before it")
        } else if after.ledger.published > after.logged {
            Some("I21: an entry is called published and is not in the log")
        } else if self.bounds.once && (0..self.bounds.requests).any(twice) {
            Some("one request made two entries")
        } else {
            None
        }
    }

    fn is_settled(&self, state: &State) -> bool {
        let rests = |node: &Node| node.write.is_none() && node.request.is_none();
        state.stray.is_none()
            && state.nodes.iter().all(rests)
            && state.logged == state.ledger.version
            && state.ledger.published == state.ledger.version
    }

    fn is_sure(&self, step: Step) -> bool {
        step.is_sure()
    }

    fn pack(&self, state: &State) -> u128 {
        state.canonical()
    }
}

impl World {
    /// The next request arrives at a node that has none.
    fn ask(&self, state: &State, node: usize, reach: &mut impl FnMut(Step, State)) {
        if state.asked < self.bounds.requests && state.nodes[node].request.is_none() {
            let request = state.asked;
            let mut next = *state;
            next.asked += 1;
            next.nodes[node].request = Some(Op { request, attempt: 0 });
            reach(Step::Ask { node, request }, next);
        }
    }

    /// A node reads the account, and what is not published yet.
    fn load(&self, state: &State, node: usize, reach: &mut impl FnMut(Step, State)) {
        let Ledger { version, published, .. } = state.ledger;
        let mut next = *state;
        next.nodes[node].memory = Some(Memory { version, published });
        next.nodes[node].look_into_ledger(&self.protocol, version, published);
        reach(Step::Load { node }, next);
    }

    /// A node's write goes its way.
    fn await_write(
        &self,
        state: &State,
        node: usize,
        (write, outcome): (Write, Outcome),
        reach: &mut impl FnMut(Step, State),
    ) {
        let mut unknown = *state;
        unknown.nodes[node].write = Some((write, Outcome::Unknown));
        match outcome {
            Outcome::Sent => {
                let mut next = *state;
                let applied = next.ledger.take(&write);
                let outcome = if applied { Outcome::Applied } else { Outcome::Refused };
                next.nodes[node].write = Some((write, outcome));
                reach(Step::Write { node, applied }, next);
                unknown.stray = Some(write);
                reach(Step::LosePatience { node, leaves_write: true }, unknown);
            }
            Outcome::Applied | Outcome::Refused => {
                let applied = outcome == Outcome::Applied;
                let mut next = *state;
                self.ended(&mut next.nodes[node], &write, applied);
                reach(Step::Hear { node, applied }, next);
                reach(Step::LosePatience { node, leaves_write: false }, unknown);
            }
            Outcome::Unknown => {
                let mut next = *state;
                let applied = self.judge(&mut next.ledger, &write);
                next.is_misjudged = write.op.is_some_and(|op| applied != next.ledger.has(op));
                self.ended(&mut next.nodes[node], &write, applied);
                next.nodes[node].memory = None;
                reach(Step::Judge { node, applied }, next);
            }
        }
    }

    /// Whether a write whose answer was lost is applied. One of the mark alone is simply forgotten.
    fn judge(&self, ledger: &mut Ledger, write: &Write) -> bool {
        let Some(op) = write.op else { return false };
        match self.protocol.judge {
            Judge::Entry => ledger.entry(write.expects + 1) == Some(op),
            Judge::LastOp => ledger.last_op() == Some(op),
            Judge::Repeat => ledger.take(write),
            Judge::Hope => true,
        }
    }

    /// A node knows how its write ended: applied, its request is answered; refused, it decides again.
    fn ended(&self, node: &mut Node, write: &Write, applied: bool) {
        node.write = None;
        if applied {
            let version = write.expects + u8::from(write.op.is_some());
            node.memory = Some(Memory { version, published: write.published });
            if write.op.is_some() {
                node.note_own(&self.protocol, version);
                node.request = None;
            }
        } else {
            node.memory = None;
            let again = |op: Op| Op { attempt: op.attempt + 1, ..op };
            let is_left = |op: &Op| op.attempt < self.bounds.tries_max;
            if write.op.is_some() {
                node.request = node.request.map(again).filter(is_left);
            }
        }
    }
}

/// A node dies. What it has sent may still land.
fn die(state: &State, node: usize, reach: &mut impl FnMut(Step, State)) {
    let mut next = *state;
    let left = match state.nodes[node].write {
        Some((write, Outcome::Sent)) => Some(write),
        Some((_, Outcome::Applied | Outcome::Refused | Outcome::Unknown)) | None => None,
    };
    next.stray = left.or(state.stray);
    next.nodes[node] = Node::default();
    if state.nodes[node] != next.nodes[node] {
        reach(Step::Die { node, leaves_write: left.is_some() }, next);
    }
}

/// A node decides its request on what it remembers.
fn decide(state: &State, (node, op): (usize, Op), memory: Memory, reach: &mut impl FnMut(Step, State)) {
    let Op { request, .. } = op;
    let wants_trashed = request % 2 == 0;
    let mut next = *state;
    if Ledger::is_trashed_at(memory.version) == wants_trashed {
        next.nodes[node].request = None;
        reach(Step::Answer { node, request }, next);
    } else {
        let published = state.nodes[node].mark(memory.published).min(memory.version);
        let write = Write { expects: memory.version, op: Some(op), published };
        next.nodes[node].write = Some((write, Outcome::Sent));
        reach(Step::Send { node, request }, next);
    }
}
