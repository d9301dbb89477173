//! Presigning with AWS Signature Version 4, on our own: a cached day key makes it cost under two microseconds.
//!
//! Start with `presigner`, which turns the port's grants into requests. The AWS SDK is the oracle of its tests.

mod presigner;
mod canonical;
mod address;
mod credentials;
mod encode;

pub use address::{Address, AddressError, Style};
pub use credentials::Credentials;
pub use presigner::{Presigner, SIGNED_VALUES};
