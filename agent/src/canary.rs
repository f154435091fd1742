//! Canaries: connections that are held open, to see what no check sees: that a connection lives but nothing comes, that a
//! proxy cuts it, that a server goes.
//!
//! ```text
//!            attempts.rs                   machine.rs
//!  waiting ───────────────▶ opening ───▶ open ──────────▶ ended ─┐
//!     ▲   when to try next      │    heartbeats, frames,         │
//!     └───────── not opened ◀───┘    silence                     │
//!     └───────────────────────────────────────────────────────────┘
//! ```
//!
//! `machine.rs` and `attempts.rs` are pure: frames, time and chance are arguments; what is to be sent and told comes out.
//! `task.rs` is the socket under them, one small task a canary. `concern.rs` says which changes of a monitor concern a
//! connection that is open.
//!
//! Any inbound frame is life. A heartbeat must be answered besides: what comes in its place gives it time, and not for ever.
//! A heartbeat that nothing came after is a *silent drop*, and the kernel is asked where it is: a server that is stuck has a
//! kernel that still acknowledges, a path that is gone has not.

mod attempts;
mod concern;
mod machine;
mod task;
#[cfg(test)]
mod tests;

pub(crate) use self::concern::concerns_connection;
pub use self::task::{Line, Report, Shared, hold};
pub use crate::probe::held::Farewell;
