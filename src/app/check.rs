//! `config check`: tries everything that the settings name, and starts nothing.
//!
//! Each engine is asked within a short deadline; key files are read; a port is bound for a moment only if it is free.
//! Nothing is made: no folder, no stream, no table.

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rustix::fs::Access;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use uuid::Uuid;

use super::bucket_stamp::BucketStamp;
use super::engines::Engines;
use super::running::running;
use super::start_error::{StartError, folder_advice, listen_advice};
use super::{aws, cql, cursor_key, data_dir, nats};
use crate::adapters::embedded::OpenError;
use crate::config::{BucketKind, Config, LedgerKind, LogKind, QueueKind, SignerKind};
use crate::http::Authenticator;

/// How long one engine may take to answer.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(6);
/// How long a service on the admin port may take to say that it lives.
const LIFE_WITHIN: Duration = Duration::from_secs(2);

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The part, or the section of the settings.
    pub part: &'static str,
    /// The state of the part, or its fault and the remedy.
    pub outcome: Result<String, String>,
}

/// Tries everything, in the order of a start. Takes some seconds for each engine that does not answer.
pub async fn config_check(config: &Config) -> Vec<Checked> {
    let is_running = is_running(config).await;
    let engines = Engines::of(config);
    let mut all = vec![
        Checked { part: "issuers", outcome: issuers(config) },
        Checked { part: "cursors", outcome: cursor_keys(config) },
        Checked { part: "data", outcome: data(config, is_running) },
    ];
    let mut listeners = vec![("API", config.http.listen), ("admin", config.admin.listen)];
    if config.objects.kind == BucketKind::Embedded {
        listeners.push(("endpoint", config.s3.listen));
    }
    for (part, address) in listeners {
        all.push(Checked { part, outcome: listener(address, is_running).await });
    }
    let mut engine = |part, name: &str, outcome: Result<String, String>| {
        let named =
            |detail: String| if detail.is_empty() { name.to_owned() } else { format!("{name}: {detail}") };
        all.push(Checked { part, outcome: outcome.map(named).map_err(|detail| format!("{name}: {detail}")) });
    };
    engine("ledger", engines.ledger(), within(ledger(config)).await);
    let identity = timeout(ANSWER_WITHIN, identity(config)).await.ok().flatten();
    engine("log", engines.log(), within(log(config)).await);
    engine("queue", engines.queue(), within(queue(config, identity)).await);
    engine("objects", engines.objects(), within(objects(config, identity)).await);
    engine("signer", engines.signer(), within(signer(config)).await);
    all
}

/// An engine that hangs is one that does not answer.
async fn within(check: impl Future<Output = Result<String, String>>) -> Result<String, String> {
    timeout(ANSWER_WITHIN, check).await.unwrap_or_else(|_| Err(format!("no answer within {ANSWER_WITHIN:?}")))
}

/// Whether a process answers on the admin port.
async fn is_running(config: &Config) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(config.admin.listen).await?;
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut answer = Vec::new();
        stream.take(1024).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer.starts_with(b"HTTP/1.1 200"))
    };
    matches!(timeout(LIFE_WITHIN, ask).await, Ok(Ok(true)))
}

fn issuers(config: &Config) -> Result<String, String> {
    let names: Vec<_> = config.auth.issuers.iter().map(|issuer| issuer.issuer.as_str()).collect();
    if names.is_empty() {
        return Err("there is no [[auth.issuers]] section, so every request is refused".to_owned());
    }
    Authenticator::from_config(&config.auth).map_err(|error| error.to_string())?;
    Ok(format!("the keys of {} can be read", names.join(", ")))
}

fn cursor_keys(config: &Config) -> Result<String, String> {
    let file = &config.http.cursor_key_file;
    if file.as_os_str().is_empty() {
        return Ok("a key in data_dir, made at the first start".to_owned());
    }
    cursor_key::load(config).map_err(|error| error.to_string())?;
    Ok(format!("{} can be read", file.display()))
}

fn data(config: &Config, is_running: bool) -> Result<String, String> {
    let dir = &config.data_dir;
    if !data_dir::is_needed(config) {
        return Ok("nothing is kept on this machine".to_owned());
    }
    let is_there = data_dir::is_there(dir).map_err(|error| error.to_string())?;
    if let Some(held) = data_dir::holder(config) {
        return in_use(config, &held, is_running);
    }
    // What is not there is made in the nearest folder above that is.
    let above = dir.ancestors().map(|above| if above == Path::new("") { Path::new(".") } else { above });
    let Some(nearest) = above.into_iter().find(|above| above.exists()) else {
        return Err(format!("{}: no folder above it exists", dir.display()));
    };
    if !nearest.is_dir() {
        let advice = folder_advice(&ErrorKind::NotADirectory.into());
        return Err(format!("{}: {advice}", dir.display()));
    }
    rustix::fs::access(nearest, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| format!("{}: {}", nearest.display(), folder_advice(&std::io::Error::from(error))))?;
    data_dir::check(config).map_err(|error| error.to_string())?;
    let state = if is_there { "can be written" } else { "is made at the first start" };
    Ok(format!("{} {state}", dir.display()))
}

/// Data that a process holds is fine if that process is the service of these settings: it listens where they say. A
/// process without a note of where it listens counts as that service if something lives on the admin port.
fn in_use(config: &Config, held: &StartError, is_running: bool) -> Result<String, String> {
    let dir = config.data_dir.display();
    let by = if let StartError::Store(OpenError::Held { by, .. }) = held { by } else { "another process" };
    let is_at = |asked: SocketAddr, found: SocketAddr| {
        asked.ip() == found.ip() && (asked.port() == 0 || asked.port() == found.port())
    };
    let note = running(&config.data_dir).ok().flatten();
    match note {
        Some(note) if is_at(config.http.listen, note.api) && is_at(config.admin.listen, note.admin) => {
            Ok(format!("{dir} is in use by the running service, {by}"))
        }
        None if is_running => Ok(format!("{dir} is in use by the running service, {by}")),
        Some(note) => Err(format!(
            "{dir} is in use by {by}, which is not the service of these settings: its API is on {}; stop it, or choose \
             another data_dir",
            note.api
        )),
        None => Err(format!(
            "{dir} is in use by {by}, and nothing answers on admin.listen; stop it, or choose another data_dir"
        )),
    }
}

async fn listener(address: SocketAddr, is_running: bool) -> Result<String, String> {
    match TcpListener::bind(address).await {
        Ok(_) => Ok(format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_running => {
            Ok(format!("{address} is in use by the running service"))
        }
        Err(error) => Err(listen_advice(address, &error)),
    }
}

async fn ledger(config: &Config) -> Result<String, String> {
    match config.ledger.kind {
        LedgerKind::Embedded => Ok(String::new()),
        LedgerKind::Scylla => cql::check_ledger(config).await,
    }
}

async fn log(config: &Config) -> Result<String, String> {
    match config.log.kind {
        LogKind::Embedded => Ok(String::new()),
        LogKind::Nats => nats::check_log(config).await,
    }
}

async fn queue(config: &Config, identity: Option<Uuid>) -> Result<String, String> {
    match config.queue.kind {
        QueueKind::Embedded => Ok(String::new()),
        QueueKind::Sqs => aws::check_queue(config, identity).await,
    }
}

async fn objects(config: &Config, identity: Option<Uuid>) -> Result<String, String> {
    match config.objects.kind {
        BucketKind::Embedded => BucketStamp::of(config, None)
            .map_or(Ok(()), |stamp| stamp.check())
            .map(|()| String::new())
            .map_err(|error| error.to_string()),
        BucketKind::S3 => aws::check_objects(config, identity).await,
    }
}

/// The identity of the ledger, where it can be asked without opening it.
async fn identity(config: &Config) -> Option<Uuid> {
    match config.ledger.kind {
        LedgerKind::Embedded => None,
        LedgerKind::Scylla => cql::identity(config).await,
    }
}

async fn signer(config: &Config) -> Result<String, String> {
    match config.signer.kind {
        SignerKind::Embedded => Ok(String::new()),
        SignerKind::S3 => aws::check_signer(config).await,
    }
}
