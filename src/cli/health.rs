//! `wharfinger health`: asks the service of these settings whether it lives. For containers, which have no curl.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use clap::Args;

use super::failure::CommandFailure;
use super::output;
use super::settings::{self, SettingsArgs};
use super::target::{PortArgs, ServiceAddress, Side};

/// How long connecting, and each part of the answer, may take.
const WITHIN: Duration = Duration::from_secs(2);
/// Bytes of an answer: a line a part.
const ANSWER_BYTES_MAX: u64 = 16 * 1024;

/// Flags of `health`.
#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// Ask whether requests should go there, with a line for each part
    #[arg(long)]
    ready: bool,
    #[command(flatten)]
    port: PortArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Asks on the admin port. Exit code 0 if the answer is 200.
pub(super) fn run(args: &HealthArgs) -> Result<(), CommandFailure> {
    let target = ServiceAddress::find(&settings::load(&args.settings, args.port.flags()?)?, Side::Admin);
    let address = target.address;
    let path = if args.ready { "/readyz?verbose" } else { "/livez" };
    let answer = ask(address, path).map_err(|error| target.silent(path, &error))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    output::line(body.trim_end())?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        Ok(())
    } else {
        Err(CommandFailure::other(format!("http://{address}{path} answered {status:?}")))
    }
}

fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, WITHIN)?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    if answer.is_empty() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}
