//! Why a verdict is what it is, with the domains that count, in plain sentences.

use quorate_quorum::{Rule, Spread, VerdictChange};

use super::rule::sentence;

/// The rule that applied with its numbers, and the domains of the regions that fail where that says more.
pub fn reason(change: &VerdictChange) -> String {
    let rule = sentence(&change.rule);
    let spreads = change.grounds.spread.iter();
    let domains: Vec<String> = match change.rule {
        Rule::TooFewDomains { .. } => spreads.filter(|spread| !spread.suffices()).map(lacking).collect(),
        Rule::FastQuorum { .. } | Rule::Majority { .. } => {
            spreads.filter(|spread| is_labelled(spread)).map(spanning).collect()
        }
        Rule::SingleRegion { .. }
        | Rule::SomeFail { .. }
        | Rule::TooFewVoters { .. }
        | Rule::Recovered { .. }
        | Rule::FirstVotes { .. } => Vec::new(),
    };
    std::iter::once(rule).chain(domains).collect::<Vec<_>>().join(" ")
}

fn lacking(spread: &Spread) -> String {
    let names = |domains: Vec<&str>| listed(&domains);
    let failing = names(spread.failing.keys().map(String::as_str).collect());
    let others = spread.there.iter().filter(|domain| !spread.failing.contains_key(*domain));
    let others: Vec<&str> = others.map(String::as_str).collect();
    let does = if others.len() == 1 { "does" } else { "do" };
    format!("By {} the failing regions are of {failing}; {} {does} not fail.", spread.label, names(others))
}

fn spanning(spread: &Spread) -> String {
    let failing: Vec<&str> = spread.failing.keys().map(String::as_str).collect();
    let alone = if spread.there.len() == 1 { ", and no other is there" } else { "" };
    format!("By {} they are of {}{alone}.", spread.label, listed(&failing))
}

/// Whether any failing region's agent has the label: regions without one are named like themselves.
fn is_labelled(spread: &Spread) -> bool {
    let is_own = |(domain, regions): (&String, &std::collections::BTreeSet<quorate_proto::Region>)| {
        regions.iter().all(|region| region.as_str() == domain)
    };
    !spread.failing.iter().all(is_own)
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use quorate_proto::Micros;
    use quorate_quorum::{Grounds, Timeline, Verdict};

    use super::*;

    fn spread(label: &str, failing: &[(&str, &str)], there: &[&str], needed: u16) -> Spread {
        let mut spread = Spread {
            label: label.to_owned(),
            failing: Default::default(),
            there: there.iter().map(|domain| (*domain).to_owned()).collect(),
            needed,
        };
        for (region, domain) in failing {
            let regions: &mut std::collections::BTreeSet<_> =
                spread.failing.entry((*domain).to_owned()).or_default();
            regions.insert(region.parse().unwrap());
        }
        spread
    }

    fn said(rule: Rule, spread: Vec<Spread>) -> String {
        let (to, timeline) = (Verdict::Down, Timeline::default());
        let monitor = "shop".parse().unwrap();
        let change = VerdictChange {
            monitor,
            from: None,
            to,
            rule,
            timeline,
            votes: Vec::new(),
            grounds: Grounds { spread, ..Grounds::default() },
        };
        let whole = reason(&change);
        whole.strip_prefix(&sentence(&rule)).unwrap().trim_start().to_owned()
    }

    #[test]
    fn domains_are_named() {
        let s = Micros::from_secs;
        let down = Rule::FastQuorum { failing: 2, eligible: 2, needed: 2, span: s(31), span_needed: s(30) };
        let lack = Rule::TooFewDomains { failing: 2, eligible: 4, domains: 1, domains_needed: 2 };
        let aws = [("eu", "aws"), ("us", "aws")];
        let mixed = [("eu", "aws"), ("us", "gcp")];
        for (rule, spread, text) in [
            (
                lack,
                spread("provider", &aws, &["aws", "gcp", "hetzner"], 2),
                "By provider the failing regions are of aws; gcp and hetzner do not fail.",
            ),
            (
                lack,
                spread("network", &aws, &["aws", "ap"], 2),
                "By network the failing regions are of aws; ap does not fail.",
            ),
            (lack, spread("provider", &mixed, &["aws", "gcp"], 2), ""),
            (down, spread("provider", &mixed, &["aws", "gcp"], 2), "By provider they are of aws and gcp."),
            (
                down,
                spread("provider", &aws, &["aws"], 1),
                "By provider they are of aws, and no other is there.",
            ),
            (down, spread("network", &[("eu", "eu"), ("us", "us")], &["eu", "us"], 2), ""),
        ] {
            assert_eq!(said(rule, vec![spread]), text);
        }
    }
}
