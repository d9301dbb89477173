//! What an operator may ask, as a value.

use crate::domain::ids::UserId;
use crate::domain::policy::Action;

/// A user's id as it stands in a path; none if it is not a UUID, which is answered like a user that is not there.
pub(in crate::http) type UserRef = Option<UserId>;

/// What an operator asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Admin {
    /// The totals of the deployment.
    Totals,
    /// The users that a token's `sub` names.
    Find,
    /// One user: sums, settings and open uploads.
    Show(UserRef),
    /// One user's sums.
    Usage(UserRef),
    /// Another limit for one user.
    SetQuota(UserRef),
    /// Suspend or reactivate one user.
    SetState(UserRef),
}

impl Admin {
    /// What the policy is asked.
    pub(in crate::http) const fn action(self) -> Action {
        match self {
            Self::Totals | Self::Find | Self::Show(_) | Self::Usage(_) => Action::ReadAdmin,
            Self::SetQuota(_) | Self::SetState(_) => Action::ChangeAdmin,
        }
    }

    /// The types its body may have; empty: it has none.
    pub(in crate::http) const fn consumes(self) -> &'static [&'static str] {
        match self {
            Self::SetQuota(_) | Self::SetState(_) => &["application/json"],
            Self::Totals | Self::Find | Self::Show(_) | Self::Usage(_) => &[],
        }
    }
}
