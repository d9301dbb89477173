//! The audit of a running process: asked through a socket in the data folder, which only its owner can open.
//!
//! Embedded data takes one process at a time, so while the service runs it is the only one that can read. A request
//! is one line of JSON; the answer is a line for each finding, and a last one with the sums or the error. It reads
//! only, one audit at a time, at a bounded pace.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::auditor::{AuditOptions, AuditSummary, Auditor};
use super::finding::Finding;
use super::reader::{AuditError, Deployment};
use crate::domain::ids::UserId;

/// The socket's name in the data folder.
const SOCKET: &str = "operator.sock";
/// Who may open it: its owner.
const SOCKET_MODE: u32 = 0o600;
/// Bytes of a request.
const REQUEST_BYTES_MAX: u64 = 1024;
/// Bytes of one line of an answer.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// How long a client may take to say what it wants, and to read what waits for it.
const CLIENT_WITHIN: Duration = Duration::from_secs(10);
/// How long the process may be silent to its client.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long a client waits for the next line: some heartbeats.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// Lines that wait for a client.
const LINES_MAX: usize = 64;
/// Reads a second beside the work of the process.
const READS_PER_SEC: u32 = 1000;
/// The pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditRequest {
    /// Only this user.
    pub user: Option<UserId>,
    /// How long what is under way may take before it is a disagreement.
    pub grace: Duration,
    /// Whether a finding is a line of JSON; otherwise it is a line of text.
    pub is_json: bool,
}

/// A request on the socket.
#[derive(Debug, Serialize, Deserialize)]
struct AuditQuestion {
    user: Option<String>,
    grace_secs: u64,
    is_json: bool,
}

/// A line of an answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AnswerLine {
    /// A finding, as it is printed.
    Finding(String),
    /// Nothing was found meanwhile.
    Working,
    /// The audit finished.
    Summary(Box<AuditSummary>),
    /// It did not.
    Error(String),
}

impl AuditRequest {
    /// A finding as it is printed.
    pub(super) fn line(self, finding: &Finding) -> String {
        if self.is_json {
            serde_json::json!({"disagreement": finding}).to_string()
        } else {
            finding.to_string()
        }
    }
}

/// The socket of a running process. The file goes with the value.
#[derive(Debug)]
pub(crate) struct OperatorSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl OperatorSocket {
    /// Makes the socket in a data folder that this process holds: one that is there was left by a process that died.
    pub(crate) fn bind(dir: &Path) -> io::Result<Self> {
        let path = dir.join(SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(SOCKET_MODE))?;
        Ok(Self { listener, path })
    }

    /// Answers for ever. Dropping the future ends the audit that runs.
    pub(crate) async fn serve(self, world: Deployment, options: AuditOptions) {
        let turn = Arc::new(Semaphore::new(1));
        let mut audits = JoinSet::new();
        loop {
            while audits.try_join_next().is_some() {}
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!("the operator's socket accepts no connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if let Ok(permit) = Arc::clone(&turn).try_acquire_owned() {
                let world = world.clone();
                audits.spawn(async move {
                    if let Err(error) = answer(stream, world, options).await {
                        tracing::info!("an audit was aborted: {error}");
                    }
                    drop(permit);
                });
            } else {
                let mut stream = stream;
                let busy = AnswerLine::Error("another audit is running".to_owned());
                drop(timeout(CLIENT_WITHIN, stream.write_all(text(&busy).as_bytes())).await);
            }
        }
    }
}

impl Drop for OperatorSocket {
    fn drop(&mut self) {
        // One that stays does no harm: the next start replaces it.
        drop(fs::remove_file(&self.path));
    }
}

fn text(line: &AnswerLine) -> String {
    let json = serde_json::to_string(line).expect("texts and numbers become JSON");
    format!("{json}\n")
}

/// Reads one request, runs the audit, and sends what it finds.
async fn answer(stream: UnixStream, world: Deployment, options: AuditOptions) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let asked = timeout(CLIENT_WITHIN, asked(read)).await.map_err(|_| ErrorKind::TimedOut)??;
    let options =
        AuditOptions { user: asked.user, grace: asked.grace, reads_per_sec: Some(READS_PER_SEC), ..options };
    let (lines, mut waiting) = mpsc::channel(LINES_MAX);
    // A task of its own: it waits for room while this one makes some.
    let mut audit = JoinSet::new();
    audit.spawn(async move {
        let mut report = |finding: &Finding| queue_line(&lines, AnswerLine::Finding(asked.line(finding)));
        let last = match Auditor::new(world, options).run(&mut report).await {
            Ok(summary) => AnswerLine::Summary(Box::new(summary)),
            Err(error) => AnswerLine::Error(error.to_string()),
        };
        drop(lines.send(last).await);
    });
    loop {
        let line = match timeout(HEARTBEAT, waiting.recv()).await {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(()),
            Err(_) => AnswerLine::Working,
        };
        send(&mut write, &line).await?;
    }
}

async fn asked(read: OwnedReadHalf) -> io::Result<AuditRequest> {
    let mut line = String::new();
    BufReader::new(read.take(REQUEST_BYTES_MAX)).read_line(&mut line).await?;
    let AuditQuestion { user, grace_secs, is_json } = serde_json::from_str(&line)?;
    let user = user.map(|user| UserId::parse(&user)).transpose();
    let user = user.map_err(|error| io::Error::new(ErrorKind::InvalidData, error.to_string()))?;
    Ok(AuditRequest { user, grace: Duration::from_secs(grace_secs), is_json })
}

/// Hands a line on; waits on this thread while there is no room, so that a large user's findings wait for their reader.
fn queue_line(lines: &mpsc::Sender<AnswerLine>, line: AnswerLine) -> Result<(), String> {
    let gone = || "the client is gone".to_owned();
    match lines.try_send(line) {
        Ok(()) => Ok(()),
        Err(mpsc::error::TrySendError::Closed(_)) => Err(gone()),
        Err(mpsc::error::TrySendError::Full(line)) => {
            tokio::task::block_in_place(|| lines.blocking_send(line)).map_err(|_| gone())
        }
    }
}

async fn send(write: &mut OwnedWriteHalf, line: &AnswerLine) -> io::Result<()> {
    timeout(CLIENT_WITHIN, write.write_all(text(line).as_bytes())).await.map_err(|_| ErrorKind::TimedOut)?
}

/// Asks the process that holds a data folder; `report` gets each finding as a line.
///
/// # Errors
/// It does not answer, or could not finish, or `report` refused.
pub(super) async fn ask(
    dir: &Path,
    request: AuditRequest,
    report: &mut (dyn FnMut(&str) -> Result<(), String> + Send),
) -> Result<AuditSummary, AuditError> {
    let path = dir.join(SOCKET);
    let silent = |reason: String| AuditError::Silent { socket: path.clone(), reason };
    let stream = timeout(CLIENT_WITHIN, UnixStream::connect(&path)).await;
    let stream =
        stream.map_err(|_| silent("no answer".to_owned()))?.map_err(|error| silent(error.to_string()))?;
    let (read, mut write) = stream.into_split();
    let asked = AuditQuestion {
        user: request.user.map(|user| user.to_string()),
        grace_secs: request.grace.as_secs(),
        is_json: request.is_json,
    };
    let asked = serde_json::to_string(&asked).expect("texts and numbers become JSON");
    write.write_all(format!("{asked}\n").as_bytes()).await.map_err(|error| silent(error.to_string()))?;
    let mut read = BufReader::new(read);
    loop {
        let mut line = String::new();
        let mut bounded = (&mut read).take(LINE_BYTES_MAX);
        let next = timeout(ANSWER_WITHIN, bounded.read_line(&mut line)).await;
        let next = next.map_err(|_| silent(format!("silent for {ANSWER_WITHIN:?}")))?;
        if next.map_err(|error| silent(error.to_string()))? == 0 {
            return Err(silent("it ended the connection".to_owned()));
        }
        match serde_json::from_str(&line).map_err(|error| silent(error.to_string()))? {
            AnswerLine::Finding(finding) => report(&finding).map_err(AuditError::NotReported)?,
            AnswerLine::Working => {}
            AnswerLine::Summary(summary) => return Ok(*summary),
            AnswerLine::Error(reason) => return Err(AuditError::Unfinished(reason)),
        }
    }
}

#[cfg(test)]
mod tests;
