//! `wharfinger dev`: everything on this machine, with nothing installed.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

use super::dev_issuer::{self, DevIssuer};
use super::failure::Failure;
use super::settings::{self, SettingsArgs};
use super::walkthrough::{self, TOKEN_TTL, Whereabouts};
use super::{output, process};
use crate::app::Addresses;
use crate::config::{Config, Flag, IssuerSettings, Loaded, SubjectKind};
use crate::domain::origins::LOOPBACK;
use crate::ports::Clock;

/// Flags of `dev`.
#[derive(Debug, Args)]
pub(super) struct DevArgs {
    /// Print one line of JSON when ready, and nothing else on standard output
    #[arg(long)]
    json: bool,
    /// Where the data is kept [default: wharf-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// API on N, S3 on N+1, metrics on N+2; 0: a free port for each [default: 8080, 9000, 9090]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// One setting, like upload.max_bytes=50MiB; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Does it.
pub(super) fn run(args: &DevArgs) -> Result<(), Failure> {
    let args_of_settings = SettingsArgs { config: None, set: args.set.clone() };
    let loaded = settings::load(&args_of_settings, flags(args)?)?;
    stay_on_this_machine(&loaded)?;
    let mut loaded = loaded;
    let config = &mut loaded.config;
    let ours = dev_issuer::settings(&config.data_dir);
    config.auth.issuers.retain(|other| IssuerSettings { subject: None, ..other.clone() } != ours);
    if config.auth.issuers.iter().any(|other| other.issuer == ours.issuer) {
        let text =
            format!("auth.issuers: {:?} is the issuer of dev itself; give yours another name", ours.issuer);
        return Err(Failure::usage(text));
    }
    // Beside others it needs a subject; alone it warns of a UUID, which earlier versions took as the user id.
    let subject = (!config.auth.issuers.is_empty()).then_some(SubjectKind::Name);
    config.auth.issuers.push(IssuerSettings { subject, ..ours });
    if !config.http.allowed_origins.iter().any(|origin| origin == LOOPBACK) {
        config.http.allowed_origins.push(LOOPBACK.to_owned());
    }
    let issuer = DevIssuer::open_or_create(&config.data_dir)?;
    let data_dir = config.data_dir.display().to_string();
    let now = Clock::System.now();
    let token = issuer.mint("dev-user", &["user".to_owned()], now, TOKEN_TTL)?;
    let admin_token = issuer.mint("dev-admin", &["admin".to_owned()], now, TOKEN_TTL)?;
    process::run(loaded, |addresses| {
        let at = whereabouts(addresses, data_dir, token, admin_token);
        if args.json { output::line(&json(&at)?) } else { output::line(&walkthrough::page(&at)) }
    })
}

fn whereabouts(addresses: &Addresses, data_dir: String, token: String, admin_token: String) -> Whereabouts {
    let url = |address: SocketAddr| format!("http://{address}");
    Whereabouts {
        api_url: url(addresses.api),
        admin_url: url(addresses.admin),
        s3_url: addresses.s3.map(url),
        token,
        admin_token,
        data_dir,
    }
}

fn json(at: &Whereabouts) -> Result<String, Failure> {
    serde_json::to_string(at).map_err(|error| Failure::other(format!("cannot print JSON: {error}")))
}

/// The command's own flags as settings.
fn flags(args: &DevArgs) -> Result<Vec<Flag>, Failure> {
    let flag =
        |name: &str, key: &str, value: String| Flag { name: name.to_owned(), key: key.to_owned(), value };
    let mut flags = Vec::new();
    if let Some(data) = &args.data {
        let data = data.to_str().ok_or_else(|| Failure::usage("--data must be UTF-8"))?;
        flags.push(flag("--data", "data_dir", data.to_owned()));
    }
    if let Some(port) = args.port {
        let too_high =
            || Failure::usage("--port must be 0 to 65533: the two ports above it are used as well");
        for (step, key) in [(0, "http.listen"), (1, "s3.listen"), (2, "admin.listen")] {
            let port = if port == 0 { 0 } else { port.checked_add(step).ok_or_else(too_high)? };
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            flags.push(flag("--port", key, address.to_string()));
        }
    }
    Ok(flags)
}

/// The dev issuer's key and open ports are for this machine only.
fn stay_on_this_machine(loaded: &Loaded) -> Result<(), Failure> {
    let Config { http, admin, s3, .. } = &loaded.config;
    let listeners = [("http.listen", http.listen), ("admin.listen", admin.listen), ("s3.listen", s3.listen)];
    match listeners.iter().find(|(_, address)| !address.ip().is_loopback()) {
        Some((key, address)) => Err(Failure::usage(format!(
            "{key}: dev listens on this machine only, not on {address} ({}); use 127.0.0.1, or serve",
            loaded.origins.of(key)
        ))),
        None => Ok(()),
    }
}
