//! The bucket on Amazon S3, and on what speaks like it, with a signer for it.
//!
//! Start with `port`; uploads in parts are in `multipart`. `signer` signs with keys that `refresher` keeps fresh,
//! `skew` compares clocks, `watch` looks after all of it, and `setup` makes the bucket.

mod options;
mod client;
mod skew;
mod failure;
mod port;
mod multipart;
mod first_bytes;
mod watch;
mod stamp;
mod signer;
mod refresher;
mod rules;
mod setup;

pub use options::S3Options;
pub use port::S3Bucket;
pub use refresher::CredentialsRefresher;
pub use setup::{BucketRules, S3Setup};
pub use signer::S3Signer;
