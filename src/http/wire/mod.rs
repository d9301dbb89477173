//! The wire format: what a request carries and what an answer looks like, without any knowledge of files or users.
//!
//! Start with `answers` for what a handler returns and `body` for what it reads.

pub(super) mod context;
pub(super) mod target;
pub(super) mod cors;
pub(super) mod exchange;
pub(super) mod body;
pub(super) mod json;
pub(super) mod query;
pub(super) mod media;
pub(super) mod conditions;
pub(super) mod cursor;
pub(super) mod idempotency;
pub(super) mod disposition;
pub(super) mod answers;
pub(super) mod problems;
