//! The stamp on a bucket and on a queue: which ledger they belong to.
//!
//! Two deployments that share a bucket or a queue by mistake would take each other's notifications and remove each
//! other's objects, without an error anywhere. So the first ledger that uses one puts its identity on it.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use uuid::Uuid;

/// Which ledger a bucket or a queue belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The identity of the ledger, made with it.
    pub ledger: Uuid,
    /// The name of its deployment, for people.
    pub deployment: String,
}

/// Why a stamp was not read or put.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// Worth repeating, after a pause.
    #[error("{0}")]
    Unavailable(String),
    /// The credentials do not allow it.
    #[error("access denied: {0}")]
    Denied(String),
    /// What stands there is no stamp of ours.
    #[error("the stamp cannot be read: {0:?}")]
    Unreadable(String),
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.ledger, self.deployment)
    }
}

impl Stamp {
    /// As it is stored. The values of tags may hold nothing but letters, digits and some signs.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{} {}", self.ledger, self.deployment)
    }

    /// Reads what [`Stamp::to_text`] wrote.
    ///
    /// # Errors
    /// [`StampError::Unreadable`].
    pub fn parse(text: &str) -> Result<Self, StampError> {
        let unreadable = || StampError::Unreadable(text.chars().take(80).collect());
        let (ledger, deployment) = text.trim().split_once(' ').ok_or_else(unreadable)?;
        let ledger = Uuid::parse_str(ledger).map_err(|_| unreadable())?;
        Ok(Self { ledger, deployment: deployment.to_owned() })
    }
}

/// Keeps a bucket or a queue from being used until it is known to belong to this ledger. Clones share one state.
#[derive(Clone, Debug, Default)]
pub(in crate::adapters) struct Hold(Arc<RwLock<Option<String>>>);

impl Hold {
    /// Holds it for this reason; none: it may be used.
    pub(in crate::adapters) fn set(&self, reason: Option<String>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Whether it may be used.
    ///
    /// # Errors
    /// The reason for the log.
    pub(in crate::adapters) fn check(&self) -> Result<(), String> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Some(reason) => Err(format!("not used before it is known to belong to this ledger: {reason}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_reads_back() {
        let stamp = Stamp { ledger: Uuid::from_u128(7), deployment: "eu-west-1".to_owned() };
        assert_eq!(Stamp::parse(&stamp.to_text()), Ok(stamp.clone()));
        assert_eq!(Stamp::parse(&format!("{}\n", stamp.to_text())), Ok(stamp));
        for bad in ["", "eu-west-1", "7 eu-west-1", "<Error/>"] {
            assert!(matches!(Stamp::parse(bad), Err(StampError::Unreadable(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_hold_is_shared_by_clones() {
        let hold = Hold::default();
        let other = hold.clone();
        assert_eq!(other.check(), Ok(()));
        hold.set(Some("no answer".to_owned()));
        assert!(other.check().is_err_and(|reason| reason.ends_with("this ledger: no answer")));
        hold.set(None);
        assert_eq!(other.check(), Ok(()));
    }
}
