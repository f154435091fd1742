//! The machine behind *degraded*, played as a script: round trips, canaries and certificates in, what is told out.

mod canaries;
mod latency;
mod properties;
mod script;
