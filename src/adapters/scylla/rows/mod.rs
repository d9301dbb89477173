//! What stands in `user_ledger`, as typed rows, and how it becomes what the domain knows.

mod anchored;
mod account;
mod file;
mod entry;
mod request;

pub(super) use account::{AccountRow, SummaryRow};
pub(super) use anchored::Anchored;
pub(super) use entry::EntryRow;
pub(super) use file::FileRow;
pub(super) use request::{RequestRow, seq_of};
