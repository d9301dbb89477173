//! Background loops that maintain a part of the process.

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
