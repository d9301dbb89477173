//! One issuer: its key, its one algorithm, and what its tokens must say.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use tracing::warn;

use crate::config::{AuthSettings, IssuerAlgorithm, IssuerSettings};
use crate::domain::ids::UserId;
use crate::limits;

/// Why the settings of an issuer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthConfigError {
    /// The key's file cannot be read.
    #[error("issuer {issuer:?}: cannot read the key file {path:?}: {reason}", path = .path.display())]
    Unreadable {
        /// The issuer.
        issuer: String,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        reason: std::io::Error,
    },
    /// The secret can be guessed.
    #[error("issuer {issuer:?}: an HS256 secret needs {bytes_min} bytes, this one has {bytes}", bytes_min = limits::TOKEN_SECRET_BYTES_MIN)]
    ShortSecret {
        /// The issuer.
        issuer: String,
        /// Its length.
        bytes: usize,
    },
    /// The key is not one for the algorithm.
    #[error("issuer {issuer:?}: the key is not a public key for {algorithm:?} in PEM: {reason}")]
    WrongKey {
        /// The issuer.
        issuer: String,
        /// The algorithm of the settings.
        algorithm: IssuerAlgorithm,
        /// What is wrong with it.
        reason: String,
    },
    /// An issuer is named twice, so which key counts is not clear.
    #[error("issuer {issuer:?} is named twice")]
    Twice {
        /// The issuer.
        issuer: String,
    },
    /// Two issuers could name the same user.
    #[error("auth.issuers: {0}")]
    Subjects(String),
    /// A name is empty, so tokens that leave it out would match.
    #[error("an issuer needs a name and an audience")]
    Nameless,
}

/// An issuer whose tokens are accepted.
pub(super) struct Issuer {
    pub(super) settings: IssuerSettings,
    pub(super) key: DecodingKey,
    pub(super) validation: Validation,
    /// Warns once of a `sub` whose user id an earlier version chose in another way.
    changed: Once,
    /// Warns once of a token that names a key, where the settings give the key no name.
    unnamed: Once,
}

impl Issuer {
    /// The user that a `sub` names; none if it cannot name one.
    pub(super) fn user_of(&self, subject: &str) -> Option<UserId> {
        let Self { settings, changed, .. } = self;
        if settings.subject.is_none() && UserId::parse(subject).is_ok() {
            changed.call_once(|| {
                warn!(
                    "a token of {:?} has a UUID as its sub, and its user id is computed from it; earlier versions took \
                     the UUID itself: set subject = \"uuid\" in its [[auth.issuers]] section to keep those ids, or \
                     subject = \"name\" to accept the new ones",
                    settings.issuer
                );
            });
        }
        settings.user_of(subject).ok()
    }

    /// Whether a token that this key has verified names no key, or this one.
    pub(super) fn has_key(&self, kid: Option<&str>) -> bool {
        let Some(kid) = kid else { return true };
        if self.settings.kid.is_none() {
            self.unnamed.call_once(|| {
                warn!(
                    "tokens of {:?} name the key {kid:?}, which the settings do not, and are refused: if that is the key \
                     of the key_file, set kid = {kid:?} in the [[auth.issuers]] section",
                    self.settings.issuer
                );
            });
        }
        self.settings.kid.as_deref() == Some(kid)
    }
}

/// Reads all issuers and their key files.
pub(super) fn read_all(settings: &AuthSettings) -> Result<Vec<Issuer>, AuthConfigError> {
    let mut issuers: Vec<Issuer> = Vec::with_capacity(settings.issuers.len());
    for issuer in &settings.issuers {
        if issuer.issuer.is_empty() || issuer.audience.is_empty() {
            return Err(AuthConfigError::Nameless);
        }
        if issuers.iter().any(|known| known.settings.issuer == issuer.issuer) {
            return Err(AuthConfigError::Twice { issuer: issuer.issuer.clone() });
        }
        issuers.push(read(issuer)?);
    }
    if let Some(fault) = settings.subject_fault() {
        return Err(AuthConfigError::Subjects(fault));
    }
    Ok(issuers)
}

fn read(settings: &IssuerSettings) -> Result<Issuer, AuthConfigError> {
    let bytes = read_file(settings, &settings.key_file)?;
    let (algorithm, key) = match settings.algorithm {
        IssuerAlgorithm::HS256 => (Algorithm::HS256, secret(settings, &bytes)),
        IssuerAlgorithm::RS256 => (Algorithm::RS256, public(settings, DecodingKey::from_rsa_pem(&bytes))),
        IssuerAlgorithm::ES256 => (Algorithm::ES256, public(settings, DecodingKey::from_ec_pem(&bytes))),
        IssuerAlgorithm::EdDSA => (Algorithm::EdDSA, public(settings, DecodingKey::from_ed_pem(&bytes))),
    };
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[&settings.issuer]);
    validation.set_audience(&[&settings.audience]);
    // A claim that is only set above may still be left out by the token.
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // Times are judged by our own clock, after everything else.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    Ok(Issuer {
        settings: settings.clone(),
        key: key?,
        validation,
        changed: Once::new(),
        unnamed: Once::new(),
    })
}

fn read_file(settings: &IssuerSettings, path: &Path) -> Result<Vec<u8>, AuthConfigError> {
    fs::read(path).map_err(|reason| AuthConfigError::Unreadable {
        issuer: settings.issuer.clone(),
        path: path.to_owned(),
        reason,
    })
}

/// A secret, byte for byte as in the file.
fn secret(settings: &IssuerSettings, bytes: &[u8]) -> Result<DecodingKey, AuthConfigError> {
    let issuer = || settings.issuer.clone();
    if bytes.starts_with(b"-----BEGIN") {
        // A public key as secret would let anyone sign.
        let reason = "a PEM file is not a secret".to_owned();
        return Err(AuthConfigError::WrongKey { issuer: issuer(), algorithm: settings.algorithm, reason });
    }
    if bytes.len() < limits::TOKEN_SECRET_BYTES_MIN {
        return Err(AuthConfigError::ShortSecret { issuer: issuer(), bytes: bytes.len() });
    }
    Ok(DecodingKey::from_secret(bytes))
}

fn public(
    settings: &IssuerSettings,
    key: Result<DecodingKey, jsonwebtoken::errors::Error>,
) -> Result<DecodingKey, AuthConfigError> {
    key.map_err(|reason| AuthConfigError::WrongKey {
        issuer: settings.issuer.clone(),
        algorithm: settings.algorithm,
        reason: reason.to_string(),
    })
}
