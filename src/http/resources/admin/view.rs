//! An account, as operators see it.

use serde::Serialize;

use crate::domain::account::Account;
use crate::domain::ids::UserId;

/// An account's sums and settings.
#[derive(Serialize)]
pub(super) struct AccountView {
    user_id: UserId,
    used_bytes: u64,
    reserved_bytes: u64,
    trashed_bytes: u64,
    /// The limit that counts.
    limit_bytes: u64,
    /// This user's own limit.
    quota_bytes: Option<u64>,
    file_count: u32,
    pending_count: usize,
    state: &'static str,
}

impl AccountView {
    /// Bytes of one as JSON, about.
    pub(super) const BYTES_ABOUT: usize = 256;

    pub(super) fn of(account: &Account, quota_bytes_default: u64) -> Self {
        Self {
            user_id: account.user,
            used_bytes: account.totals.used_bytes,
            reserved_bytes: account.totals.reserved_bytes,
            trashed_bytes: account.totals.trashed_bytes,
            limit_bytes: account.limit_bytes(quota_bytes_default),
            quota_bytes: account.quota_bytes,
            file_count: account.totals.file_count,
            pending_count: account.pending.len(),
            state: account.state.as_str(),
        }
    }
}
