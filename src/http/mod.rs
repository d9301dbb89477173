//! The HTTP front: a request becomes a value, then work, then an answer or a problem.
//!
//! Start with `routes/table`: each row is a route and names its handler in `resources`. Every request passes `server`,
//! `connection`, `middleware` and `dispatch` before it; `wire` has the formats, `error` the codes.

mod options;
mod services;
mod request;
mod server;
mod connection;
mod middleware;
mod meters;
mod refused_origins;
mod event_slots;
mod routes;
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
