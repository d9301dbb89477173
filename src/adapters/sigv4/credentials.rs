//! Credentials, with the key that is derived from them for a day.

use std::fmt;
use std::sync::{PoisonError, RwLock};

use aws_lc_rs::hmac;

use crate::domain::time::Timestamp;

/// An access key with its secret.
///
/// The derived day key is kept inside, so that new credentials can never meet the key of old ones.
pub struct Credentials {
    access_key: String,
    secret_key: String,
    session_token: Option<String>,
    expires_at: Option<Timestamp>,
    day_key: RwLock<Option<DayKey>>,
}

/// The key for one day and region.
struct DayKey {
    date: [u8; 8],
    region: String,
    key: hmac::Key,
}

impl Credentials {
    /// Credentials that do not expire.
    #[must_use]
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self {
            access_key: access_key.into(),
            secret_key: secret_key.into(),
            session_token: None,
            expires_at: None,
            day_key: RwLock::new(None),
        }
    }

    /// The same, as those of a session: with its token, and its end where there is one.
    #[must_use]
    pub fn in_session(mut self, token: impl Into<String>, expires_at: Option<Timestamp>) -> Self {
        self.session_token = Some(token.into());
        self.expires_at = expires_at;
        self
    }

    /// Who signs.
    #[must_use]
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// The secret. Never to be logged.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        &self.secret_key
    }

    /// The session's token, if it is one.
    #[must_use]
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }

    /// When they end, if they do.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Signs `text` with the key of `date` (`YYYYMMDD`) and `region`. Deriving a key happens once a day and region.
    pub(super) fn sign(&self, date: [u8; 8], region: &str, text: &[u8]) -> hmac::Tag {
        let held = self.day_key.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held.as_ref().filter(|held| held.date == date && held.region == region) {
            return hmac::sign(&held.key, text);
        }
        drop(held);
        let key = self.derive(date, region);
        let tag = hmac::sign(&key, text);
        let derived = DayKey { date, region: region.to_owned(), key };
        *self.day_key.write().unwrap_or_else(PoisonError::into_inner) = Some(derived);
        tag
    }

    fn derive(&self, date: [u8; 8], region: &str) -> hmac::Key {
        let secret = format!("AWS4{}", self.secret_key);
        let start = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        [&date[..], region.as_bytes(), b"s3", b"aws4_request"]
            .into_iter()
            .fold(start, |key, step| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, step).as_ref()))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, …)", self.access_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_changes_with_the_day_and_the_region_and_back() {
        let credentials = Credentials::new("AKID", "SECRET");
        let sign = |date: &[u8; 8], region| credentials.sign(*date, region, b"text").as_ref().to_vec();
        let first = sign(b"20261120", "us-east-1");
        assert_eq!(sign(b"20261120", "us-east-1"), first);
        assert_ne!(sign(b"20261121", "us-east-1"), first);
        assert_ne!(sign(b"20261120", "eu-west-1"), first);
        assert_eq!(sign(b"20261120", "us-east-1"), first, "a key of another day or region is not used");
    }

    #[test]
    fn a_secret_is_not_printed() {
        let credentials = Credentials::new("AKID", "SECRET").in_session("TOKEN", None);
        let printed = format!("{credentials:?}");
        assert!(printed.contains("AKID") && !printed.contains("SECRET") && !printed.contains("TOKEN"));
    }
}
