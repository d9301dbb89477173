//! A server that says what a test put into its mouth: for answers that no server gives when asked.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use wharfinger::adapters::aws::{AwsAccess, AwsKeys, Secret};

/// An answer: status and body; to a HEAD, headers in place of a body.
pub(crate) type Said = (u16, &'static str);

/// Where it is, and what it was asked.
pub(crate) struct Canned {
    pub(crate) access: AwsAccess,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Canned {
    /// Gives these answers in order, and the last one for ever. Without any it never answers.
    pub(crate) async fn new(answers: &'static [Said]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that gives up breaks the connection, which is for the other end to see.
                tokio::spawn(answer(stream, answers, Arc::clone(&noted)));
            }
        });
        let secret_key = Secret::new("any".to_owned());
        let keys = AwsKeys::Static { access_key_id: "any".to_owned(), secret_key };
        Self { access: AwsAccess { region: "us-east-1".to_owned(), endpoint: Some(endpoint), keys }, asked }
    }

    /// The first lines of all requests, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn answer(stream: TcpStream, answers: &[Said], asked: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        stream.read_exact(&mut vec![0; length.unwrap_or(0)]).await?;
        let at = {
            let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.push(head.lines().next().unwrap_or_default().to_owned());
            asked.len() - 1
        };
        let Some((status, body)) = answers.get(at).or(answers.last()) else {
            return std::future::pending().await;
        };
        let is_head = head.starts_with("HEAD");
        let length = if is_head && !body.is_empty() {
            String::new()
        } else {
            format!("content-length: {}\r\n", body.len())
        };
        let rest = if is_head { format!("{body}\r\n") } else { format!("\r\n{body}") };
        let answer = format!("HTTP/1.1 {status} X\r\n{length}{rest}");
        stream.write_all(answer.as_bytes()).await?;
    }
}
