//! Judges tokens. The token's own header chooses nothing: its issuer's settings do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::errors::Error;
use jsonwebtoken::{Header, decode, decode_header};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};

use super::cache::{Digest, TokenCache, Verified};
use super::issuer::{self, AuthConfigError, Issuer};
use crate::config::{AuthSettings, IssuerSettings};
use crate::domain::ids::{SubjectError, UserId};
use crate::domain::policy::{Caller, Role};
use crate::domain::time::Timestamp;
use crate::http::error::{ErrorCode, Problem};
use crate::limits;

/// Verifies tokens of the configured issuers, with a cache of those verified before.
pub struct Authenticator {
    issuers: Vec<Issuer>,
    cache: TokenCache,
}

/// Why a token does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenFault {
    /// Everything about it was right, once.
    Expired,
    /// All else.
    Invalid,
}

impl From<TokenFault> for Problem {
    fn from(fault: TokenFault) -> Self {
        match fault {
            TokenFault::Expired => Self::new(ErrorCode::TokenExpired),
            TokenFault::Invalid => Self::new(ErrorCode::TokenInvalid),
        }
    }
}

impl From<Error> for TokenFault {
    /// Answers do not reveal which of the checks failed.
    fn from(_: Error) -> Self {
        Self::Invalid
    }
}

#[derive(Deserialize)]
struct Unverified {
    iss: String,
}

#[derive(Deserialize)]
struct Claims {
    exp: Number,
    nbf: Option<Number>,
    sub: String,
    #[serde(flatten)]
    others: OtherClaims,
}

/// The claims whose names the settings choose, each at most once: of a repeated one it is not clear which counts.
struct OtherClaims(Map<String, Value>);

impl<'de> Deserialize<'de> for OtherClaims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ClaimsVisitor)
    }
}

struct ClaimsVisitor;

impl<'de> Visitor<'de> for ClaimsVisitor {
    type Value = OtherClaims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with each claim once")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OtherClaims, A::Error> {
        let mut claims = Map::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if claims.insert(name, value).is_some() {
                return Err(A::Error::custom("a claim is repeated"));
            }
        }
        Ok(OtherClaims(claims))
    }
}

impl Authenticator {
    /// Reads the issuers' key files.
    ///
    /// # Errors
    /// See [`AuthConfigError`].
    pub fn from_config(settings: &AuthSettings) -> Result<Self, AuthConfigError> {
        Ok(Self { issuers: issuer::read_all(settings)?, cache: TokenCache::default() })
    }

    /// Returns the caller that a token names, and until when it is valid.
    ///
    /// # Errors
    /// `token_expired` if only its end is wrong, else `token_invalid`.
    pub(in crate::http) fn caller_of(&self, token: &str, now: Timestamp) -> Result<Verified, Problem> {
        if token.len() > limits::TOKEN_BYTES_MAX {
            return Err(TokenFault::Invalid.into());
        }
        let digest = Digest::of(token);
        if let Some(known) = self.cache.get(digest, now) {
            return Ok(known);
        }
        let verified = self.verify(token, now)?;
        self.cache.insert(digest, verified.clone());
        Ok(verified)
    }

    /// Whom a `sub` names, by each issuer, or by the one that is asked for.
    ///
    /// # Errors
    /// A `sub` that no token may have.
    pub(in crate::http) fn users_of(
        &self,
        subject: &str,
        issuer: Option<&str>,
    ) -> Result<Vec<(&str, UserId)>, SubjectError> {
        let settings = self.issuers.iter().map(|known| &known.settings);
        let asked = settings.filter(|known| issuer.is_none_or(|issuer| known.issuer == issuer));
        asked.map(|known| Ok((known.issuer.as_str(), known.user_of(subject)?))).collect()
    }

    fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, TokenFault> {
        let header = decode_header(token)?;
        check_header(&header)?;
        // Not trusted: it only finds the issuer, whose key and rules then decide on the whole token.
        let Unverified { iss } = insecure_decode_claims(token)?;
        let issuer =
            self.issuers.iter().find(|issuer| issuer.settings.issuer == iss).ok_or(TokenFault::Invalid)?;
        let claims = decode::<Claims>(token, &issuer.key, &issuer.validation)?.claims;
        if !issuer.has_key(header.kid.as_deref()) {
            return Err(TokenFault::Invalid);
        }
        let caller = Caller {
            user: issuer.user_of(&claims.sub).ok_or(TokenFault::Invalid)?,
            role: role_of(claims.others.0.get(&issuer.settings.roles_claim)),
            subject: claims.sub,
        };
        if let Some(from) = claims.nbf
            && now.after(limits::TOKEN_LEEWAY) < time_of(&from)?
        {
            return Err(TokenFault::Invalid);
        }
        let until = time_of(&claims.exp)?.after(limits::TOKEN_LEEWAY);
        if now < until { Ok(Verified { caller: Arc::new(caller), until }) } else { Err(TokenFault::Expired) }
    }
}

/// What a header may say. Keys that it brings along are ignored.
fn check_header(header: &Header) -> Result<(), TokenFault> {
    // `crit` names extensions that must be understood, and none is.
    if header.crit.is_some() || !header.kid.as_deref().is_none_or(IssuerSettings::is_kid) {
        return Err(TokenFault::Invalid);
    }
    Ok(())
}

/// A `NumericDate`: seconds since 1970, perhaps with a fraction.
fn time_of(number: &Number) -> Result<Timestamp, TokenFault> {
    let whole = number.as_u64().map(Duration::from_secs);
    let span = whole.or_else(|| number.as_f64().and_then(|secs| Duration::try_from_secs_f64(secs).ok()));
    span.map(|span| Timestamp::default().after(span)).ok_or(TokenFault::Invalid)
}

/// The strongest role of a list of strings. Unknown words are ignored; a list with anything but strings gives no role,
/// and neither does a claim of another shape.
fn role_of(claim: Option<&Value>) -> Role {
    let words = match claim {
        Some(Value::Array(words)) => words.iter().map(Value::as_str).collect::<Option<Vec<_>>>(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_))
        | None => None,
    };
    words.unwrap_or_default().into_iter().filter_map(Role::parse).max().unwrap_or(Role::User)
}

#[cfg(test)]
mod tests;
