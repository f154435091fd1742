//! Why a verdict fell, for people and for those who doubt it.
//!
//! - [`mod@explain`]: in plain sentences, with a timeline that [`mod@drawing`] puts on a terminal and [`svg`] on a page.
//! - [`mod@file`]: an incident's evidence as one file that can be handed on: decisions, policy, the signed units, and a seal.
//! - [`seal`]: the aggregator's signature over all of it, and what finds the place that was altered.
//! - [`rebuild`]: from signed units back to the checks and runs that the engine saw.
//! - [`mod@verify`]: whether a file holds: signatures, chains, votes, and that the rules give this verdict for them.
//!
//! Pure: bytes and keys in, answers out. No clock, no socket, no store.

pub mod drawing;
pub mod explain;
pub mod file;
pub mod rebuild;
pub mod seal;
pub mod svg;
pub mod verify;

pub use explain::{Explanation, explain};
pub use file::EvidenceFile;
pub use verify::{Pins, Report, verify};
