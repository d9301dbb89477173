//! Problems of the settings, one line each.

use std::collections::BTreeMap;
use std::fmt;

use figment::error::{Error, Kind};

use super::source::Origin;
use super::text;
use super::units::Unit;

/// Keys that are less alike than this (0 to 1) are not taken for a slip of the fingers.
const SIMILARITY_MIN: f64 = 0.6;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting, `http.listen`; empty if the whole file is meant.
    pub key: String,
    /// The fault and the remedy, without key and origin.
    pub text: String,
    /// The source of the value.
    pub origin: Origin,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "{} ({})", self.text, self.origin)
        } else {
            write!(f, "{}: {} ({})", self.key, self.text, self.origin)
        }
    }
}

/// The settings cannot be used. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError {
    /// All that was found.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// One problem.
    #[must_use]
    pub fn one(key: &str, text: impl Into<String>, origin: Origin) -> Self {
        Self { problems: vec![Problem { key: key.to_owned(), text: text.into(), origin }] }
    }
}

/// Describes in our words figment's complaint about the value at `key`.
///
/// `written` is the value as its source has it.
pub(super) fn explain(error: &Error, key: &str, written: Option<&str>, known: &[String]) -> String {
    let value = written.map(|written| format!("{} ", text::excerpt(written))).unwrap_or_default();
    match &error.kind {
        Kind::UnknownField(_, expected) => unknown_key(key, &error.path.join("."), expected, known),
        Kind::UnknownVariant(_, expected) => format!("{value}is not one of: {}", expected.join(", ")),
        Kind::MissingField(field) => format!("{field} is missing"),
        Kind::DuplicateField(field) => format!("{field} is there twice"),
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
            let unit = Unit::of(key).filter(|_| matches!(expected.as_str(), "u32" | "u64" | "usize"));
            let unit = unit.map(|unit| format!(" ({})", unit.hint())).unwrap_or_default();
            format!("{value}is not {}{unit}", wanted(expected))
        }
        Kind::InvalidLength(len, expected) => format!("has {len} parts instead of {expected}"),
        Kind::Message(message) if message.contains("socket address") => {
            format!("{value}is not {}", wanted("socket address"))
        }
        Kind::Message(message) => format!("{value}is refused: {message}"),
        Kind::ISizeOutOfRange(_)
        | Kind::USizeOutOfRange(_)
        | Kind::Unsupported(_)
        | Kind::UnsupportedKey(..) => format!("{value}is refused: {}", error.kind),
    }
}

/// What serde expects, for people.
fn wanted(expected: &str) -> String {
    match expected {
        "u16" => "a whole number without a sign, up to 65535".to_owned(),
        "u32" => "a whole number without a sign, up to 4294967295".to_owned(),
        "u64" | "usize" => "a whole number without a sign".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "socket address" => "an address like 127.0.0.1:8080 (numbers, not a name)".to_owned(),
        "a string" | "path string" => "text".to_owned(),
        "a sequence" => "a list".to_owned(),
        other if other.starts_with("struct ") => "a section with settings of its own".to_owned(),
        other if other.starts_with("enum ") || other.contains("enum") => "one word".to_owned(),
        other => other.to_owned(),
    }
}

/// `at` is the part of `key` that is not known; `expected` could replace its last part.
fn unknown_key(key: &str, at: &str, expected: &[&str], known: &[String]) -> String {
    let section = at.rsplit_once('.').map_or(String::new(), |(section, _)| format!("{section}."));
    let siblings = expected.iter().map(|name| format!("{section}{name}"));
    let near = nearest(key, known.iter().cloned()).or_else(|| nearest(at, siblings));
    match near {
        Some(near) => format!("there is no such setting; did you mean {near}?"),
        None if section.is_empty() => format!("there is no such setting; there are: {}", expected.join(", ")),
        None => format!("there is no such setting; here are: {}", expected.join(", ")),
    }
}

/// The keys that were probably meant. A key without its section counts: `max_bytes` finds `upload.max_bytes`.
fn nearest(key: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
    let score = |candidate: &str| {
        let (other_section, other_name) = candidate.rsplit_once('.').unwrap_or(("", candidate));
        if section.is_empty() || section == other_section {
            strsim::normalized_damerau_levenshtein(name, other_name)
        } else {
            strsim::normalized_damerau_levenshtein(key, candidate)
        }
    };
    let scored: BTreeMap<String, f64> = candidates.map(|key| (key.clone(), score(&key))).collect();
    let best = scored.values().copied().fold(SIMILARITY_MIN, f64::max);
    let near: Vec<_> = scored.into_iter().filter(|(_, score)| *score >= best).map(|(key, _)| key).collect();
    if near.is_empty() { None } else { Some(near.join(" or ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, expected: Option<&str>) {
        let known = ["http.listen", "s3.listen", "upload.max_bytes", "data_dir"].map(str::to_owned);
        assert_eq!(nearest(key, known.into_iter()).as_deref(), expected, "{key}");
    }

    #[test]
    fn a_slip_of_the_fingers_finds_its_key() {
        check("http.lisen", Some("http.listen"));
        check("htpp.listen", Some("http.listen"));
        check("upload.maxbytes", Some("upload.max_bytes"));
        check("datadir", Some("data_dir"));
    }

    #[test]
    fn a_key_outside_its_section_finds_it() {
        check("listen", Some("http.listen or s3.listen"));
        check("max_bytes", Some("upload.max_bytes"));
    }

    #[test]
    fn something_else_altogether_finds_nothing() {
        check("colour", None);
        check("ledger.nodes", None);
    }
}
