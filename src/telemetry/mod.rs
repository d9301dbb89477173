//! What operators see: metric names, health of the parts, logs.

pub mod health;
pub mod names;
