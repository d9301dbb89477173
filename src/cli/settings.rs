//! The flags that every command with settings has.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

use super::failure::CommandFailure;
use crate::config::{self, Flag, Loaded, Sources};

/// The highest N of `--port`: the two ports above it are used as well.
const PORT_MAX: u16 = u16::MAX - 2;

/// Where settings come from: defaults, then the file, WHARF_SECTION__KEY variables, then --set.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct SettingsArgs {
    /// Settings file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting, like upload.max_bytes=50MiB; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The data folder, which is also data_dir [default: wharf-data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// Loads the settings; `flags` are those of the command itself and win.
pub(super) fn load(args: &SettingsArgs, flags: Vec<Flag>) -> Result<Loaded, CommandFailure> {
    let mut all = args.set.iter().map(|pair| one(pair)).collect::<Result<Vec<_>, _>>()?;
    if let Some(data) = &args.data {
        let data = data.to_str().ok_or_else(|| CommandFailure::usage("--data must be UTF-8"))?;
        all.push(Flag { name: "--data".to_owned(), key: "data_dir".to_owned(), value: data.to_owned() });
    }
    all.extend(flags);
    let sources = Sources { file: args.config.clone(), env: std::env::vars_os().collect(), flags: all };
    Ok(config::load(&sources)?)
}

fn one(pair: &str) -> Result<Flag, CommandFailure> {
    let (key, value) = pair.split_once('=').filter(|(key, _)| !key.trim().is_empty()).ok_or_else(|| {
        CommandFailure::usage(format!("--set {pair}: write it like upload.max_bytes=50MiB"))
    })?;
    Ok(Flag { name: "--set".to_owned(), key: key.trim().to_owned(), value: value.to_owned() })
}

/// Reads the N of `--port`.
pub(super) fn port(text: &str) -> Result<u16, String> {
    let port = text.parse::<u16>().ok().filter(|port| *port <= PORT_MAX);
    port.ok_or_else(|| {
        format!("write a number from 0 to {PORT_MAX}: the two ports above it are used as well")
    })
}

/// The settings that `--port N` sets: the API on N, the embedded S3 endpoint on N+1, metrics and health on N+2.
pub(super) fn port_flags(port: Option<u16>) -> Vec<Flag> {
    let Some(port) = port else { return Vec::new() };
    let keys = [(0, "http.listen"), (1, "s3.listen"), (2, "admin.listen")];
    let flag = |(step, key): (u16, &str)| {
        let port = if port == 0 { 0 } else { port.saturating_add(step) };
        let value = SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string();
        Flag { name: "--port".to_owned(), key: key.to_owned(), value }
    };
    keys.map(flag).into()
}
