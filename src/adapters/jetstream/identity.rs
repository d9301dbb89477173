//! Who we are to the servers. Passwords and credentials are read at every connect, so that they can change while we run.

use std::path::{Path, PathBuf};

use async_nats::{Auth, AuthError, ConnectOptions};
use nkeys::KeyPair;

use super::connect::ConnectError;
use crate::config::NatsSettings;

/// What stands above the token of a user in a credentials file, and above its seed.
const TOKEN_HEAD: &str = "BEGIN NATS USER JWT";
const SEED_HEAD: &str = "BEGIN USER NKEY SEED";

/// Options that answer the servers' question who we are.
///
/// # Errors
/// Settings that contradict each other, and files that cannot be read now.
pub(super) async fn identity(settings: &NatsSettings) -> Result<ConnectOptions, ConnectError> {
    if let Some(path) = &settings.credentials_file {
        let text = read(path).await?;
        Credentials::parse(&text).ok_or_else(|| ConnectError::Credentials { path: path.clone() })?;
        return Ok(with_credentials(path.clone()));
    }
    match (settings.user.as_str(), settings.password_file.clone()) {
        ("", None) => Ok(ConnectOptions::new()),
        ("", Some(_)) => Err(ConnectError::Half { present: "nats.password_file", missing: "nats.user" }),
        (_, None) => Err(ConnectError::Half { present: "nats.user", missing: "nats.password_file" }),
        (user, Some(path)) => {
            read(&path).await?;
            Ok(with_password(user.to_owned(), path))
        }
    }
}

async fn read(path: &Path) -> Result<String, ConnectError> {
    let text = tokio::fs::read_to_string(path).await;
    text.map_err(|source| ConnectError::File { path: path.to_owned(), source })
}

fn with_password(user: String, path: PathBuf) -> ConnectOptions {
    ConnectOptions::with_auth_callback(move |_nonce| {
        let (user, path) = (user.clone(), path.clone());
        async move {
            let text = read(&path).await.map_err(AuthError::new)?;
            let mut auth = Auth::new();
            auth.username = Some(user);
            auth.password = Some(text.trim_end_matches(['\r', '\n']).to_owned());
            Ok(auth)
        }
    })
}

fn with_credentials(path: PathBuf) -> ConnectOptions {
    ConnectOptions::with_auth_callback(move |nonce| {
        let path = path.clone();
        async move {
            let text = read(&path).await.map_err(AuthError::new)?;
            let credentials = Credentials::parse(&text);
            let Credentials { token, key } =
                credentials.ok_or_else(|| AuthError::new(ConnectError::Credentials { path }))?;
            let mut auth = Auth::new();
            auth.jwt = Some(token);
            auth.signature = Some(key.sign(&nonce).map_err(AuthError::new)?);
            Ok(auth)
        }
    })
}

/// The content of a credentials file.
struct Credentials {
    token: String,
    key: KeyPair,
}

impl Credentials {
    fn parse(text: &str) -> Option<Self> {
        let key = KeyPair::from_seed(line_below(text, SEED_HEAD)?).ok()?;
        Some(Self { token: line_below(text, TOKEN_HEAD)?.to_owned(), key })
    }
}

/// The line below the one with `head` between its dashes.
fn line_below<'a>(text: &'a str, head: &str) -> Option<&'a str> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| line.starts_with("---") && line.trim_matches('-').trim() == head)?;
    lines.next().filter(|line| !line.is_empty() && !line.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(token: &str, seed: &str) -> String {
        format!(
            "-----BEGIN NATS USER JWT-----\r\n{token}\r\n------END NATS USER JWT------\r\n\r\nsecret\r\n\
             -----BEGIN USER NKEY SEED-----\r\n{seed}\r\n------END USER NKEY SEED------\r\n"
        )
    }

    #[test]
    fn credentials_are_a_token_and_a_seed() {
        let pair = KeyPair::new_user();
        let seed = pair.seed().unwrap();
        for text in [file("e.y.J", &seed), file("e.y.J", &seed).replace("\r\n", "\n")] {
            let credentials = Credentials::parse(&text).unwrap();
            assert_eq!(credentials.token, "e.y.J");
            assert_eq!(credentials.key.public_key(), pair.public_key());
        }
        for text in ["", &file("", &seed), &file("e.y.J", ""), &file("e.y.J", "SUA"), "e.y.J"] {
            assert!(Credentials::parse(text).is_none(), "{text:?}");
        }
    }
}
