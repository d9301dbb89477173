//! `wharfinger dev`: everything on this machine, with nothing installed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::dev_issuer::{self, DevIssuer};
use super::failure::CommandFailure;
use super::settings::{self, SettingsArgs};
use super::walkthrough::{self, TOKEN_TTL, Whereabouts};
use super::{output, process};
use crate::app::Addresses;
use crate::config::{Config, IssuerSettings, Loaded, Origin, SubjectKind};
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
    #[arg(long, value_name = "N", value_parser = settings::port)]
    port: Option<u16>,
    /// One setting, like upload.max_bytes=50MiB; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Does it.
pub(super) fn run(args: &DevArgs) -> Result<(), CommandFailure> {
    let args_of_settings = SettingsArgs { config: None, set: args.set.clone(), data: args.data.clone() };
    let loaded = settings::load(&args_of_settings, settings::port_flags(args.port))?;
    stay_on_this_machine(&loaded)?;
    refuse_without_effect(&loaded)?;
    let mut loaded = loaded;
    let config = &mut loaded.config;
    let ours = dev_issuer::settings(&config.data_dir);
    config.auth.issuers.retain(|other| IssuerSettings { subject: None, ..other.clone() } != ours);
    if config.auth.issuers.iter().any(|other| other.issuer == ours.issuer) {
        let text =
            format!("auth.issuers: {:?} is the issuer of dev itself; give yours another name", ours.issuer);
        return Err(CommandFailure::usage(text));
    }
    // Beside others it needs a subject; alone it warns of a UUID, which earlier versions took as the user id.
    let subject = (!config.auth.issuers.is_empty()).then_some(SubjectKind::Name);
    config.auth.issuers.push(IssuerSettings { subject, ..ours });
    if !config.http.allowed_origins.iter().any(|origin| origin == LOOPBACK) {
        config.http.allowed_origins.push(LOOPBACK.to_owned());
    }
    let folder = config.data_dir.clone();
    let mint = || {
        let issuer = DevIssuer::open_or_create(&folder)?;
        let now = Clock::System.now();
        let token = issuer.mint("dev-user", &["user".to_owned()], now, TOKEN_TTL)?;
        Ok((token, issuer.mint("dev-admin", &["admin".to_owned()], now, TOKEN_TTL)?))
    };
    process::run(loaded, mint, |addresses, (token, admin_token)| {
        let at = whereabouts(addresses, folder.display().to_string(), token, admin_token);
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

fn json(at: &Whereabouts) -> Result<String, CommandFailure> {
    serde_json::to_string(at).map_err(|error| CommandFailure::other(format!("cannot print JSON: {error}")))
}

/// An empty list would say that no token or no page is accepted, which `dev` does not do: it adds its own issuer, and
/// pages of this machine.
fn refuse_without_effect(loaded: &Loaded) -> Result<(), CommandFailure> {
    let Config { auth, http, .. } = &loaded.config;
    let lists = [
        ("auth.issuers", auth.issuers.is_empty(), "dev adds an issuer of its own"),
        ("http.allowed_origins", http.allowed_origins.is_empty(), "dev accepts pages of this machine"),
    ];
    let found =
        lists.iter().find(|(key, is_empty, _)| *is_empty && loaded.origins.of(key) != Origin::Default);
    match found {
        Some((key, _, reason)) => Err(CommandFailure::usage(format!(
            "{key}: [] has no effect, because {reason}; remove it ({})",
            loaded.origins.of(key)
        ))),
        None => Ok(()),
    }
}

/// The dev issuer's key and open ports are for this machine only.
fn stay_on_this_machine(loaded: &Loaded) -> Result<(), CommandFailure> {
    let Config { http, admin, s3, .. } = &loaded.config;
    let listeners = [("http.listen", http.listen), ("admin.listen", admin.listen), ("s3.listen", s3.listen)];
    match listeners.iter().find(|(_, address)| !address.ip().is_loopback()) {
        Some((key, address)) => Err(CommandFailure::usage(format!(
            "{key}: dev listens on this machine only, not on {address} ({}); use 127.0.0.1, or serve",
            loaded.origins.of(key)
        ))),
        None => Ok(()),
    }
}
