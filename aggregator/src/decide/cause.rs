//! The likely cause of an incident: the failure that most of the failing regions saw.

use std::collections::BTreeMap;

use quorate_proto::{Failure, cause};
use quorate_quorum::{Rule, Vote};

use super::{Situation, rule::sentence};
use crate::model::IncidentCause;

/// The cause that the failing regions agree on most; none where no region fails, as when nobody can tell any more: what
/// was the cause before is then still the best guess.
pub(super) fn of(situation: &Situation<'_>) -> Option<IncidentCause> {
    let failing = situation
        .change
        .votes
        .iter()
        .filter(|counted| counted.vote == Vote::Fail)
        .filter_map(|counted| situation.sightings.get(&counted.region)?.failure.as_ref());
    let mut kinds = BTreeMap::<String, (usize, &Failure)>::new();
    for failure in failing {
        // A server at its limit answers some with 503 and lets others wait: beside living canaries that is one cause.
        let explained = cause::explain(failure).kind;
        let is_own = explained == failure.kind.name();
        let kind = if is_own { failure.kind.to_string() } else { explained.to_owned() };
        kinds.entry(kind).or_insert((0, failure)).0 += 1;
    }
    // Among equals the first by name: which it is must not depend on the order in which regions reported.
    let (_, (_, failure)) = kinds.into_iter().rev().max_by_key(|(_, (regions, _))| *regions)?;
    let explained = cause::explain(failure);
    Some(IncidentCause {
        kind: explained.kind.to_owned(),
        summary: explained.summary,
        hint: explained.hint.to_owned(),
        mend: explained.mend.iter().map(|line| (*line).to_owned()).collect(),
    })
}

/// The cause to begin with, where no region saw a failure.
pub(super) fn unobserved(situation: &Situation<'_>) -> IncidentCause {
    let summary = match situation.change.rule {
        rule @ Rule::TooFewVoters { .. } => sentence(&rule),
        Rule::FastQuorum { .. }
        | Rule::Majority { .. }
        | Rule::SingleRegion { .. }
        | Rule::SomeFail { .. }
        | Rule::Recovered { .. }
        | Rule::FirstVotes { .. }
        | Rule::TooFewDomains { .. } => "The failing regions' reports are not at hand.".to_owned(),
    };
    IncidentCause {
        kind: "unobserved".to_owned(),
        summary,
        hint: "See which agents are connected (`quorate agents list`) and what their logs say: the server itself may \
               be well."
            .to_owned(),
        mend: Vec::new(),
    }
}
