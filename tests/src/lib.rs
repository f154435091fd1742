//! The harness of the whole-system tests: real processes of ours against real servers that we did not write; and the
//! simulation of the engine over thousands of years.
//!
//! Nothing here is shipped, and nothing imports it.

pub mod clock;
pub mod cluster;
pub mod gateways;
pub mod http;
pub mod network;
pub mod process;
pub mod proxies;
pub mod receiver;
pub mod requirement;
pub mod servers;
pub mod watched;
pub mod years;
