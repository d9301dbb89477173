//! A request to an admin route of the running service, with a token for it.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::dev_issuer::{self, DevIssuer};
use super::failure::CommandFailure;
use super::issuer_key;
use super::target::{ServiceAddress, Side};
use crate::config::{Config, IssuerAlgorithm, Loaded};
use crate::domain::time::Timestamp;
use crate::ports::Clock;

/// How long connecting, and each part of the answer, may take.
const WITHIN: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// How long a token counts that is made for one request.
const TOKEN_TTL: Duration = Duration::from_secs(60);
/// Who such a token says it is.
const SUBJECT: &str = "wharfinger-cli";
/// The role that may read.
const ROLE: &str = "support";

/// The service, and a token that may read there.
pub(super) struct AdminCall {
    target: ServiceAddress,
    token: String,
    /// The key file that signed the token, if this command made it.
    signed_by: Option<PathBuf>,
}

/// A refusal of the service, as far as people need it.
#[derive(Deserialize)]
struct ProblemBody {
    title: String,
    #[serde(default)]
    detail: String,
    hint: String,
    #[serde(default)]
    errors: Vec<FieldError>,
}

#[derive(Deserialize)]
struct FieldError {
    pointer: String,
    detail: String,
}

impl AdminCall {
    /// Asks on the API's port, with the token in a file, or one signed with the key of an HS256 issuer.
    pub(super) fn new(loaded: &Loaded, token_file: Option<&Path>) -> Result<Self, CommandFailure> {
        let (token, signed_by) = match token_file {
            Some(path) => (read_text(path)?, None),
            None => {
                let (token, key_file) = made(&loaded.config, Clock::System.now())?;
                (token, Some(key_file))
            }
        };
        Ok(Self { target: ServiceAddress::find(loaded, Side::Api), token, signed_by })
    }

    /// The body of a successful answer.
    pub(super) fn get(&self, path: &str) -> Result<String, CommandFailure> {
        let answer = self.exchange(path).map_err(|error| self.target.silent("", &error))?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()).unwrap_or_default();
        if status == 200 { Ok(body.to_owned()) } else { Err(self.refused(status, body)) }
    }

    /// A refused token that the user did not give needs its origin.
    fn refused(&self, status: u16, body: &str) -> CommandFailure {
        match &self.signed_by {
            Some(key_file) if status == 401 => refused(
                status,
                body,
                &format!(
                    "; this command signed its token with {}: name the settings of the service with --config FILE, or a token \
                 with --token-file",
                    key_file.display()
                ),
            ),
            Some(_) | None => refused(status, body, ""),
        }
    }

    fn exchange(&self, path: &str) -> std::io::Result<String> {
        let Self { target: ServiceAddress { address, .. }, token, .. } = self;
        let mut stream = TcpStream::connect_timeout(address, WITHIN)?;
        stream.set_read_timeout(Some(WITHIN))?;
        stream.set_write_timeout(Some(WITHIN))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
             Accept: application/json\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
        if answer.is_empty() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
    }
}

/// An answer as a value.
pub(super) fn parsed<T: DeserializeOwned>(body: &str) -> Result<T, CommandFailure> {
    serde_json::from_str(body).map_err(|error| {
        CommandFailure::other(format!("the answer is not understood ({error}); is it another version?"))
    })
}

fn refused(status: u16, body: &str, more: &str) -> CommandFailure {
    let text = serde_json::from_str(body).map_or_else(
        |_| format!("the service answered {status}"),
        |ProblemBody { title, detail, hint, errors }| {
            let faults: Vec<String> =
                errors.iter().map(|fault| format!("{}: {}", fault.pointer, fault.detail)).collect();
            let parts = [title + ".", detail, if faults.is_empty() { hint } else { faults.join(" ") }];
            parts.join(" ")
        },
    );
    let code = match status {
        400 => 2,
        401 | 403 => 3,
        404 => 4,
        500.. => 7,
        _ => 1,
    };
    CommandFailure::other(text + more).with_code(code)
}

/// A token, and the file of the key that signed it.
fn made(config: &Config, now: Timestamp) -> Result<(String, PathBuf), CommandFailure> {
    let shared = config.auth.issuers.iter().find(|issuer| issuer.algorithm == IssuerAlgorithm::HS256);
    match shared {
        Some(issuer) => {
            let token = issuer_key::sign(issuer, SUBJECT, &[ROLE.to_owned()], (now, TOKEN_TTL))?;
            Ok((token, issuer.key_file.clone()))
        }
        None if config.auth.issuers.is_empty() => {
            let issuer = DevIssuer::open(&config.data_dir)?;
            let token = issuer.mint(SUBJECT, &[ROLE.to_owned()], now, TOKEN_TTL)?;
            Ok((token, dev_issuer::key_path(&config.data_dir)))
        }
        None => Err(CommandFailure::usage(
            "no issuer of these settings has a shared key to sign with; pass --token-file with a token of the role \
             support or admin",
        )),
    }
}

fn read_text(path: &Path) -> Result<String, CommandFailure> {
    let text = fs::read_to_string(path)
        .map_err(|error| CommandFailure::usage(format!("--token-file {}: {error}", path.display())))?;
    Ok(text.trim().to_owned())
}
