//! Why what failed in enough regions was not called down: the rule of domains, with those that fail and those that do not.

use quorate_proto::Region;

use super::{Section, sentences::date_time};
use crate::{
    model::{DecisionRecord, evidence::SpreadRecord},
    store::Dossier,
};

/// What withheld down, and what would have made it; no lines where nothing did.
pub(super) fn why_not_down(dossier: &Dossier) -> Section {
    let withheld = |decision: &&DecisionRecord| decision.rule.name == "too_few_domains";
    let mut lines = Vec::new();
    let mut all = dossier.decisions.iter().filter(withheld);
    if let Some(first) = all.next() {
        lines.extend(said(first));
        if let Some(latest) = all.next_back() {
            lines.push(format!("The same was found again, the last time at {}.", when(latest)));
        }
        let down =
            |decision: &&DecisionRecord| decision.to == "down" && decision.decided_us > first.decided_us;
        lines.push(match dossier.decisions.iter().find(down) {
            Some(down) => format!("At {} enough of them failed, and it was called down.", when(down)),
            None => {
                "It is called down as soon as enough of them fail, or no other is there any more.".to_owned()
            }
        });
    }
    Section { title: "Why not down".to_owned(), lines }
}

fn said(decision: &DecisionRecord) -> Vec<String> {
    let number = |name: &str| decision.rule.number(name).unwrap_or(0);
    let mut lines = vec![format!(
        "At {} {} of {} regions with a vote failed, which is enough of them. But agents that have a {} in common fail \
         together when that does, so the regions have to be of several.",
        when(decision),
        number("failing"),
        number("eligible"),
        decision.policy.domains.iter().map(String::as_str).collect::<Vec<_>>().join(" or a "),
    )];
    let lacking = decision.state.spread.iter().filter(|spread| lacks(spread));
    lines.extend(lacking.map(|spread| {
        let failing = spread.failing.iter().map(|(domain, regions)| {
            let regions = regions.iter().map(Region::as_str).collect::<Vec<_>>();
            format!("{domain}: {}", regions.join(", "))
        });
        let others = spread.there.iter().filter(|domain| !spread.failing.contains_key(*domain));
        format!(
            "By {} at least {} had to fail, and these did: {}. There as well, and not failing: {}.",
            spread.label,
            spread.needed,
            failing.collect::<Vec<_>>().join("; "),
            others.map(String::as_str).collect::<Vec<_>>().join(", "),
        )
    }));
    lines
}

fn lacks(spread: &SpreadRecord) -> bool {
    spread.failing.len() < usize::from(spread.needed)
}

fn when(decision: &DecisionRecord) -> String {
    date_time(decision.wall(decision.decided_us))
}
