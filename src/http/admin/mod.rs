//! What operators ask: totals, and single accounts.

mod route;
mod totals;
mod accounts;
mod users;
mod view;

pub(super) use route::{Admin, UserRef};

pub(super) use accounts::{set_quota, set_state, usage};
pub(super) use totals::totals;
pub(super) use users::{find, show};
