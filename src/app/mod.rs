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
mod folder_owner;
mod note;
mod shards_note;
mod bucket_stamp;
mod engines;
mod upkeep;
mod start_error;
#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "cql")]
mod cql;
#[cfg(feature = "nats")]
mod nats;
#[cfg(not(all(feature = "aws", feature = "cql", feature = "nats")))]
mod absent;
mod republish;
mod audit;

pub use audit::{
    AuditError, AuditOptions, AuditRequest, AuditSummary, Auditor, Deployment, Finding, FindingKind,
    ReportFn, audit,
};
#[cfg(feature = "aws")]
pub use aws::{AdoptFailure, IdentityError, aws_adopt, aws_setup};
pub use bucket_stamp::BucketStampError;
pub use check::{Checked, config_check};
#[cfg(feature = "cql")]
pub use cql::{SchemaFailure, schema_apply, schema_status};
pub use cursor_key::CursorKeyError;
pub use data_dir::{NoAccess, keep_new_files_private};
pub use engines::Engines;
pub use folder_owner::ForeignFolder;
pub use listeners::{Addresses, Ports};
pub use republish::{RepublishFailure, events_republish};
pub use run::App;
pub use running::{Running, running};
pub use shards_note::ShardsNoteError;
pub use start_error::StartError;

pub use crate::actors::{Republish, Republished};
#[cfg(feature = "aws")]
pub use crate::adapters::aws::{Step, StepOutcome};

#[cfg(not(feature = "aws"))]
use absent::aws;
#[cfg(not(feature = "cql"))]
use absent::cql;
#[cfg(not(feature = "nats"))]
use absent::nats;
