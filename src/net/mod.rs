//! Connections of every listener: accepting, the cap, the watch over progress, the end without a reset.
//!
//! Used by `http` and by the embedded S3 endpoint; it knows nothing of what they answer. Start with `acceptor`.

mod acceptor;
mod budget;
mod connection;
mod framing;
mod head;
mod in_flight;
mod intake;
mod linger;
mod peer;
mod registry;
mod stop;
mod stream;
mod streams;
mod watch;

pub use acceptor::{Acceptor, Listening, Serving};
pub use budget::{Budget, UnsentBytes};
pub use connection::serve;
pub use head::{Refusal, apply_target_host, is_host, is_same_host, is_target};
pub use in_flight::{AwaitedBody, ClientStep, RequestInFlight};
pub use stop::Stop;
pub use stream::Watched;
pub use streams::{StreamExecutor, StreamProgress};
pub use watch::{Stall, Watch, is_too_slow};
