//! The actor tree: supervised shard actors that own every user's account.
//!
//! Start with `handle`, the only door. Nothing outside this folder sees a message.

mod handle;

pub use handle::{Completed, DeskError, Handle, Reserved};
