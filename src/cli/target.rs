//! Where a running service is asked: at the flags' address, else where the process that runs on the data folder
//! listens, else at the settings' address.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::Args;

use super::failure::CommandFailure;
use super::settings;
use crate::app::{self, Running};
use crate::config::{Config, Flag, Loaded, Origin};

/// The flag that names a service by its port.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct PortArgs {
    /// The N of `wharfinger dev --port N`: its API is on N, metrics and health are on N+2 [default: where the process that
    /// runs on the data folder listens]
    #[arg(long, value_name = "N", value_parser = settings::port)]
    pub port: Option<u16>,
}

impl PortArgs {
    /// The settings that it sets.
    pub(super) fn flags(&self) -> Result<Vec<Flag>, CommandFailure> {
        if self.port == Some(0) {
            return Err(CommandFailure::usage(
                "--port 0 is a free port at each start; name the one that `dev` printed",
            ));
        }
        Ok(settings::port_flags(self.port))
    }
}

/// A listener of the service.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    /// `http.listen`
    Api,
    /// `admin.listen`
    Admin,
}

/// An address of the service, and why it is this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServiceAddress {
    pub address: SocketAddr,
    reason: String,
}

impl Side {
    const fn key(self) -> &'static str {
        match self {
            Self::Api => "http.listen",
            Self::Admin => "admin.listen",
        }
    }

    const fn of_settings(self, config: &Config) -> SocketAddr {
        match self {
            Self::Api => config.http.listen,
            Self::Admin => config.admin.listen,
        }
    }

    const fn of_process(self, running: &Running) -> SocketAddr {
        match self {
            Self::Api => running.api,
            Self::Admin => running.admin,
        }
    }
}

impl ServiceAddress {
    /// Finds the address of the service of these settings.
    pub(super) fn find(loaded: &Loaded, side: Side) -> Self {
        let key = side.key();
        let origin = loaded.origins.of(key);
        let by = |reason| Self { address: reachable(side.of_settings(&loaded.config)), reason };
        if let Origin::Flag { .. } = origin {
            return by(format!("{key} is this one by the {origin}"));
        }
        let dir = &loaded.config.data_dir;
        match app::running(dir) {
            Ok(Some(running)) => Self {
                address: reachable(side.of_process(&running)),
                reason: format!(
                    "process {}, which runs on {}, listens there",
                    running.process,
                    dir.display()
                ),
            },
            Ok(None) => by(format!("no process runs on {}, and {key} is this one ({origin})", dir.display())),
            Err(error) => {
                by(format!("{} cannot be read ({error}), and {key} is this one ({origin})", dir.display()))
            }
        }
    }

    /// The failure when there is no answer: where it was asked, why there, and how to ask elsewhere.
    pub(super) fn silent(&self, path: &str, error: &dyn Display) -> CommandFailure {
        let Self { address, reason } = self;
        CommandFailure::other(format!(
            "no answer at http://{address}{path}: {error}; {reason}; is the service running? Name another one by --data, \
             --config or --port"
        ))
    }
}

/// Where a service is asked on its own machine: one that listens on every address, on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(listen: &str, expected: &str) {
        assert_eq!(reachable(listen.parse().unwrap()).to_string(), expected);
    }

    #[test]
    fn a_service_that_listens_everywhere_is_asked_on_loopback() {
        check("0.0.0.0:9090", "127.0.0.1:9090");
        check("[::]:9090", "[::1]:9090");
        check("10.1.2.3:9090", "10.1.2.3:9090");
    }
}
