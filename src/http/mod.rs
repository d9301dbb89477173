//! The HTTP front: a request becomes a value, then work, then an answer or a problem.
//!
//! Start with `server`; `middleware` is what every request goes through; `dispatch` leads to the resources.

mod services;
mod server;
mod connection;
mod exchange;
mod middleware;
mod meters;
mod trail;
mod target;
mod route;
mod dispatch;
mod auth;
mod cors;
mod refused_origins;
mod error;
mod body;
mod json;
mod query;
mod media;
mod conditions;
mod cursor;
mod disposition;
mod answer;
mod idempotency;
mod upload_request;
mod grant;
mod signed;
mod uploads;
mod chunks;
mod file_view;
mod files;
mod list;
mod downloads;
mod usage;
mod admin;
mod history;
mod event_slots;
mod event_frame;
mod event_feed;
mod events;
mod schemas;
mod health;
mod root;
mod error_pages;

pub use auth::{AuthConfigError, Authenticator, sign_hs256};
pub use error::ErrorCode;
pub use server::{Front, serve};
pub use services::{HttpOptions, MetricsText, Services};
