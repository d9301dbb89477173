//! The audit: reads ledger, bucket and event log, and reports every disagreement. Changes nothing.
//!
//! `auditor` goes through a deployment, `picture` reads and judges one user; `rows`, `chain` and `events` are the
//! pure judges of file rows, entries and events. `uploads` goes through the uploads in chunks that are open.

mod auditor;
mod picture;
mod rows;
mod chain;
mod events;
mod uploads;
mod reader;
mod finding;
mod operator;
mod site;

pub use auditor::{AuditOptions, AuditSummary, Auditor, ReportFn};
pub use finding::{Finding, FindingKind};
pub use operator::AuditRequest;
pub(super) use operator::OperatorSocket;
pub use reader::{AuditError, Deployment};
pub use site::audit;
pub(super) use site::options;
