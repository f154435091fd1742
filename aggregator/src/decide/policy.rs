//! From what the operator configured to the rules of one monitor.

use quorate_quorum::Policy;

use super::target;
use crate::config::Monitor;

/// The rules of a monitor as configured, under a revision of the assignments. What was measured of its paths is not in it.
pub fn policy(monitor: &Monitor, revision: u64) -> Policy {
    Policy {
        quorum: monitor.quorum,
        confirm_for: monitor.confirm_for,
        sensitivity: monitor.sensitivity,
        restart_budget: monitor.restart_budget,
        domains: monitor.domains.labels.clone(),
        min_domains: monitor.domains.min,
        target: target(&monitor.spec.url),
        revision,
        ..Policy::new(monitor.regions.iter().cloned().collect(), monitor.spec.interval, monitor.spec.timeout)
    }
}
