//! Loops that look after a part in the background, and that nobody waits for.

use std::future::Future;

use tokio::task::JoinSet;

/// Such loops. They end with this value, at whatever they are: they hold nothing.
#[derive(Debug, Default)]
pub(super) struct Upkeep(JoinSet<()>);

impl Upkeep {
    /// Starts one.
    pub(super) fn start(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }
}
