//! Where settings come from: a file, the environment, flags. Each value keeps its origin.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Value};
use figment::{Metadata, Profile, Provider};
use toml::de::DeTable;

use super::problem::{ConfigError, Problem};
use super::text;

/// What names of environment variables start with.
const ENV_PREFIX: &str = "WHARF_";
/// What separates the parts of a key in the name of an environment variable.
const ENV_SEPARATOR: &str = "__";

/// Who said what a setting is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody.
    Default,
    /// A line of the settings file.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Env {
        /// Its name.
        name: String,
    },
    /// A flag of the command.
    Flag {
        /// As it is written, `--port`.
        name: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Env { name } => write!(f, "environment variable {name}"),
            Self::Flag { name } => write!(f, "flag {name}"),
        }
    }
}

/// A setting said by a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The flag as it is written, `--port`.
    pub name: String,
    /// The setting, `http.listen`.
    pub key: String,
    /// Its value, as text.
    pub value: String,
}

/// All sources; later ones win: file, environment, flags.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The settings file, if one is named.
    pub file: Option<PathBuf>,
    /// The environment; what does not start with `WHARF_` is not looked at.
    pub env: Vec<(OsString, OsString)>,
    /// The flags, in order.
    pub flags: Vec<Flag>,
}

/// One value on its way into the settings.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// The parts of its key.
    pub path: Vec<String>,
    /// What it is.
    pub value: Value,
    /// Who said so.
    pub origin: Origin,
}

impl Setting {
    /// Its key, `http.listen`.
    pub(super) fn key(&self) -> String {
        self.path.join(".")
    }
}

impl Provider for Setting {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.to_string())
    }

    fn data(&self) -> Result<figment::value::Map<Profile, Dict>, figment::Error> {
        let nested = self
            .path
            .iter()
            .rfold(self.value.clone(), |inner, part| Value::from(Dict::from([(part.clone(), inner)])));
        Ok(Profile::Default.collect(nested.into_dict().unwrap_or_default()))
    }
}

/// Reads every source. Values are not looked at yet, but `defaults` decide how text is read.
pub(super) fn settings(sources: &Sources, defaults: &Value) -> Result<Vec<Setting>, ConfigError> {
    let mut settings = match &sources.file {
        Some(path) => file(path)?,
        None => Vec::new(),
    };
    let mut problems = Vec::new();
    let mut variables: Vec<_> =
        sources.env.iter().filter(|(name, _)| name.to_string_lossy().starts_with(ENV_PREFIX)).collect();
    variables.sort();
    for (name, value) in variables {
        match variable(&name.to_string_lossy(), value.to_str(), defaults) {
            Ok(setting) => settings.push(setting),
            Err(problem) => problems.push(problem),
        }
    }
    for Flag { name, key, value } in &sources.flags {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        let value = text::typed(value, defaults.find_ref(key));
        settings.push(Setting { path, value, origin: Origin::Flag { name: name.clone() } });
    }
    if problems.is_empty() { Ok(settings) } else { Err(ConfigError { problems }) }
}

fn variable(name: &str, value: Option<&str>, defaults: &Value) -> Result<Setting, Problem> {
    let origin = Origin::Env { name: name.to_owned() };
    let key = name.trim_start_matches(ENV_PREFIX).to_ascii_lowercase().replace(ENV_SEPARATOR, ".");
    let refused = |text: &str| Problem { key: key.clone(), text: text.to_owned(), origin: origin.clone() };
    let path: Vec<String> = key.split('.').map(str::to_owned).collect();
    if path.iter().any(String::is_empty) {
        return Err(refused("not the name of a setting; write WHARF_SECTION__KEY"));
    }
    let value = value.ok_or_else(|| refused("the value is not UTF-8"))?;
    Ok(Setting { value: text::typed(value, defaults.find_ref(&key)), path, origin })
}

fn file(path: &Path) -> Result<Vec<Setting>, ConfigError> {
    let at = |line| Origin::File { path: path.to_owned(), line };
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::one("", format!("cannot read the settings file: {error}"), at(1)))?;
    let line_of = |offset: usize| 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
    let document = DeTable::parse(&text).map_err(|error| {
        let line = line_of(error.span().map_or(0, |span| span.start));
        ConfigError::one("", format!("not TOML: {}", text::one_line(error.message())), at(line))
    })?;
    let mut settings = Vec::new();
    flatten(document.get_ref(), &[], &mut |path, value, offset| {
        settings.push(Setting { path, value, origin: at(line_of(offset)) });
    });
    Ok(settings)
}

/// Hands every value below `table` on, with its path and where it stands in the text.
fn flatten(table: &DeTable<'_>, above: &[String], found: &mut impl FnMut(Vec<String>, Value, usize)) {
    for (key, value) in table {
        let mut path = above.to_vec();
        path.push(key.get_ref().to_string());
        match value.get_ref().as_table().filter(|inner| !inner.is_empty()) {
            Some(inner) => flatten(inner, &path, found),
            None => found(path, text::parsed(value.get_ref()), key.span().start),
        }
    }
}
