//! The sweeper: finds lost notifications, late objects and orphans in the ledger and the bucket.
//!
//! Two passes, each at its own pace, beside each other. `due` comes often and reads accounts only: reservations past
//! their time, entries that were never published, files being deleted. `deep` reads every row and lists every object:
//! trash past its time, rows to forget, sums that differ, objects without rows and rows without objects.

mod options;
mod actor;
mod tools;
mod throttle;
mod census;
mod due;
mod deep;
mod forgetting;
mod history;
mod shelf;
mod strays;
mod uploads;
mod requests;

pub(super) use actor::{SweeperActor, SweeperMsg};
pub(super) use census::CensusBoard;
pub(super) use tools::SweeperParts;

pub use census::{Census, TopUser};
pub use options::{Orphans, SweepOptions};
