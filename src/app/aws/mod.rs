//! What is on AWS: bucket, queue and signer opened and tried, their stamps, and `aws setup` and `aws adopt`.

mod engines;
mod translate;
mod identity;
mod setup;
mod adopt;

pub use adopt::{AdoptFailure, aws_adopt};
pub use identity::IdentityError;
pub use setup::aws_setup;

pub(super) use engines::{check_objects, check_queue, check_signer, objects, queue, settle_identity, signer};
