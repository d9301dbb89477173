//! Settings as text: a TOML file that says of each value where it came from.

use figment::value::{Dict, Value};

use super::choice;
use super::load::Loaded;
use super::text;

/// Where the origins stand, if the value leaves room.
const ORIGIN_COLUMN: usize = 48;

/// Every setting that counts as a line of TOML with its origin as a comment, in order of the keys. Secrets are left
/// out.
///
/// A file with this text says the same again.
#[must_use]
pub fn printed(loaded: &Loaded) -> Vec<String> {
    let root = Value::serialize(&loaded.config).ok().and_then(Value::into_dict).unwrap_or_default();
    let mut lines = Vec::new();
    write_section(&root, "", loaded, &mut lines);
    lines
}

fn write_section(section: &Dict, above: &str, loaded: &Loaded, lines: &mut Vec<String>) {
    for (name, value) in section {
        let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match value {
            Value::Dict(_, inner) => write_section(inner, &key, loaded, lines),
            Value::Empty(..) => {}
            _ if choice::is_idle(&loaded.config, &key) => {}
            Value::String(..) | Value::Char(..) | Value::Bool(..) | Value::Num(..) | Value::Array(..) => {
                let assignment = format!("{key} = {}", text::shown(&key, value));
                let origin = loaded.origins.of(&key);
                lines.push(format!("{assignment:ORIGIN_COLUMN$} # {origin}"));
            }
        }
    }
}
