//! Logs go to standard error: JSON off a terminal, readable on one.

use std::time::Duration;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;
use tracing_subscriber::util::SubscriberInitExt;

use super::story::Story;

/// The target of log lines that trace a file, one a hop. Switch it off with `story=warn` in `telemetry.filter`.
pub const STORY: &str = "story";

/// Whole milliseconds, for a log field.
#[must_use]
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// What a line of the log looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON off it.
    Auto,
    /// One JSON object a line, for collectors.
    Json,
    /// For people.
    Text,
}

/// A format that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not one of: auto, json, text")]
pub struct LogFormatError(String);

impl LogFormat {
    /// Reads `auto`, `json` or `text`.
    ///
    /// # Errors
    /// Any other word.
    pub fn parse(word: &str) -> Result<Self, LogFormatError> {
        match word {
            "auto" => Ok(Self::Auto),
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            other => Err(LogFormatError(other.to_owned())),
        }
    }
}

/// A filter that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{filter:?} must be like info or warn,wharfinger=debug: {reason}")]
pub struct LogFilterError {
    filter: String,
    reason: String,
}

/// Whether `filter` can be read.
///
/// # Errors
/// What is wrong with it.
pub fn check_filter(filter: &str) -> Result<(), LogFilterError> {
    parse_filter(filter).map(drop)
}

fn parse_filter(filter: &str) -> Result<EnvFilter, LogFilterError> {
    let refused = |error: tracing_subscriber::filter::ParseError| LogFilterError {
        filter: filter.to_owned(),
        reason: error.to_string(),
    };
    EnvFilter::builder().parse(filter).map_err(refused)
}

/// Starts to log for the rest of the process. A second call changes nothing.
///
/// # Errors
/// A filter that cannot be read.
pub fn start(filter: &str, format: LogFormat) -> Result<(), LogFilterError> {
    let filter = parse_filter(filter)?;
    let is_terminal = std::io::stderr().is_terminal();
    let is_json = match format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    // A closed log must not end the process: errors of writing are dropped.
    let lines = fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    let json = is_json
        .then(|| fmt::layer().json().flatten_event(true).with_span_list(false).with_current_span(false));
    let text = (!is_json).then_some(lines);
    let text = text.map(|lines| if is_terminal { lines } else { lines.with_ansi(false) }.event_format(Story));
    let json = json.map(|lines| lines.with_writer(std::io::stderr).log_internal_errors(false));
    // Only a second call fails, and then the first one logs.
    drop(registry().with(filter).with(json).with(text).try_init());
    Ok(())
}
