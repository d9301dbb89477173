//! What operators see: metric names, health of the parts, logs.

pub mod health;
pub mod names;
pub mod logs;
mod story;
mod recorder;
mod counted;

pub use counted::Counted;
pub use logs::{STORY, millis};
pub use recorder::MetricsHandle;
