//! Whole-system tests: an aggregator and five agents as processes, real servers, real faults.
//!
//! Each prints what it measured as `MEASURED …`. Deadlines are the promises of the product; polling is generous.

#[cfg(test)]
mod agents;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod deliveries;
#[cfg(test)]
mod demonstration;
#[cfg(test)]
mod diagnosis;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod doubts;
#[cfg(test)]
mod egress;
#[cfg(test)]
mod evidence;
#[cfg(test)]
mod held;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod overrides;
#[cfg(test)]
mod reconfiguration;
#[cfg(test)]
mod restored;
#[cfg(test)]
mod scraping;
#[cfg(test)]
mod slow;
#[cfg(test)]
mod solitude;
