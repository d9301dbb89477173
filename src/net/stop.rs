//! How connections are asked to end.

use tokio_util::sync::CancellationToken;

/// How connections are asked to end. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Finish the requests in flight, take no new one.
    pub soon: CancellationToken,
    /// At once.
    pub now: CancellationToken,
}

impl Stop {
    /// A stop that also follows this one.
    ///
    /// Each connection has its own: waking and checking it then takes no lock that other connections hold.
    pub(super) fn child(&self) -> Self {
        Self { soon: self.soon.child_token(), now: self.now.child_token() }
    }
}
