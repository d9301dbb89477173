//! The log on NATS JetStream.
//!
//! `log` is the port; `link` the connection that everything shares; `declare` compares the streams with `nats/`.
//! `publish` and `batch` write, `puller` fetches for `consumer` and `replay`.

mod connect;
mod identity;
mod link;
mod declare;
mod manage;
mod record;
mod publish;
mod batch;
mod puller;
mod consumer;
mod replay;
mod holds;
mod trim;
mod log;

pub use connect::ConnectError;
pub use consumer::JetStreamConsumer;
pub use log::JetStreamLog;
pub use replay::JetStreamReplay;
