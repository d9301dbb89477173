//! The plan: decides how each call goes, and counts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::dice::Dice;
use super::fault::{Fault, Op, Port};

/// Decides how each call goes. Cheap to clone: all clones are one plan, shared by all backends that it is
/// given to. A new one is scripted, with everything fine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Wakes calls that hang.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    source: Source,
    calls: BTreeMap<Op, u64>,
    faults: BTreeMap<Fault, u64>,
}

/// Where faults come from.
#[derive(Debug)]
enum Source {
    Scripted(Script),
    Seeded(Dice),
}

/// What a test has planned. The most specific entry counts.
#[derive(Debug, Default)]
struct Script {
    next: BTreeMap<Op, VecDeque<Fault>>,
    ops: BTreeMap<Op, Fault>,
    ports: BTreeMap<Port, Fault>,
}

impl Default for Source {
    fn default() -> Self {
        Self::Scripted(Script::default())
    }
}

impl Plan {
    /// A plan that a seed decides: each fault comes in so many of 100 calls of each operation.
    #[must_use]
    pub(crate) fn seeded(seed: u64, odds: &[(Fault, u8)]) -> Self {
        let plan = Self::default();
        plan.locked().source = Source::Seeded(Dice::new(seed, odds));
        plan
    }

    /// From now on every call of `op` goes so. A seeded plan becomes a scripted one.
    pub(crate) fn set(&self, op: Op, fault: Fault) {
        self.write(|script| {
            script.ops.insert(op, fault);
        });
    }

    /// From now on every call of `port` goes so, unless its operation has its own word. A seeded plan becomes a
    /// scripted one.
    pub(crate) fn set_port(&self, port: Port, fault: Fault) {
        self.write(|script| {
            script.ports.insert(port, fault);
        });
    }

    /// The next call of `op` goes so, behind those that were planned before. A seeded plan becomes a scripted one.
    pub(crate) fn next(&self, op: Op, fault: Fault) {
        self.write(|script| script.next.entry(op).or_default().push_back(fault));
    }

    /// From now on everything is fine, and what hung goes on.
    pub(crate) fn heal(&self) {
        self.write(|script| *script = Script::default());
    }

    /// Calls of `op` so far, however they went. One that hangs has been made.
    #[must_use]
    pub(crate) fn calls(&self, op: Op) -> u64 {
        self.locked().calls.get(&op).copied().unwrap_or(0)
    }

    /// How often each fault has happened.
    #[must_use]
    pub(crate) fn faults(&self) -> BTreeMap<Fault, u64> {
        self.locked().faults.clone()
    }

    /// Counts a call and decides how it goes. One that hangs waits here until the plan changes.
    pub(super) async fn fault(&self, op: Op) -> Fault {
        let nth = self.count(op);
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable(); // before deciding, so that no change slips in between
            let fault = self.decide(op, nth);
            if fault != Fault::Hang {
                return fault;
            }
            changed.await;
        }
    }

    fn count(&self, op: Op) -> u64 {
        let mut state = self.locked();
        let calls = state.calls.entry(op).or_default();
        *calls += 1;
        *calls
    }

    fn decide(&self, op: Op, nth: u64) -> Fault {
        let mut state = self.locked();
        let fault = match &mut state.source {
            Source::Scripted(script) => script.word(op),
            Source::Seeded(dice) => dice.throw(op, nth),
        };
        if fault != Fault::Fine {
            *state.faults.entry(fault).or_default() += 1;
        }
        fault
    }

    fn write(&self, say: impl FnOnce(&mut Script)) {
        let mut state = self.locked();
        match &mut state.source {
            Source::Scripted(script) => say(script),
            Source::Seeded(_) => {
                let mut script = Script::default();
                say(&mut script);
                state.source = Source::Scripted(script);
            }
        }
        drop(state);
        self.0.changed.notify_waiters();
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Script {
    fn word(&mut self, op: Op) -> Fault {
        let next = self.next.get_mut(&op).and_then(VecDeque::pop_front);
        let standing = || self.ops.get(&op).or_else(|| self.ports.get(&op.port())).copied();
        next.or_else(standing).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use wharfinger::ports::Stream;

    /// How the next calls go, `None` for one that hangs.
    fn check(plan: &Plan, op: Op, expected: &[Option<Fault>]) {
        let found: Vec<_> = expected.iter().map(|_| plan.fault(op).now_or_never()).collect();
        assert_eq!(found, expected, "{op:?}");
    }

    #[test]
    fn the_most_particular_word_counts() {
        let plan = Plan::default();
        check(&plan, Op::Commit, &[Some(Fault::Fine)]);
        plan.set_port(Port::Ledger, Fault::Unavailable);
        plan.set(Op::Load, Fault::Corrupt);
        plan.next(Op::Load, Fault::Twice);
        plan.next(Op::Load, Fault::Fine);
        check(&plan, Op::Load, &[Some(Fault::Twice), Some(Fault::Fine), Some(Fault::Corrupt)]);
        check(&plan, Op::Commit, &[Some(Fault::Unavailable)]);
        check(&plan, Op::Publish(Stream::Events), &[Some(Fault::Fine)]);
        plan.heal();
        check(&plan, Op::Load, &[Some(Fault::Fine)]);
        assert_eq!(plan.calls(Op::Load), 4);
        assert_eq!(plan.faults()[&Fault::Corrupt], 1);
    }

    #[tokio::test]
    async fn what_hangs_goes_on_when_the_plan_changes() {
        let plan = Plan::seeded(1, &[(Fault::Hang, 100)]);
        check(&plan, Op::Head, &[None]);
        let hung = tokio::spawn({
            let plan = plan.clone();
            async move { plan.fault(Op::Head).await }
        });
        while plan.calls(Op::Head) < 2 {
            tokio::task::yield_now().await;
        }
        plan.set(Op::Head, Fault::Lost);
        assert_eq!(hung.await.unwrap(), Fault::Lost);
    }
}
