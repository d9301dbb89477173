//! What operators ask: totals, and single accounts.

mod totals;
mod accounts;
mod users;
mod view;

pub(in crate::http) use accounts::{set_quota, set_state, usage};
pub(in crate::http) use totals::totals;
pub(in crate::http) use users::{find, show};
