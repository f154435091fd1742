//! The aggregator's own vocabulary: what its stages say to each other and what its faces show.
//!
//! Everything that a face or a webhook shows serializes to the JSON that is documented for it, so that an incident
//! looks the same in the API, in an alert and in the store.

pub mod agent;
pub mod alert;
pub mod calibration;
pub mod degradation;
pub mod event;
pub mod evidence;
#[cfg(test)]
pub(crate) mod fixture;
pub mod incident;
pub mod intake;
pub mod maintenance;
pub mod paging;
mod registered;
pub mod rfc3339;
pub mod said;
pub mod secret;
pub mod view;

pub use agent::{AgentRecord, JoinToken, Roster};
pub use alert::{Alert, AlertEvent, ChannelId, Delivery, DeliveryState, Dispatch};
pub use calibration::CalibrationKept;
pub use degradation::{
    Degradation, DegradedReason, QualityKept, QuantilesMs, RegionRoundTrips, RoundTripsSeen, UsualKept,
};
pub use event::{EventKind, MonitorEvent, Severity};
pub use evidence::{DecisionRecord, Evidence, StoredUnit, UnitSpan};
pub use incident::{Incident, IncidentCause, IncidentTimeline, MonitorReference, RegionEvidence, Tracked};
pub use intake::{Admin, AdminError, Attempt, Intake, Push};
pub use maintenance::{Maintenance, MaintenanceOrigin, MaintenanceWish};
pub use paging::{AgentsAlert, AwayAgent, FlappingAlert, GroupAlert, GroupedMonitor, Kept, LosingMonitor};
pub use registered::registered_domain;
pub use said::{CertificateSaid, IdleSaid, Said};
pub use secret::Secret;
pub use view::{AgentView, CanaryView, Counts, MonitorView, RegionView, Snapshot, StorageState};
