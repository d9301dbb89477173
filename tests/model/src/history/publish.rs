//! How entries come into the log.

use super::protocol::Protocol;
use super::state::{Node, Outbox, State, Write};
use super::step::Step;

impl Node {
    /// Notes what is to be published after the account was read.
    pub(super) fn look_into_ledger(&mut self, protocol: &Protocol, version: u8, published: u8) {
        let start = if protocol.reads_entries { published } else { version };
        let outbox = self.outbox.get_or_insert(Outbox { published: start, known: start });
        if protocol.reads_entries {
            outbox.known = outbox.known.max(version);
        }
    }

    /// Notes an entry of its own that has become durable.
    pub(super) fn note_own(&mut self, protocol: &Protocol, version: u8) {
        let before = version - 1;
        let outbox = self.outbox.get_or_insert(Outbox { published: before, known: before });
        if !protocol.reads_entries && outbox.published == outbox.known {
            outbox.published = outbox.published.max(before);
        }
        outbox.known = outbox.known.max(version);
    }

    /// What the next write says is in the log.
    pub(super) fn mark(&self, remembered: u8) -> u8 {
        self.outbox.map_or(remembered, |outbox| outbox.published.max(remembered))
    }
}

/// A node publishes its next entry: the log stores it or not, and the node gets the answer or not.
pub(super) fn publish(protocol: &Protocol, state: &State, node: usize, reach: &mut impl FnMut(Step, State)) {
    let Some(outbox) = state.nodes[node].outbox.filter(|outbox| outbox.published < outbox.known) else {
        return;
    };
    let version = outbox.published + 1;
    let heard = Outbox { published: version, ..outbox };
    let mut lost = *state;
    if !protocol.marks_after_ack {
        lost.nodes[node].outbox = Some(heard);
    }
    reach(Step::PublishIsLost { node, version }, lost);
    let mut stored = lost;
    stored.is_log_torn |= version > state.logged + 1 || version > state.ledger.version;
    stored.logged = state.logged.max(version);
    if protocol.marks_after_ack {
        reach(Step::Publish { node, version, heard: false }, stored);
    }
    stored.nodes[node].outbox = Some(heard);
    reach(Step::Publish { node, version, heard: true }, stored);
}

/// A write of the mark alone, if there is news.
pub(super) fn mark_alone(node: &Node) -> Option<Write> {
    let memory = node.memory?;
    let published = node.mark(memory.published).min(memory.version);
    (published > memory.published).then_some(Write { expects: memory.version, op: None, published })
}
