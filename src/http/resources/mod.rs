//! The resources: one file each, one function for each method.
//!
//! The route table names these functions; each takes a request whose caller is already admitted.

pub(super) mod root;
pub(super) mod health;
pub(super) mod schemas;
pub(super) mod error_pages;
mod upload_request;
mod grant;
mod signed;
pub(super) mod uploads;
pub(super) mod chunks;
mod file_view;
pub(super) mod files;
pub(super) mod list;
pub(super) mod downloads;
pub(super) mod usage;
pub(super) mod history;
pub(super) mod events;
pub(super) mod admin;
