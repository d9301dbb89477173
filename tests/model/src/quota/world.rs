//! The world: what may happen next, which rules hold, and what a good end is.

use super::decide::Desk;
use super::protocol::{Bounds, Check, Protocol};
use super::state::{Account, Node, Outcome, State, Url, Write};
use super::status::Status;
use super::step::{Becomes, Step, Why};
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
        outside(state, reach);
        stray(self, state, reach);
        let nodes = if self.bounds.has_two_nodes { 2 } else { 1 };
        for node in 0..nodes {
            match (state.nodes[node].memory, state.nodes[node].write) {
                (None, _) => load(self, state, node, reach),
                (Some(memory), Some((write, outcome))) => {
                    forget(state, node, reach);
                    await_write(self, state, (node, &memory), (write, outcome), reach);
                }
                (Some(memory), None) => {
                    forget(state, node, reach);
                    act(self, state, (node, &memory), reach);
                }
            }
        }
    }

    fn broken(&self, before: &State, after: &State) -> Option<&'static str> {
        let Self { protocol, bounds } = self;
        let ledger = &after.ledger;
        let sum = |counts: &dyn Fn(usize) -> bool| -> i16 {
            (0..2).filter(|file| counts(*file)).map(|file| i16::from(bounds.size(file))).sum()
        };
        let (rows, files) = (ledger.rows, after.files);
        let used = sum(&|file| rows[file].is_used());
        let reserved = sum(&|file| rows[file].is_reserved());
        let is_counted = |file: usize| rows[file].is_used() || rows[file].is_reserved();
        let is_usable = |file: usize| files[file].url.is_usable() && !rows[file].is_dead();
        let takes_more = (0..2).any(|file| {
            let was = before.ledger.rows[file];
            was != rows[file] && is_counted(file) && !was.is_used() && !was.is_reserved()
        });
        let strays = |file: usize| {
            let was = before.ledger.rows[file];
            // What is reserved in memory alone has no row before it is processed.
            let has_no_row = !protocol.reserves_durably && was == Status::Absent;
            was != rows[file] && !was.may_become(rows[file]) && !has_no_row
        };
        // A write brings what it changes, and leaves the rest as its node knew it.
        let undoes = before.ledger.rows != rows && before.ledger.is_lowered != ledger.is_lowered;
        let deletes_alive = |file: usize| {
            before.files[file].has_object && !files[file].has_object && !before.ledger.rows[file].is_dead()
        };
        if used != i16::from(ledger.used) || reserved != i16::from(ledger.reserved) {
            Some("I1, I2: the sums are not those of the rows")
        } else if takes_more && used + reserved > i16::from(bounds.quota_of(ledger.is_lowered)) {
            Some("I3: a file was let in over the quota")
        } else if (0..2).any(|file| rows[file].is_used() && !files[file].has_object) {
            Some("I14: a processed file has no object")
        } else if undoes {
            Some("I23: a write undid a change that it did not know of")
        } else if protocol.marks_before_delete && (0..2).any(deletes_alive) {
            Some("I15: an object was deleted before its row said so")
        } else if bounds.counts_urls
            && sum(&|file| is_counted(file) || is_usable(file)) > i16::from(bounds.quota)
        {
            Some("I8: usable URLs may bring more than the quota")
        } else if (0..2).any(strays) {
            Some("I6: a status moved against the machine")
        } else {
            None
        }
    }

    fn is_settled(&self, state: &State) -> bool {
        let is_file_settled = |file: usize| {
            let outside = &state.files[file];
            let wants_object = match state.ledger.rows[file] {
                Status::Processed | Status::Trashed => Some(true),
                Status::Absent | Status::Gone | Status::Expired | Status::ExpiredCancelled => Some(false),
                Status::Pending | Status::Cancelled | Status::Deleting => None,
            };
            !outside.url.is_usable() && wants_object == Some(outside.has_object)
        };
        state.stray.is_none()
            && state.nodes.iter().all(|node| node.write.is_none())
            && (0..2).all(is_file_settled)
    }

    fn is_sure(&self, step: Step) -> bool {
        step.is_sure()
    }

    fn pack(&self, state: &State) -> u128 {
        state.canonical(&self.bounds)
    }
}

/// URLs age; clients use them.
fn outside(state: &State, reach: &mut impl FnMut(Step, State)) {
    for file in 0..2 {
        if !state.files[file].url.is_usable() {
            continue;
        }
        let is_dead = state.files[file].url == Url::Closing;
        let mut next = *state;
        next.files[file].url = if is_dead { Url::Dead } else { Url::Closing };
        reach(Step::UrlAges { file, is_dead }, next);
        // `If-None-Match: *`: an object is never replaced.
        if !state.files[file].has_object {
            let mut next = *state;
            next.files[file].has_object = true;
            reach(Step::Put { file }, next);
        }
    }
}

/// A write that nobody waits for lands, or is lost.
fn stray(World { protocol, .. }: &World, state: &State, reach: &mut impl FnMut(Step, State)) {
    let Some(write) = state.stray else { return };
    let mut next = State { stray: None, ..*state };
    reach(Step::StrayIsLost, next);
    let applied = land(protocol, &mut next, &write);
    reach(Step::StrayLands { applied }, next);
}

/// A write reaches the ledger.
fn land(protocol: &Protocol, state: &mut State, write: &Write) -> bool {
    if protocol.check != Check::Nothing && state.ledger.version != write.expects {
        return false;
    }
    state.ledger = write.remembered(protocol, &state.ledger);
    if let Some((file, Status::Pending)) = write.row
        && state.files[file].url == Url::None
    {
        // From here on a client may have the URL.
        state.files[file].url = Url::Live;
    }
    true
}

/// A node reads the account.
fn load(World { protocol, .. }: &World, state: &State, node: usize, reach: &mut impl FnMut(Step, State)) {
    let mut next = *state;
    let is_new_epoch = match protocol.check {
        Check::Version | Check::Nothing => false,
        Check::EpochOfOwner => state.owner != Some(node),
        Check::EpochOfReading { .. } => true,
    };
    let epochs_max = match protocol.check {
        Check::EpochOfReading { loads_max } => loads_max,
        Check::EpochOfOwner | Check::Version | Check::Nothing => 9,
    };
    if is_new_epoch {
        if state.ledger.version >= epochs_max {
            return;
        }
        next.ledger.version += 1;
        next.owner = Some(node);
    }
    next.nodes[node].memory = Some(next.ledger);
    reach(Step::Load { node }, next);
}

/// A node forgets what it knows. What it has sent may still land.
fn forget(state: &State, node: usize, reach: &mut impl FnMut(Step, State)) {
    let mut next = *state;
    let left = match state.nodes[node].write {
        Some((write, Outcome::Sent)) => Some(write),
        Some((_, Outcome::Applied | Outcome::Refused)) | None => None,
    };
    next.stray = left.or(state.stray);
    next.nodes[node] = Node::default();
    reach(Step::Forget { node, leaves_write: left.is_some() }, next);
}

/// A node's write goes its way.
fn await_write(
    World { protocol, .. }: &World,
    state: &State,
    (node, memory): (usize, &Account),
    (write, outcome): (Write, Outcome),
    reach: &mut impl FnMut(Step, State),
) {
    let mut next = *state;
    match outcome {
        Outcome::Sent => {
            let applied = land(protocol, &mut next, &write);
            let outcome = if applied { Outcome::Applied } else { Outcome::Refused };
            next.nodes[node].write = Some((write, outcome));
            reach(Step::Write { node, applied }, next);
        }
        Outcome::Applied => {
            next.nodes[node] = Node { memory: Some(write.remembered(protocol, memory)), write: None };
            reach(Step::Hear { node, applied: true }, next);
        }
        Outcome::Refused => {
            next.nodes[node] = Node::default();
            reach(Step::Hear { node, applied: false }, next);
        }
    }
}

/// A node that waits for nothing decides, or deletes an object that is dead.
fn act(
    World { protocol, bounds }: &World,
    state: &State,
    (node, memory): (usize, &Account),
    reach: &mut impl FnMut(Step, State),
) {
    let desk = Desk { protocol, bounds, memory };
    let mut sends = |becomes| {
        let mut next = *state;
        next.nodes[node].write = Some((desk.write(becomes), Outcome::Sent));
        reach(Step::Send { node, becomes }, next);
    };
    if bounds.lowered_quota.is_some() && memory.version < bounds.busy_below {
        sends(Becomes::Quota { is_lowered: !memory.is_lowered });
    }
    let files = || (0..2).filter(|file| bounds.sizes[*file].is_some());
    files().for_each(|file| desk.file(file, &state.files[file], &mut sends));
    for file in files() {
        if state.files[file].has_object && desk.deletes_object(file) {
            let mut next = *state;
            next.files[file].has_object = false;
            reach(Step::DeleteObject { node, file }, next);
        }
        if !protocol.reserves_durably && memory.rows[file] == Status::Absent && desk.fits(file) {
            let becomes = Becomes::File { file, status: Status::Pending, why: Why::Asked };
            let known = desk.write(becomes).remembered(protocol, memory);
            let mut next = *state;
            next.nodes[node].memory = Some(Account { version: memory.version, ..known });
            next.files[file].url = Url::Live;
            reach(Step::ReserveInMemory { node, file }, next);
        }
    }
}
