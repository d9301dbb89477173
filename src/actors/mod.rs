//! The actor tree: supervised shard actors that own every user's account, and what feeds and follows them.
//!
//! Start with `handle`, the only door. Nothing outside this folder sees a message.

mod handle;
mod tree;
mod supervisor;
mod restart_policy;
mod directory;
mod desks;
mod errand;
mod moment;
mod meters;
mod ticket;
mod requests;
mod reserving;
mod desk;
mod held;
mod shard;
mod inspector;
mod chunks;
mod feed;
mod publisher;
mod run;
mod republish;
mod remover;
mod sweeper;
mod trimmer;

pub use handle::{Arrived, Completed, DeskError, Handle, OpenUpload, Reserved};
pub use republish::{Republish, RepublishError, Republished, republish};
pub use sweeper::{Census, Orphans, SweepOptions, TopUser};
pub use tree::{Tree, TreeError, TreeOptions, World};
