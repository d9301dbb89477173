//! What settings mean: the doc comments of the settings' types, as their schema carries them.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::settings::Config;

/// The meaning of every setting.
pub(super) struct Meanings(Value);

impl Meanings {
    /// Of all settings.
    pub(super) fn of_all() -> Self {
        let generator = SchemaSettings::default().with(|settings| settings.inline_subschemas = true);
        Self(generator.into_generator().into_root_schema_for::<Config>().into())
    }

    /// The meaning of a setting and its values: a paragraph, and perhaps a line for each word or part.
    pub(super) fn of(&self, key: &str) -> Vec<String> {
        let Some(schema) = key.split('.').try_fold(&self.0, |section, name| section["properties"].get(name))
        else {
            return Vec::new();
        };
        let mut lines: Vec<_> = description(schema).into_iter().collect();
        lines.extend(words(schema).map(|(word, meaning)| format!("  {word:?}: {meaning}")));
        let parts = schema["items"]["properties"].as_object().into_iter().flatten();
        for (name, part) in parts {
            lines.push(format!("  {name}: {}", description(part).unwrap_or_default()));
        }
        lines
    }
}

/// The words that a setting may be, each with its meaning.
fn words(schema: &Value) -> impl Iterator<Item = (&str, String)> {
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    choices.filter_map(|choice| Some((choice["const"].as_str()?, description(choice).unwrap_or_default())))
}

/// A doc comment in one line.
fn description(schema: &Value) -> Option<String> {
    let text = schema["description"].as_str()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}
