//! What operators see: metric names, health of the parts, logs.

pub mod health;
pub mod names;
pub mod logs;
mod story;
mod recorder;

pub use recorder::MetricsHandle;

/// The target of log lines that tell a file's way, one a hop. Switch it off with `story=warn` in `telemetry.filter`.
pub const STORY: &str = "story";

/// Whole milliseconds, for a log field.
#[must_use]
pub fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
