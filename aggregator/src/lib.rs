//! The aggregator of Quorate, as a library: the `quorate` binary and the whole-system tests are made of it.
//!
//! ```text
//! ingest -> verify -> [ log -> decide -> outbox ]  one transaction  -> notify
//!                        |                                          -> publish (API, pages, metrics)
//! ```
//!
//! Stages do not import each other: they speak the types of `quorate-proto` and of [`model`], and [`run`] wires them.

pub mod cli;
pub mod clock;
pub mod config;
pub mod core;
pub mod decide;
pub mod demo;
pub mod evidence;
#[cfg(test)]
mod golden;
pub mod ingest;
pub mod limits;
pub mod model;
pub mod notify;
pub mod publish;
pub mod replay;
pub mod run;
pub mod store;
