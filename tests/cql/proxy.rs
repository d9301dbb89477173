//! A proxy in front of one server that does something wrong with the next batch, or cannot read one partition.
//!
//! It reads the frames of the CQL protocol, version 4: a header of nine bytes (version, flags, stream, opcode,
//! length) and a body.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as AsyncMutex, Notify};

const BATCH: u8 = 0x0d;
const EXECUTE: u8 = 0x0a;
/// Replicas answered, and could not read: at LOCAL_QUORUM, 0 of 1 with a result, 1 without, no data.
const READ_FAILURE: i32 = 0x1300;
const NONE_OF_ONE: [u8; 15] = [0, 6, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0];
const ERROR: u8 = 0x00;
const HEADER_LEN: usize = 9;

/// What happens to the next batch.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The server never sees it; the client gets this error.
    Refuse(Vec<u8>),
    /// The server carries it out; the client gets this error.
    CarryOutThenSay(Vec<u8>),
    /// The server carries it out; the connection breaks before the answer.
    CarryOutThenBreak,
    /// The server carries it out; the client never gets the answer.
    CarryOutInSilence,
    /// The server sees it when `release` is called; the client never gets the answer.
    Hold,
}

#[derive(Default)]
struct State {
    next: Mutex<Option<Fault>>,
    unreadable: Mutex<Option<Unreadable>>,
    released: Notify,
    swallowed: Notify,
}

/// A partition that the first statement that looks for it between two tokens cannot read; others can.
struct Unreadable {
    token: i64,
    statement: Option<Vec<u8>>,
}

/// A statement that reads between two tokens.
struct RangeRead {
    statement: Vec<u8>,
    after: i64,
    to: i64,
}

impl RangeRead {
    /// The prepared statement's id, the level, flags that say that values follow, and three values: two tokens and a limit.
    fn of(frame: &Frame) -> Option<Self> {
        let (length, rest) = frame.body.split_first_chunk::<2>()?;
        let (statement, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let ([_, _, flags], rest) = rest.split_first_chunk::<3>()?;
        let rest = rest.strip_prefix(&[0, 3, 0, 0, 0, 8])?;
        let (after, rest) = rest.split_first_chunk::<8>()?;
        let (to, rest) = rest.strip_prefix(&[0, 0, 0, 8])?.split_first_chunk::<8>()?;
        let is_range = frame.opcode() == EXECUTE && flags & 1 == 1 && rest.starts_with(&[0, 0, 0, 4]);
        let (after, to) = (i64::from_be_bytes(*after), i64::from_be_bytes(*to));
        is_range.then(|| Self { statement: statement.to_vec(), after, to })
    }
}

impl State {
    /// Whether a request meets the partition that cannot be read.
    fn is_unreadable(&self, frame: &Frame) -> bool {
        let mut unreadable = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(unreadable), Some(read)) = (unreadable.as_mut(), RangeRead::of(frame)) else {
            return false;
        };
        let is_inside = read.after < unreadable.token && unreadable.token <= read.to;
        is_inside && *unreadable.statement.get_or_insert_with(|| read.statement.clone()) == read.statement
    }
}

/// A running proxy. It ends with the runtime.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

impl Proxy {
    /// In front of `server`, on the same address: the server names its address and the driver believes it. None
    /// where that address is not ours.
    pub(crate) async fn before(server: &str) -> Option<Self> {
        let (host, _) = server.rsplit_once(':').expect("host:port");
        let listener = TcpListener::bind(format!("{host}:0")).await.ok()?;
        let address = listener.local_addr().expect("bound");
        let (state, server) = (Arc::new(State::default()), server.to_owned());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect(&server).await {
                    tokio::spawn(serve(client, server, Arc::clone(&shared)));
                }
            }
        });
        Some(Self { address, state })
    }

    /// Does this to the next batch.
    pub(crate) fn arm(&self, fault: Fault) {
        *self.state.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    /// From now on the first statement that looks for the partition with this token between two others cannot read it.
    pub(crate) fn make_unreadable(&self, token: i64) {
        let unreadable = Unreadable { token, statement: None };
        *self.state.unreadable.lock().unwrap_or_else(PoisonError::into_inner) = Some(unreadable);
    }

    /// Lets the server see the batch that is held.
    pub(crate) fn release(&self) {
        self.state.released.notify_one();
    }

    /// Waits until the server has answered a batch whose answer the client never gets.
    pub(crate) async fn swallowed(&self) {
        let answered = tokio::time::timeout(Duration::from_secs(20), self.state.swallowed.notified());
        answered.await.expect("the server answers");
    }
}

/// The body of an error frame: code, message, and what the code demands.
pub(crate) fn error(code: i32, rest: &[&[u8]]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &[0, 0], &rest.concat()].concat()
}

struct Frame {
    header: [u8; HEADER_LEN],
    body: Vec<u8>,
}

impl Frame {
    async fn read(from: &mut OwnedReadHalf) -> io::Result<Self> {
        let mut header = [0; HEADER_LEN];
        from.read_exact(&mut header).await?;
        let length = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
        let mut body = vec![0; usize::try_from(length).expect("64 bit")];
        from.read_exact(&mut body).await?;
        Ok(Self { header, body })
    }

    async fn write(&self, to: &mut OwnedWriteHalf) -> io::Result<()> {
        to.write_all(&[&self.header[..], &self.body].concat()).await
    }

    const fn opcode(&self) -> u8 {
        self.header[4]
    }

    const fn stream(&self) -> [u8; 2] {
        [self.header[2], self.header[3]]
    }

    /// An error in answer to the request on `stream`.
    fn error(stream: [u8; 2], body: &[u8]) -> Self {
        let length = u32::try_from(body.len()).expect("short").to_be_bytes();
        let mut header = [0x84, 0, stream[0], stream[1], ERROR, 0, 0, 0, 0];
        header[5..].copy_from_slice(&length);
        Self { header, body: body.to_vec() }
    }
}

/// What is to happen to the answer on a stream.
type Victim = Arc<Mutex<Option<([u8; 2], Fault)>>>;

async fn serve(client: TcpStream, server: TcpStream, state: Arc<State>) {
    for end in [&client, &server] {
        end.set_nodelay(true).expect("a socket");
    }
    let (client_in, client_out) = client.into_split();
    let (server_in, server_out) = server.into_split();
    let (client_out, victim) = (Arc::new(AsyncMutex::new(client_out)), Victim::default());
    tokio::select! {
        _ = requests(client_in, server_out, Arc::clone(&client_out), (Arc::clone(&state), Arc::clone(&victim))) => {}
        _ = answers(server_in, client_out, (state, victim)) => {}
    }
}

async fn requests(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    answers: Arc<AsyncMutex<OwnedWriteHalf>>,
    (state, victim): (Arc<State>, Victim),
) -> io::Result<()> {
    let mut held = None::<Frame>;
    loop {
        let frame = tokio::select! {
            () = state.released.notified(), if held.is_some() => held.take().expect("it is held"),
            frame = Frame::read(&mut client) => {
                let frame = frame?;
                if state.is_unreadable(&frame) {
                    let failure = error(READ_FAILURE, &[&NONE_OF_ONE]);
                    Frame::error(frame.stream(), &failure).write(&mut *answers.lock().await).await?;
                    continue;
                }
                let armed = (frame.opcode() == BATCH)
                    .then(|| state.next.lock().unwrap_or_else(PoisonError::into_inner).take());
                match armed.flatten() {
                    Some(Fault::Refuse(body)) => {
                        Frame::error(frame.stream(), &body).write(&mut *answers.lock().await).await?;
                        continue;
                    }
                    Some(fault) => {
                        let is_held = matches!(fault, Fault::Hold);
                        *victim.lock().unwrap_or_else(PoisonError::into_inner) = Some((frame.stream(), fault));
                        if is_held {
                            held = Some(frame);
                            continue;
                        }
                        frame
                    }
                    None => frame,
                }
            }
        };
        frame.write(&mut server).await?;
    }
}

async fn answers(
    mut server: OwnedReadHalf,
    client: Arc<AsyncMutex<OwnedWriteHalf>>,
    (state, victim): (Arc<State>, Victim),
) -> io::Result<()> {
    loop {
        let frame = Frame::read(&mut server).await?;
        let fault = victim
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take_if(|(stream, _)| *stream == frame.stream());
        match fault {
            None => frame.write(&mut *client.lock().await).await?,
            Some((stream, Fault::CarryOutThenSay(body))) => {
                Frame::error(stream, &body).write(&mut *client.lock().await).await?;
            }
            Some((_, Fault::CarryOutThenBreak)) => return Ok(()),
            Some((_, Fault::CarryOutInSilence | Fault::Hold | Fault::Refuse(_))) => {
                state.swallowed.notify_one();
            }
        }
    }
}
