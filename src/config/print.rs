//! Settings as text: a TOML file with the meaning and the origin of each value.

use figment::value::{Dict, Value};

use super::choice;
use super::load::Loaded;
use super::meaning::Meanings;
use super::settings::Config;
use super::text;
use super::units::Unit;

/// The column of the origins, if the value leaves room.
const ORIGIN_COLUMN: usize = 48;
/// Where a line of a comment ends, if a word leaves room.
const COMMENT_WIDTH: usize = 100;

/// Every setting in order of the keys: its meaning, its unit and its default as comments, then a line of TOML with its
/// origin. What is not set, or has no effect, is a comment too. Secrets are left out.
///
/// A file with this text sets the same values.
#[must_use]
pub fn printed(loaded: &Loaded) -> Vec<String> {
    let root = |config: &Config| Value::serialize(config).ok().and_then(Value::into_dict).unwrap_or_default();
    let page = SettingsPage {
        loaded,
        meanings: Meanings::of_all(),
        defaults: Value::from(root(&Config::default())),
    };
    let mut lines = Vec::new();
    page.section(&root(&loaded.config), "", &mut lines);
    lines
}

struct SettingsPage<'a> {
    loaded: &'a Loaded,
    meanings: Meanings,
    defaults: Value,
}

impl SettingsPage<'_> {
    fn section(&self, section: &Dict, above: &str, lines: &mut Vec<String>) {
        for (name, value) in section {
            let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            match value {
                Value::Dict(_, inner) => self.section(inner, &key, lines),
                Value::String(..)
                | Value::Char(..)
                | Value::Bool(..)
                | Value::Num(..)
                | Value::Empty(..)
                | Value::Array(..) => self.setting(&key, value, lines),
            }
        }
    }

    fn setting(&self, key: &str, value: &Value, lines: &mut Vec<String>) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        for meaning in self.meanings.of(key) {
            lines.extend(wrapped(&meaning));
        }
        let unit = Unit::of(key).filter(|_| matches!(value, Value::Num(..)));
        let origin = self.loaded.origins.of(key).to_string();
        lines.extend(unit.map(|unit| format!("# In {}.", unit.hint())));
        lines.extend(self.default_line(key, value));
        let assignment = format!("{key} = {}", text::shown(key, value));
        let missing = choice::missing_choice(&self.loaded.config, key);
        lines.push(match (missing, value) {
            (_, Value::Empty(..)) => format!("# {key} is not set"),
            (Some(choice), _) => format!("# {assignment:ORIGIN_COLUMN$} # counts only with {choice}"),
            (None, _) => format!("{assignment:ORIGIN_COLUMN$} # {origin}"),
        });
    }

    /// The default, where it is not what counts, or where digits are hard to read.
    fn default_line(&self, key: &str, value: &Value) -> Option<String> {
        let default = self.defaults.find_ref(key)?;
        let number = default.to_num().and_then(|num| num.to_u128()).and_then(|num| u64::try_from(num).ok());
        let readable = Unit::of(key).zip(number).and_then(|(unit, number)| unit.readable(number));
        let is_default = default == value;
        if is_default && readable.is_none() {
            return None;
        }
        let readable = readable.map(|readable| format!(" ({readable})")).unwrap_or_default();
        Some(format!("# Default: {}{readable}.", text::shown(key, default)))
    }
}

/// A comment in lines of a bearable length. What is indented stays so.
fn wrapped(text: &str) -> Vec<String> {
    let indent = &text[..text.len() - text.trim_start().len()];
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= COMMENT_WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(format!("# {indent}{word}")),
        }
    }
    lines
}
