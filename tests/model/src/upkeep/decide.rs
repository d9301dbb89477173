//! What a node may decide on what it remembers.

use super::ledger::{Kind, Write, file_of};
use super::protocol::{Bounds, Protocol};
use super::state::{Memory, Outcome, State};
use super::step::{Sent, Step};

/// Everything that a node with memory and without a write in flight can decide.
pub(super) fn decide(
    (protocol, bounds): (&Protocol, &Bounds),
    state: &State,
    (node, memory): (usize, Memory),
    reach: &mut impl FnMut(Step, State),
) {
    let mut send = |kind, floor| {
        let Memory { version, published, logged, is_latest, .. } = memory;
        let published = logged.min(version).max(published);
        let write = Write { kind, expects: version, published, floor, is_latest };
        let mut next = *state;
        next.nodes[node].write = Some((write, Outcome::Sent));
        let up_to = if kind == Kind::Mark { published } else { floor };
        reach(Step::Send { node, write: Sent(kind, up_to) }, next);
    };
    let is_open = memory.version % 2 == 1;
    let is_remembered = state.ledger.remembers && !state.is_day_over;
    let is_full = memory.version == bounds.version_max();
    let is_answered = state.nodes[node].has_request && (is_remembered || is_full);
    if state.nodes[node].has_request && !is_answered && !is_open {
        send(Kind::Reserve, memory.floor);
    }
    if is_open {
        send(Kind::End, memory.floor);
    }
    if memory.logged.min(memory.version) > memory.published {
        send(Kind::Mark, memory.floor);
    }
    let floor = trimmed_up_to(protocol, state, memory);
    if floor > memory.floor {
        send(Kind::Trim, floor);
    }
    for file in forgettable(protocol, state, memory) {
        send(Kind::Forget { file }, memory.floor);
    }
    if is_answered {
        let mut next = *state;
        next.nodes[node].has_request = false;
        reach(Step::Answer { node }, next);
    }
}

/// Up to where the history can be trimmed now. The last entry stays.
fn trimmed_up_to(protocol: &Protocol, state: &State, memory: Memory) -> u8 {
    let last = memory.version.saturating_sub(1);
    let published = memory.logged.min(memory.version).max(memory.published);
    let bound = if protocol.trims_below_published { last.min(published) } else { last };
    // Age is not counted here. An entry is young while a node may still ask for it to find out how its write ended.
    let writes = state.nodes.iter().filter_map(|node| node.write);
    let open = writes.filter(|(write, _)| write.kind.is_transition()).map(|(write, _)| write.version());
    match open.min() {
        Some(young) if protocol.trims_old_entries => bound.min(young - 1),
        Some(_) | None => bound,
    }
}

/// Files that are ended and whose rows nothing needs any more.
fn forgettable(protocol: &Protocol, state: &State, memory: Memory) -> impl Iterator<Item = u8> {
    let rows = state.ledger.rows;
    let keeps = protocol.keeps_rows_for_events;
    (0..2).filter(move |file| {
        let last = file * 2 + 2;
        debug_assert_eq!(file_of(last), *file);
        rows[usize::from(*file)] && memory.version >= last && (!keeps || memory.published >= last)
    })
}
