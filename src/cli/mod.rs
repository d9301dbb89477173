//! The command line. One file a command; start with `entry`.

mod entry;
mod dev;
mod serve;
mod health;
mod token;
mod admin_call;
mod users;
mod config;
#[cfg(feature = "cql")]
mod schema;
#[cfg(feature = "aws")]
mod aws;
mod events;
mod audit;
mod who;
mod target;
mod dev_issuer;
mod issuer_key;
mod walkthrough;
mod settings;
mod process;
mod span;
mod failure;
mod output;

pub use entry::main;
