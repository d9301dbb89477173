//! Where settings come from: a file, the environment, flags. Each value keeps its origin.

use std::ffi::OsString;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Value};
use figment::{Metadata, Profile, Provider};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::env::{self, IgnoredVariable};
use super::problem::{ConfigError, Problem};
use super::{duplicate, text, units};

/// The flag that sets any setting. The others set one setting, or several, under another name.
const ANY_SETTING: &str = "--set";

/// The source of a setting's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// No source: a default.
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

impl Origin {
    /// Whether it is a flag that sets settings under a name of its own, like `--port`.
    pub(super) fn is_shortcut(&self) -> bool {
        matches!(self, Self::Flag { name } if name != ANY_SETTING)
    }
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

/// A setting given by a flag.
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
    /// Its value.
    pub value: Value,
    /// The same as it was written: `6GiB` where the value is a number of bytes. A secret is left out.
    pub written: String,
    /// Its source.
    pub origin: Origin,
}

impl Setting {
    /// A setting from a text, as far as the text is not the value itself: digits may be written in many ways.
    pub(super) fn new(path: Vec<String>, value: Value, raw: &str, origin: Origin) -> Self {
        let shown = text::shown(&path.join("."), &value);
        let is_number = matches!(value, Value::Num(..)) && !text::is_redacted(&shown);
        let written = if is_number { text::one_line(raw) } else { shown };
        Self { path, value, written, origin }
    }

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

/// Reads every source. Values are not looked at yet, but `defaults` decide how text is read. Also returns the
/// variables that are ignored.
pub(super) fn settings(
    sources: &Sources,
    defaults: &Value,
    known: &[String],
) -> Result<(Vec<Setting>, Vec<IgnoredVariable>), ConfigError> {
    let mut settings = match &sources.file {
        Some(path) => file(path)?,
        None => Vec::new(),
    };
    let environment = env::read(&sources.env, defaults, known);
    let mut problems = environment.problems;
    settings.extend(environment.settings);
    for Flag { name, key, value } in &sources.flags {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        let typed = text::typed(value, defaults.find_ref(key));
        let setting = Setting::new(path, typed, value, Origin::Flag { name: name.clone() });
        problems.extend(settings.iter().filter_map(|earlier| contradiction(earlier, &setting)));
        settings.push(setting);
    }
    for setting in &mut settings {
        let is_number = matches!(defaults.find_ref(&setting.key()), Some(Value::Num(..)));
        let number = setting.value.as_str().filter(|_| is_number);
        if let Some(number) = number.and_then(|text| units::number(&setting.key(), text)) {
            setting.value = Value::from(number);
        }
    }
    if problems.is_empty() { Ok((settings, environment.ignored)) } else { Err(ConfigError { problems }) }
}

/// The fault of a setting that a flag would silently replace: another flag set it, or the flag is one whose
/// name does not name this setting.
fn contradiction(earlier: &Setting, flag: &Setting) -> Option<Problem> {
    let is_silent = match &earlier.origin {
        Origin::Flag { .. } => true,
        Origin::Env { .. } | Origin::File { .. } => flag.origin.is_shortcut(),
        Origin::Default => false,
    };
    let key = flag.key();
    let is_other = text::shown(&key, &earlier.value) != text::shown(&key, &flag.value);
    let (before, now) = (&earlier.written, &flag.written);
    let or_set = match earlier.origin {
        Origin::File { .. } => format!(", or say --set {key}=VALUE, which replaces what a file says"),
        Origin::Default | Origin::Env { .. } | Origin::Flag { .. } => String::new(),
    };
    (is_silent && earlier.path == flag.path && is_other).then(|| Problem {
        text: format!(
            "{before} has no effect, because the {} says {now} and wins; remove one of the two{or_set}",
            flag.origin
        ),
        key,
        origin: earlier.origin.clone(),
    })
}

fn file(path: &Path) -> Result<Vec<Setting>, ConfigError> {
    let at = |line| Origin::File { path: path.to_owned(), line };
    let content = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    let line_of = |offset: usize| 1 + content.bytes().take(offset).filter(|byte| *byte == b'\n').count();
    let document = DeTable::parse(&content).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let problem = duplicate::explain(&content, offset, error.message());
        let problem = problem.unwrap_or_else(|| text::one_line(error.message()));
        ConfigError::one("", format!("not TOML: {problem}"), at(line_of(offset)))
    })?;
    let mut settings = Vec::new();
    flatten(document.get_ref(), &[], &mut |path, value, key_at| {
        let raw = content.get(value.span()).unwrap_or_default();
        settings.push(Setting::new(path, text::parsed(value.get_ref()), raw, at(line_of(key_at))));
    });
    Ok(settings)
}

fn unreadable(path: &Path, error: &std::io::Error) -> ConfigError {
    let kind = error.kind();
    let advice = if kind == ErrorKind::NotFound {
        "there is no such file; the folder examples has some to start from".to_owned()
    } else if kind == ErrorKind::PermissionDenied {
        "this user may not read it; grant it read access".to_owned()
    } else if kind == ErrorKind::IsADirectory {
        "it is a folder; name the file in it".to_owned()
    } else {
        error.to_string()
    };
    let text = format!("cannot read the settings file {}: {advice}", path.display());
    ConfigError::one("", text, Origin::Flag { name: "--config".to_owned() })
}

/// Hands every value below `table` on, with its path and the position of its key in the text.
fn flatten<'t>(
    table: &DeTable<'t>,
    above: &[String],
    found: &mut impl FnMut(Vec<String>, &Spanned<DeValue<'t>>, usize),
) {
    for (key, value) in table {
        let mut path = above.to_vec();
        path.push(key.get_ref().to_string());
        match value.get_ref().as_table().filter(|inner| !inner.is_empty()) {
            Some(inner) => flatten(inner, &path, found),
            None => found(path, value, key.span().start),
        }
    }
}
