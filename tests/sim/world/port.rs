//! One node's way into the world: every call takes its time, and goes as its fate has it.

use std::time::Duration;

use crate::fault_injection::Op;
use tokio::time::sleep;

use super::coming::Coming;
use super::fate::Way;
use super::state::{Shared, State};

/// How long a call says nothing that is stalled.
const STALL: Duration = Duration::from_secs(120);
/// What a panic says that the weather brought.
pub(crate) const PORT_PANIC: &str = "a port panicked, as its fate had it";

/// What is wrong, to be said in the words of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing was done.
    Refused,
    /// Nobody says.
    Silent,
}

/// All ports of one node. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) shared: Shared,
    pub(crate) node: usize,
}

impl Port {
    pub(crate) const fn new(shared: Shared, node: usize) -> Self {
        Self { shared, node }
    }

    /// A call. `zombie` is what is done if it is done without its caller; none: nothing then.
    pub(crate) async fn call<T, E>(
        &self,
        op: Op,
        zombie: Option<Coming>,
        error: impl Fn(Trouble) -> E + Send,
        run: impl Fn(&mut State) -> Result<T, E> + Send,
    ) -> Result<T, E> {
        let fate = self.shared.enter(self.node).fate(self.node, op);
        let mut orphan = Orphan { port: self.clone(), left: None };
        if fate.way == Way::Fine || fate.way == Way::Unanswered {
            orphan.left = fate.outlives.zip(zombie.clone());
        }
        pause(fate.before).await;
        orphan.left = None;
        let done = match (fate.way, zombie) {
            (Way::Fine, _) => run(&mut self.shared.enter(self.node)),
            (Way::Twice, _) => {
                let mut state = self.shared.enter(self.node);
                let first = run(&mut state);
                drop(run(&mut state));
                first
            }
            (Way::Unanswered, _) => {
                drop(run(&mut self.shared.enter(self.node)));
                Err(error(Trouble::Silent))
            }
            (Way::Late(ms), Some(zombie)) => {
                self.shared.enter(self.node).later(ms, zombie);
                Err(error(Trouble::Silent))
            }
            (Way::Stalled, _) => {
                sleep(STALL).await;
                Err(error(Trouble::Silent))
            }
            (Way::Panics, _) => panic!("{PORT_PANIC}"),
            (Way::Lost | Way::Late(_), _) => Err(error(Trouble::Silent)),
            (Way::Refused | Way::Dropped, _) => Err(error(Trouble::Refused)),
        };
        pause(fate.after).await;
        done
    }
}

/// Time on the wire.
pub(crate) async fn pause(ms: u64) {
    if ms > 0 {
        sleep(Duration::from_millis(ms)).await;
    }
}

/// Work that is done although its caller went away, by a deadline or by a crash.
struct Orphan {
    port: Port,
    left: Option<(u64, Coming)>,
}

impl Drop for Orphan {
    fn drop(&mut self) {
        if let Some((ms, what)) = self.left.take() {
            let mut state = self.port.shared.look();
            state.count_fault("commit", "outlived its node");
            state.later(ms, what);
        }
    }
}
