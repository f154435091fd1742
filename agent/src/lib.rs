//! The agent of Quorate: probes WebSocket endpoints from where it stands and streams signed results to an aggregator.
//!
//! ```text
//! schedule -> probe -> outcome -> sign (batch) -> spool -> uplink
//! ```
//!
//! Stages do not import each other; `run.rs` wires them.

pub mod canary;
pub mod check;
pub mod cli;
pub mod clock;
pub mod doubt;
pub mod egress;
pub mod health;
pub mod idle;
pub mod limits;
pub mod probe;
pub mod run;
pub mod schedule;
pub mod sign;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod spool;
pub mod state;
pub mod uplink;
