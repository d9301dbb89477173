//! From sources to settings: layers, unknown keys, wrong types, checks.

use std::collections::BTreeMap;

use figment::Figment;
use figment::error::{Error, Kind};
use figment::providers::Serialized;
use figment::value::Value;

use super::check;
use super::env::IgnoredVariable;
use super::problem::{self, ConfigError, Problem};
use super::settings::Config;
use super::source::{self, Origin, Setting, Sources};
use super::text;

/// Settings that were found good.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Where each of them comes from.
    pub origins: Origins,
    /// Environment variables that look like settings and are none.
    pub ignored: Vec<IgnoredVariable>,
}

/// Where each setting comes from.
#[derive(Clone, Debug, Default)]
pub struct Origins(BTreeMap<String, SettingSource>);

#[derive(Clone, Debug)]
struct SettingSource {
    origin: Origin,
    /// The value as it counts, and as it was written.
    shown: String,
    written: String,
}

impl Origins {
    /// Where the setting with this key, `http.listen`, comes from.
    #[must_use]
    pub fn of(&self, key: &str) -> Origin {
        self.0.get(key).map_or(Origin::Default, |source| source.origin.clone())
    }

    /// A message about a setting that starts with its value, with the value as it was written.
    pub(super) fn as_written(&self, key: &str, message: String) -> String {
        let Some(SettingSource { shown, written, .. }) = self.0.get(key) else { return message };
        match message.strip_prefix(shown.as_str()) {
            Some(rest) if rest.starts_with(' ') => format!("{written}{rest}"),
            Some(_) | None => message,
        }
    }

    /// The keys that some source says.
    pub(super) fn configured(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Reads all sources into settings: defaults, then the file, the environment, the flags.
///
/// # Errors
/// Every unknown key and every value of a wrong type; if there are none, every value that cannot be.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let defaults = Value::serialize(Config::default()).map_err(|error| ours(&error))?;
    let known = keys(&defaults);
    let (mut settings, ignored) = source::settings(sources, &defaults, &known)?;
    let origins = Origins(settings.iter().map(source_of).collect());
    let mut problems = Vec::new();
    let config = loop {
        match merged(&settings).extract::<Config>() {
            Ok(config) => break config,
            Err(error) => problems.push(take_out(&mut settings, &error, &known)?),
        }
    };
    if problems.is_empty() {
        problems = check::problems(&config, &origins);
    }
    if problems.is_empty() { Ok(Loaded { config, origins, ignored }) } else { Err(ConfigError { problems }) }
}

fn source_of(setting: &Setting) -> (String, SettingSource) {
    let Setting { value, written, origin, .. } = setting;
    let key = setting.key();
    let shown = text::shown(&key, value);
    (key, SettingSource { origin: origin.clone(), shown, written: written.clone() })
}

/// The layers, each value with its origin as figment's metadata.
fn merged(settings: &[Setting]) -> Figment {
    let defaults = Figment::from(Serialized::defaults(Config::default()));
    settings.iter().cloned().fold(defaults, Figment::merge)
}

/// Takes the setting that figment complains about out, so that the next round finds the next one.
fn take_out(settings: &mut Vec<Setting>, error: &Error, known: &[String]) -> Result<Problem, ConfigError> {
    let owns =
        |setting: &Setting| setting.path.starts_with(&error.path) || error.path.starts_with(&setting.path);
    let index = settings.iter().rposition(owns).ok_or_else(|| ours(error))?;
    let setting = settings.remove(index);
    let at = error.path.join(".");
    let inside = error.path.get(setting.path.len()..).unwrap_or_default();
    let part = text::within(&setting.value, inside).map(|value| text::shown(&at, value));
    let written = if inside.is_empty() { Some(setting.written.clone()) } else { part };
    let is_below = setting.path.len() > error.path.len();
    let key = if is_below { setting.key() } else { at.clone() };
    let text = if is_below && !matches!(error.kind, Kind::UnknownField(..)) {
        format!("there is no such setting; {at} has none below it")
    } else {
        problem::explain(error, &key, written.as_deref(), known)
    };
    Ok(Problem { key, text, origin: setting.origin })
}

/// A mistake in the defaults themselves.
fn ours(error: &Error) -> ConfigError {
    ConfigError::one(&error.path.join("."), error.kind.to_string(), Origin::Default)
}

/// All keys below a value that are no sections.
fn keys(value: &Value) -> Vec<String> {
    let Value::Dict(_, dict) = value else { return Vec::new() };
    let below = |(name, value): (&String, &Value)| match value {
        Value::Dict(..) => keys(value).into_iter().map(|key| format!("{name}.{key}")).collect(),
        Value::String(..)
        | Value::Char(..)
        | Value::Bool(..)
        | Value::Num(..)
        | Value::Empty(..)
        | Value::Array(..) => vec![name.clone()],
    };
    dict.iter().flat_map(below).collect()
}

#[cfg(test)]
mod tests;
