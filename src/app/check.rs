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
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::engines::Engines;
use super::running::running;
use super::start_error::{StartError, folder_advice, listen_advice};
use super::{cursor_key, data_dir, translate};
use crate::adapters::embedded::OpenError;
use crate::adapters::jetstream::JetStreamLog;
use crate::adapters::s3::{S3Bucket, S3Signer};
use crate::adapters::scylla::{CqlSession, LazyScyllaLedger, MigrationState, Migrations};
use crate::adapters::sqs::SqsQueue;
use crate::adapters::{Ledger, Stamp, StampError};
use crate::config::{BucketKind, Config, LedgerKind, LogKind, ManageStreams, QueueKind, SignerKind};
use crate::domain::ids::ObjectKey;
use crate::http::Authenticator;
use crate::ports::{Clock, ObjectsPort as _};
use crate::telemetry::health::{Health, Part, PartState};

/// How long one engine may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(6);
/// Between two questions whether a connection is there.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How long a service on the admin port may take to say that it lives.
const LIFE_WITHIN: Duration = Duration::from_secs(2);

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The part, or the section of the settings.
    pub part: &'static str,
    /// What is there, or what is wrong and what to do.
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
        let named = |said: String| if said.is_empty() { name.to_owned() } else { format!("{name}: {said}") };
        all.push(Checked { part, outcome: outcome.map(named).map_err(|said| format!("{name}: {said}")) });
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

/// Whether something on the admin port says that it lives.
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
        LedgerKind::Scylla => {
            let cql = CqlSession::connect(&config.ledger.scylla).await.map_err(|error| error.to_string())?;
            let status = Migrations::shipped().status(&cql).await.map_err(|error| error.to_string())?;
            let is_good = |state| matches!(state, MigrationState::Applied(_) | MigrationState::Newer(_));
            match status.iter().find(|migration| !is_good(migration.state)) {
                Some(migration) => Err(format!("{migration}; run `wharfinger schema apply`")),
                None => Ok("the tables are up to date".to_owned()),
            }
        }
    }
}

async fn log(config: &Config) -> Result<String, String> {
    if config.log.kind == LogKind::Embedded {
        return Ok(String::new());
    }
    let connect = async |manage_streams| {
        let settings = crate::config::NatsSettings { manage_streams, ..config.log.nats.clone() };
        JetStreamLog::connect(settings, Clock::System).await.map_err(|error| error.to_string())
    };
    // First without a look at the streams: whether a server lets us in.
    let log = connect(ManageStreams::Off).await?;
    let give_up_at = Instant::now() + ANSWER_WITHIN / 2;
    while let Err(error) = log.ready().await {
        if Instant::now() >= give_up_at {
            return Err(error.reason);
        }
        sleep(ASK_AGAIN).await;
    }
    if config.log.nats.manage_streams == ManageStreams::Off {
        return Ok(String::new());
    }
    let log = connect(ManageStreams::Check).await?;
    let give_up_at = Instant::now() + ANSWER_WITHIN / 4;
    loop {
        match log.differences().await {
            Ok(differences) if differences.is_empty() => return Ok("the streams are as asked".to_owned()),
            Ok(differences) => return Ok(format!("the streams differ: {}", differences.join("; "))),
            Err(_) if Instant::now() < give_up_at => sleep(ASK_AGAIN).await,
            Err(error) if config.log.nats.manage_streams == ManageStreams::Create => {
                return Ok(format!("missing streams are made at the start ({})", error.reason));
            }
            Err(error) => return Err(error.reason),
        }
    }
}

async fn queue(config: &Config, identity: Option<Uuid>) -> Result<String, String> {
    match config.queue.kind {
        QueueKind::Embedded => Ok(String::new()),
        QueueKind::Sqs => {
            let options = translate::sqs(config).map_err(|error| error.to_string())?;
            let queue = SqsQueue::open(&options).await;
            let depth = queue.depth().await.map_err(|error| error.reason)?;
            Ok(format!(
                "waiting notifications: {}, {}",
                depth.waiting,
                owner(&queue.stamp().await, identity)?
            ))
        }
    }
}

async fn objects(config: &Config, identity: Option<Uuid>) -> Result<String, String> {
    match config.objects.kind {
        BucketKind::Embedded => Ok(String::new()),
        BucketKind::S3 => {
            let options = translate::s3(config).map_err(|error| error.to_string())?;
            let bucket = S3Bucket::open(&options, Clock::System).await;
            let listed = bucket.list(ObjectKey::PREFIX.to_owned(), None).await;
            listed.map_err(|error| error.to_string())?;
            Ok(format!("it can be listed, {}", owner(&bucket.stamp().await, identity)?))
        }
    }
}

/// The identity of the ledger, where it can be asked without opening it.
async fn identity(config: &Config) -> Option<Uuid> {
    match config.ledger.kind {
        LedgerKind::Embedded => None,
        LedgerKind::Scylla => {
            let ledger = Ledger::Scylla(LazyScyllaLedger::new(config.ledger.scylla.clone()));
            ledger.identity().await.ok()
        }
    }
}

/// Which ledger a bucket or a queue belongs to; an error if it is known to be another one than ours.
fn owner(stamp: &Result<Option<Stamp>, StampError>, ours: Option<Uuid>) -> Result<String, String> {
    match (stamp, ours) {
        (Ok(Some(stamp)), Some(ours)) if stamp.ledger != ours => {
            Err(format!("it belongs to the ledger {stamp}, and this one is {ours}"))
        }
        (Ok(Some(stamp)), _) => Ok(format!("it belongs to the ledger {stamp}")),
        (Ok(None), _) => Ok("it belongs to no ledger yet".to_owned()),
        (Err(error), _) => Ok(format!("which ledger it belongs to is not known: {error}")),
    }
}

async fn signer(config: &Config) -> Result<String, String> {
    match config.signer.kind {
        SignerKind::Embedded => Ok(String::new()),
        SignerKind::S3 => {
            let options = translate::s3_signer(config).map_err(|error| error.to_string())?;
            let health = Health::default();
            let made = S3Signer::new(&options, Clock::System, health.clone()).await;
            let (_, mut keeper) = made.map_err(|error| error.to_string())?;
            keeper.refresh().await;
            match health.state(Part::Signer) {
                PartState::Up => Ok("there are credentials".to_owned()),
                PartState::Down { reason, .. } => Err(reason),
                PartState::Unasked | PartState::Awaited { .. } => {
                    Err("the credentials were not asked for".to_owned())
                }
            }
        }
    }
}
