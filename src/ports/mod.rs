//! The outside world as the product needs it: small traits, each with its contract.
//!
//! Each trait carries its contract; one suite per port in `tests/contract` holds every backend to it.

mod clock;
pub mod dlq;
mod ledger;
mod log;
mod objects;
mod queue;
mod signer;

pub use clock::{Clock, ManualClock};
pub use ledger::{CommitError, FilePage, LedgerError, LedgerPort, ScanCursor, ScanPage, Summary, Unreadable};
pub use log::{
    AckToken, ChainEnd, ConsumerPort, ConsumerSpec, LogDelivery, LogError, LogPort, NewRecord, PublishError,
    Record, ReplayFrom, ReplayPort, Stored, Stream, TrimWhen,
};
pub use objects::{
    ListedObject, ListedUpload, ObjectMeta, ObjectPage, ObjectsError, ObjectsPort, Part, UploadCursor,
    UploadPage,
};
pub use queue::{QueueDelivery, QueueError, QueuePort, Receipt};
pub use signer::{
    DownloadGrant, DownloadMethod, PartGrant, SignedRequest, SignedUrl, SignerError, SignerPort, UploadGrant,
};
