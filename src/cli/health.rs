//! `wharfinger health`: asks the service of these settings whether it lives. For containers, which have no curl.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use clap::Args;

use super::failure::Failure;
use super::output;
use super::settings::{self, SettingsArgs};

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
    settings: SettingsArgs,
}

/// Asks at `admin.listen`. Exit code 0 if the answer is 200.
pub(super) fn run(args: &HealthArgs) -> Result<(), Failure> {
    let address = reachable(settings::load(&args.settings, Vec::new())?.config.admin.listen);
    let path = if args.ready { "/readyz?verbose" } else { "/livez" };
    let answer = ask(address, path)
        .map_err(|error| Failure::other(format!("no answer at http://{address}{path}: {error}")))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    output::line(body.trim_end())?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        Ok(())
    } else {
        Err(Failure::other(format!("http://{address}{path} answered {status:?}")))
    }
}

/// Where a service is asked on its own machine: one that listens on every address, on loopback.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, listen.port())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(listen: &str, expected: &str) {
        assert_eq!(reachable(listen.parse().unwrap()).to_string(), expected);
    }

    #[test]
    fn who_listens_everywhere_is_asked_at_home() {
        check("0.0.0.0:9090", "127.0.0.1:9090");
        check("[::]:9090", "[::1]:9090");
        check("10.1.2.3:9090", "10.1.2.3:9090");
    }
}
