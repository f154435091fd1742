//! The heart of the aggregator: one owner of all state, one writer.
//!
//! Everything that happens reaches the core as one of a closed set of messages ([`crate::model::Intake`]) and is applied
//! by a plain function, one after the other; what follows comes out as values that the task around it carries out. So
//! there are no locks, and a test needs neither a runtime nor a clock.
//!
//! ```text
//! intake -> units -> observe -> engine -> verdicts -> decide -> outbox
//!              |                             |                    |
//!              +------------ ledger: one transaction -------------+-> acknowledgements, deliveries, assignments
//! ```

mod agents;
mod assign;
mod calibration;
mod canaries;
mod chance;
mod doubts;
mod effect;
mod enrol;
mod ledger;
mod maintenance;
mod observe;
mod outbox;
mod outliers;
mod paging;
mod picture;
mod quality;
mod run;
mod standing;
mod start;
mod state;
mod storage;
#[cfg(test)]
mod tests;
pub mod token;
mod units;
mod uptime;
mod verdicts;

pub use run::{Options, run};
pub use start::ForeignKey;
pub use token::{TokenError, ensure_admin_token};
