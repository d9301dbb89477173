//! Errors as clients see them: a closed table of codes, and one exhaustive way from every error of ours to it.

mod code;
mod problem;
mod refusals;

pub use code::ErrorCode;
pub(super) use problem::{FieldFault, More, Problem};
