//! Wharfinger: file storage and delivery.
//!
//! Modules in reading order, from the pure middle outwards. `tests/tidy` checks which module may import which.

pub mod limits;
pub mod domain;
pub mod ports;
pub mod telemetry;
pub mod config;
pub mod admission;
pub mod net;
pub mod adapters;
pub mod actors;
pub mod bridge;
pub mod http;
pub mod app;
pub mod cli;
