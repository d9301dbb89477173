//! Who may use something bounded now: shares of it, and one flight for work that was asked for twice.

mod flights;
mod shares;

pub use flights::Flights;
pub use shares::{Share, Shares};
