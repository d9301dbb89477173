//! The flags that every command with settings has.

use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use crate::config::{self, Flag, Loaded, Sources};

/// Where settings come from: defaults, then the file, WHARF_SECTION__KEY variables, then --set.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct SettingsArgs {
    /// Settings file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting, like upload.max_bytes=50MiB; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Loads the settings; `flags` are those of the command itself and win.
pub(super) fn load(args: &SettingsArgs, flags: Vec<Flag>) -> Result<Loaded, Failure> {
    let mut said = args.set.iter().map(|pair| one(pair)).collect::<Result<Vec<_>, _>>()?;
    said.extend(flags);
    let sources = Sources { file: args.config.clone(), env: std::env::vars_os().collect(), flags: said };
    Ok(config::load(&sources)?)
}

fn one(pair: &str) -> Result<Flag, Failure> {
    let (key, value) = pair
        .split_once('=')
        .filter(|(key, _)| !key.trim().is_empty())
        .ok_or_else(|| Failure::usage(format!("--set {pair}: write it like upload.max_bytes=50MiB")))?;
    Ok(Flag { name: "--set".to_owned(), key: key.trim().to_owned(), value: value.to_owned() })
}
