//! The composition root: builds the ports, starts the tree, serves, drains. Decides nothing.
//!
//! `run` puts it together; `ports` has one function a port, and `translate` makes of settings what each part takes.

mod run;
mod descriptors;
mod listeners;
mod running;
mod ports;
mod translate;
mod cursor_key;
mod check;
mod data_dir;
mod bucket_stamp;
mod engines;
mod upkeep;
mod start_error;
mod aws_setup;
mod aws_adopt;
mod identity;
mod schema;
mod republish;
mod audit;

pub use audit::{
    AuditError, AuditOptions, AuditRequest, Auditor, Finding, Kind, Summary, Tell, World, audit,
};
pub use aws_adopt::{AdoptFailure, aws_adopt};
pub use aws_setup::aws_setup;
pub use bucket_stamp::BucketStampError;
pub use check::{Checked, config_check};
pub use cursor_key::CursorKeyError;
pub use data_dir::{NoAccess, keep_new_files_private};
pub use engines::Engines;
pub use identity::IdentityError;
pub use listeners::{Addresses, Ports};
pub use republish::{RepublishFailure, events_republish};
pub use run::App;
pub use running::{Running, running};
pub use schema::{SchemaFailure, schema_apply, schema_status};
pub use start_error::StartError;

pub use crate::actors::{Republish, Republished};
pub use crate::adapters::aws::{Outcome, Step};
