//! Tokens signed with the shared key of an HS256 issuer in the settings.

use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value};

use super::failure::CommandFailure;
use crate::config::IssuerSettings;
use crate::domain::time::Timestamp;
use crate::limits::TOKEN_SECRET_BYTES_MIN;

/// A token for `subject` with these roles that counts from a time for a span.
pub(super) fn sign(
    issuer: &IssuerSettings,
    subject: &str,
    roles: &[String],
    (now, ttl): (Timestamp, Duration),
) -> Result<String, CommandFailure> {
    let key = read(issuer)?;
    let claims: Map<String, Value> = Map::from_iter([
        ("iss".to_owned(), issuer.issuer.as_str().into()),
        ("aud".to_owned(), issuer.audience.as_str().into()),
        ("sub".to_owned(), subject.into()),
        ("iat".to_owned(), now.as_secs().into()),
        ("exp".to_owned(), now.after(ttl).as_secs().into()),
        (issuer.roles_claim.clone(), roles.into()),
    ]);
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&key)).map_err(
        |error| {
            CommandFailure::other(format!("cannot sign a token with {}: {error}", issuer.key_file.display()))
        },
    )
}

/// The key, which the service uses exactly as it is in the file.
fn read(issuer: &IssuerSettings) -> Result<Vec<u8>, CommandFailure> {
    let path = issuer.key_file.display();
    let key = fs::read(&issuer.key_file).map_err(|error| {
        let advice = if error.kind() == ErrorKind::NotFound {
            "; make a key of 32 random bytes there: head -c 32 /dev/urandom"
        } else {
            ""
        };
        CommandFailure::other(format!("cannot read the key of {:?}, {path}: {error}{advice}", issuer.issuer))
    })?;
    if key.len() < TOKEN_SECRET_BYTES_MIN {
        let text = format!("{path} has {} bytes; a shared key needs {TOKEN_SECRET_BYTES_MIN}", key.len());
        return Err(CommandFailure::other(text));
    }
    Ok(key)
}
