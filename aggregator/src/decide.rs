//! From verdicts to incidents and alerts.

#[cfg(test)]
pub(crate) mod fixture;
