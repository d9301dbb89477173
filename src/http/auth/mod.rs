//! From a request's credentials to a caller.
//!
//! `credentials` finds the token, `authenticator` judges it, `cache` remembers the verdict.

mod credentials;
mod issuer;
mod cache;
mod authenticator;
mod token;

pub use authenticator::Authenticator;
pub(super) use cache::Verified;
pub(super) use credentials::{Presented, check_same_site, is_own_origin, presented};
pub use issuer::AuthConfigError;
pub use token::sign_hs256;
