//! Values as text: read from flags and variables, shown in messages, with secrets left out.

use figment::value::{Dict, Num, Value};
use toml::de::DeValue;

/// Shown in place of a secret.
const REDACTED: &str = "***";
/// A setting whose name ends so is a secret. Files that hold secrets end in `_file` and are none.
const SECRET_ENDINGS: [&str; 6] = ["secret", "password", "token", "access_key", "private_key", "credentials"];
/// Characters of a value in a message.
const EXCERPT_CHARS_MAX: usize = 80;

/// Reads text from a flag or a variable, by the type of the default.
///
/// A text setting takes the value to the letter, unless it is in quotes: then it is TOML. Elsewhere it
/// is a TOML value, and a list of words may leave brackets and quotes out: `a,b`.
pub(super) fn typed(text: &str, default: Option<&Value>) -> Value {
    match default {
        // A setting that is not set by default is text.
        Some(Value::String(..) | Value::Char(..) | Value::Empty(..)) => {
            unquoted(text).unwrap_or_else(|| Value::from(text))
        }
        Some(Value::Array(..)) if !text.trim_start().starts_with('[') => {
            let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
            let word = |word| unquoted(word).unwrap_or_else(|| Value::from(word));
            Value::from(words.map(word).collect::<Vec<_>>())
        }
        Some(Value::Array(..) | Value::Bool(..) | Value::Num(..) | Value::Dict(..)) | None => {
            DeValue::parse(text).map_or_else(|_| Value::from(text), |value| parsed(value.get_ref()))
        }
    }
}

/// The text between quotes, by the rules of TOML; none without quotes.
fn unquoted(text: &str) -> Option<Value> {
    let is_quoted = text.trim_start().starts_with(['"', '\'']);
    let value = is_quoted.then(|| DeValue::parse(text).ok())??;
    value.get_ref().as_str().map(Value::from)
}

/// A value of a TOML text.
pub(super) fn parsed(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Boolean(is) => Value::from(*is),
        DeValue::Integer(digits) => {
            let text = digits.as_str();
            i64::from_str_radix(text, digits.radix()).map_or_else(|_| Value::from(text), Value::from)
        }
        DeValue::Float(digits) => {
            digits.as_str().parse::<f64>().map_or_else(|_| Value::from(digits.as_str()), Value::from)
        }
        DeValue::Datetime(at) => Value::from(at.to_string()),
        DeValue::Array(items) => {
            Value::from(items.iter().map(|item| parsed(item.get_ref())).collect::<Vec<_>>())
        }
        DeValue::Table(table) => {
            let entries =
                table.iter().map(|(key, value)| (key.get_ref().to_string(), parsed(value.get_ref())));
            Value::from(entries.collect::<Dict>())
        }
    }
}

/// A value as the file would write it, without secrets, in one line.
pub(super) fn shown(key: &str, value: &Value) -> String {
    if is_secret(key) {
        return REDACTED.to_owned();
    }
    match value {
        Value::String(_, text) => quoted(&without_userinfo(text)),
        Value::Char(_, char) => quoted(&char.to_string()),
        Value::Bool(_, is) => is.to_string(),
        Value::Num(_, num) => number(*num),
        Value::Empty(..) => "nothing".to_owned(),
        Value::Dict(_, dict) => {
            let entries = dict.iter().map(|(name, value)| format!("{name} = {}", shown(name, value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Array(_, items) => {
            format!("[{}]", items.iter().map(|item| shown(key, item)).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Whether a shown value was left out as a secret.
pub(super) fn is_redacted(shown: &str) -> bool {
    shown == REDACTED
}

/// The value at a path inside a value; parts of lists are counted from 0.
pub(super) fn within<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    let [first, rest @ ..] = path else { return Some(value) };
    let inner = match value {
        Value::Array(_, items) => items.get(first.parse::<usize>().ok()?)?,
        Value::Dict(_, dict) => dict.get(first)?,
        Value::String(..) | Value::Char(..) | Value::Bool(..) | Value::Num(..) | Value::Empty(..) => {
            return None;
        }
    };
    within(inner, rest)
}

/// A text in one line.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The start of a shown value, for a message.
pub(super) fn excerpt(whole: &str) -> String {
    let whole = whole.to_owned();
    if whole.chars().count() <= EXCERPT_CHARS_MAX {
        return whole;
    }
    format!("{}…", whole.chars().take(EXCERPT_CHARS_MAX).collect::<String>())
}

fn is_secret(key: &str) -> bool {
    SECRET_ENDINGS.iter().any(|ending| key.ends_with(ending))
}

/// Leaves `user:password@` out of a URL.
fn without_userinfo(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((userinfo, _)) => format!("{scheme}://{REDACTED}{}", &rest[userinfo.len()..]),
        None => text.to_owned(),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn number(num: Num) -> String {
    match (num.to_i128(), num.to_u128(), num.to_f64()) {
        (Some(whole), ..) => whole.to_string(),
        (None, Some(whole), _) => whole.to_string(),
        (None, None, Some(broken)) => broken.to_string(),
        (None, None, None) => "a number".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_typed(text: &str, default: Option<Value>, expected: &str) {
        assert_eq!(shown("key", &typed(text, default.as_ref())), expected, "{text}");
    }

    #[test]
    fn text_stays_text_where_text_is_expected() {
        check_typed("2026", Some(Value::from("local")), "\"2026\"");
        check_typed("true", Some(Value::from("local")), "\"true\"");
        check_typed("2026", Value::serialize(None::<String>).ok(), "\"2026\"");
    }

    #[test]
    fn quoted_text_is_toml() {
        for default in [Some(Value::from("local")), Value::serialize(None::<String>).ok()] {
            check_typed("\"x\"", default.clone(), "\"x\"");
            check_typed("'x'", default.clone(), "\"x\"");
            check_typed(r#""a\tb""#, default.clone(), r#""a\tb""#);
            check_typed("\"x", default, r#"'"x'"#);
        }
        check_typed(r#""a",'b'"#, Some(Value::from(Vec::<Value>::new())), r#"["a", "b"]"#);
    }

    #[test]
    fn other_values_are_toml() {
        check_typed("50_000_000", Some(Value::from(1_u64)), "50000000");
        check_typed("true", Some(Value::from(false)), "true");
        check_typed("big", Some(Value::from(1_u64)), "\"big\"");
        check_typed("99999999999999999999", Some(Value::from(1_u64)), "\"99999999999999999999\"");
    }

    #[test]
    fn a_list_of_words_needs_no_brackets() {
        let list = || Some(Value::from(Vec::<Value>::new()));
        check_typed("image/png, image/jpeg", list(), r#"["image/png", "image/jpeg"]"#);
        check_typed(r#"["a,b"]"#, list(), r#"["a,b"]"#);
        check_typed("", list(), "[]");
        check_typed(r#"[{issuer = "i"}]"#, list(), r#"[{ issuer = "i" }]"#);
    }

    #[test]
    fn secrets_are_never_shown() {
        assert_eq!(shown("objects.secret", &Value::from("hunter2")), "***");
        assert_eq!(shown("objects.keys", &typed("{secret = 'hunter2'}", None)), "{ secret = *** }");
        assert_eq!(shown("log.url", &Value::from("nats://me:hunter2@host:1/x")), "\"nats://***@host:1/x\"");
        assert_eq!(shown("log.url", &Value::from("https://host/me@x")), "\"https://host/me@x\"");
        assert_eq!(shown("key_file", &Value::from("a/b")), "\"a/b\"");
    }
}
