//! Units: that each is as its agent signed it, and names the one before.

use data_encoding::BASE64;
use quorate_proto::{AgentKey, Digest, Micros, Sequence, SignedUnit, unit::Content};
use quorate_quorum::Moment;

use super::{Gap, Report};
use crate::evidence::{
    EvidenceFile,
    file::ReceivedUnit,
    rebuild::{ReadUnit, Units},
};

/// Units whose signature is good; what is wrong with the others is told.
pub(super) fn check_units(file: &EvidenceFile, report: &mut Report) -> Units {
    let mut units = Units::new();
    for (entry, index) in file.units.iter().zip(0..) {
        let place = |field: &str| file.describe(&format!("units[{index}]{field}"));
        match read_unit(file, entry) {
            Err((field, problem)) => report.fault(place(field), problem),
            Ok(unit) => {
                let key = (unit.place.agent, unit.place.epoch, unit.place.sequence);
                // A gap may start where a batch stands that came after all.
                let is_gap = matches!(unit.content, Content::Gap(_));
                let is_batch = |other: &&ReadUnit| !is_gap && !matches!(other.content, Content::Gap(_));
                if units.get(&key).filter(is_batch).is_some() {
                    report.fault(place(""), "stands where another unit of the file stands");
                }
                if !(is_gap && units.contains_key(&key)) {
                    units.insert(key, unit);
                }
                report.units += 1;
            }
        }
    }
    units
}

fn read_unit(file: &EvidenceFile, entry: &ReceivedUnit) -> Result<ReadUnit, (&'static str, String)> {
    let bytes = BASE64
        .decode(entry.bytes.as_bytes())
        .map_err(|error| (".bytes", format!("is no base64: {error}")))?;
    let (received, held) = (entry.received_us.map(Moment), entry.held_us.map(Micros));
    let signed =
        SignedUnit::parse(bytes.clone()).map_err(|error| (".bytes", format!("is no unit: {error}")))?;
    let found = *signed.place();
    for (field, is_same, is) in [
        (".agent", found.agent == entry.agent, found.agent.to_string()),
        (".epoch", found.epoch.0 == entry.epoch, found.epoch.0.to_string()),
        (".sequence", found.sequence.0 == entry.sequence, found.sequence.0.to_string()),
    ] {
        if !is_same {
            return Err((field, format!("is not what the unit itself says, which is {is}")));
        }
    }
    if found.aggregator != file.aggregator {
        let problem = format!("was signed for another aggregator, {}", found.aggregator);
        return Err((".bytes", problem));
    }
    if !signed.is_signed() {
        let problem = "is not as its agent signed it: the signature does not hold";
        return Err((".bytes", problem.to_owned()));
    }
    ReadUnit::read(bytes, received, held).map_err(|error| (".bytes", format!("is no unit: {error}")))
}

/// That each unit names the one before; what is missing between two of one epoch is a gap.
pub(super) fn check_chains(file: &EvidenceFile, units: &Units, report: &mut Report) {
    let names = file.names();
    let name = |agent: AgentKey| names.get(&agent).cloned().unwrap_or_else(|| agent.to_string());
    let mut before: Option<&ReadUnit> = None;
    for unit in units.values() {
        let place = &unit.place;
        let same = before.filter(|one| one.place.agent == place.agent && one.place.epoch == place.epoch);
        let stands =
            || format!("unit {} of agent {}, epoch {}", place.sequence.0, name(place.agent), place.epoch.0);
        if place.sequence == Sequence(0) && place.previous != Digest::NONE {
            report.fault(stands(), "is the first of its epoch and names one before");
        }
        if let Some(one) = same {
            let (next, digest, cause) = match &one.content {
                Content::Batch(_) => (one.place.sequence.next(), one.digest, None),
                Content::Gap(gap) => (gap.resume, gap.resume_previous, Some(gap.cause.name())),
            };
            let is_batch = matches!(unit.content, Content::Batch(_));
            let mut gap = |first: Sequence, next: Sequence, signed| {
                report.gaps.push(Gap {
                    agent: place.agent,
                    name: name(place.agent),
                    epoch: place.epoch.0,
                    first: first.0,
                    last: next.0.saturating_sub(1).max(first.0),
                    signed,
                });
            };
            if let Some(cause) = cause {
                gap(one.place.sequence, next, Some(cause));
            }
            if place.sequence > next {
                gap(next, place.sequence, None);
            } else if place.sequence == next && place.previous != digest && is_batch {
                report.fault(stands(), "does not name the digest of the unit before: the chain is broken");
            }
        }
        before = Some(unit);
    }
}
