//! The access policy: one function for every route.

use super::account::AccountState;
use super::ids::UserId;

/// The role in a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Their own files.
    User,
    /// Reads what admins read.
    Support,
    /// Everything.
    Admin,
}

impl Role {
    /// The role with this word in a token, if there is one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "user" => Some(Self::User),
            "support" => Some(Self::Support),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }
}

/// The caller of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub user: UserId,
    /// The `sub` of the token.
    pub subject: String,
    /// The strongest role of the token.
    pub role: Role,
}

/// The action that a caller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read own files, usage, events.
    ReadOwn,
    /// Delete own files.
    DeleteOwn,
    /// Rename or restore own files.
    ChangeOwn,
    /// Take or hand out bytes: presign or complete an upload, sign a download.
    MoveBytes,
    /// Read what admins read.
    ReadAdmin,
    /// Change other people's accounts and files.
    ChangeAdmin,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The role is too weak.
    #[error("this needs the role admin")]
    AdminRequired,
    /// The account is suspended.
    #[error("the account is suspended")]
    Suspended,
    /// Not theirs: answered as if it did not exist.
    #[error("not found")]
    NotTheirs,
}

/// Decides whether `caller` may do `action` on what `owner` has.
///
/// # Errors
/// See [`Denied`].
pub fn decide(caller: &Caller, action: Action, owner: UserId, state: AccountState) -> Result<(), Denied> {
    match action {
        Action::ReadAdmin if caller.role >= Role::Support => Ok(()),
        Action::ChangeAdmin if caller.role >= Role::Admin => Ok(()),
        Action::ReadAdmin | Action::ChangeAdmin => Err(Denied::AdminRequired),
        Action::ReadOwn | Action::DeleteOwn | Action::ChangeOwn | Action::MoveBytes
            if owner != caller.user =>
        {
            Err(Denied::NotTheirs)
        }
        Action::ChangeOwn | Action::MoveBytes if state == AccountState::Suspended => Err(Denied::Suspended),
        Action::ReadOwn | Action::DeleteOwn | Action::ChangeOwn | Action::MoveBytes => Ok(()),
    }
}

#[cfg(test)]
mod tests;
