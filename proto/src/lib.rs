//! The vocabulary of Quorate: ids, time, limits, monitors, outcomes, signed units, wire frames.
//!
//! Everything that crosses a border between agent, aggregator and engine is defined here, and nothing here touches
//! the world: no socket, no file, no clock, no chance. What needs a key pair or randomness takes it as an argument.

pub mod batch;
pub mod canary;
pub mod cause;
pub mod codec;
pub mod doubt;
pub mod frame;
pub mod id;
pub mod join;
pub mod key;
pub mod limits;
pub mod monitor;
pub mod outcome;
pub mod sla;
pub mod step;
pub mod template;
pub mod time;
pub mod tls;
pub mod unit;
pub mod verify;

pub use batch::{BatchBody, Gap, GapCause};
pub use doubt::{Controls, Doubt, DoubtReport};
pub use id::{AgentName, MonitorId, Region};
pub use key::{AgentKey, AggregatorKey, SigningKey};
pub use monitor::{Assignment, MonitorSpec, Slot};
pub use outcome::{CheckKind, CheckResult, Failure, FailureKind, Outcome, Phase, Timings};
pub use step::{Matcher, Payload, Step};
pub use time::{Micros, WallMicros};
pub use unit::{BootEpoch, Digest, Sequence, SignedUnit};
pub use verify::{Admission, Authentic, Chains, Refusal, Verified};
