//! The HTTP front: a request becomes a value, then work, then an answer or a problem.
//!
//! Start with `server`; `middleware` is what every request goes through; `dispatch` leads to the resources.

mod options;
mod services;
mod request;
mod server;
mod connection;
mod middleware;
mod meters;
mod refused_origins;
mod event_slots;
mod route;
mod dispatch;
mod auth;
mod error;
mod wire;
mod resources;

pub use auth::{AuthConfigError, Authenticator, sign_hs256};
pub use error::ErrorCode;
pub use options::HttpOptions;
pub use server::{Front, serve};
pub use services::{MetricsText, Services};
