//! The queue on Amazon SQS, and on what speaks like it.
//!
//! Start with `port`. `depth` measures how full the queue is, `setup` makes it.

mod options;
mod client;
mod port;
mod stamp;
mod depth;
mod setup;

pub use depth::Depth;
pub use options::{QueueName, SqsOptions};
pub use port::SqsQueue;
pub use setup::{Senders, SqsSetup};
