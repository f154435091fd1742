//! The rule that applied, in one plain sentence.

use quorate_proto::Micros;
use quorate_quorum::Rule;

/// One sentence that says which rule applied, with its numbers.
pub fn sentence(rule: &Rule) -> String {
    match *rule {
        Rule::FastQuorum { failing, eligible, needed, span_needed: Micros::ZERO, .. } => format!(
            "{failing} of {} {}; {needed} had to.",
            voters(eligible),
            if failing == 1 { "fails" } else { "fail" },
        ),
        Rule::FastQuorum { failing, eligible, needed, span, span_needed } => format!(
            "{failing} of {} {}, and the evidence spans {span}; {needed} had to fail for {span_needed}.",
            voters(eligible),
            if failing == 1 { "fails" } else { "fail" },
        ),
        Rule::Majority { failing, eligible, held, held_needed } => format!(
            "{failing} of {} have failed for {held} without a break; more than half had to for {held_needed}.",
            voters(eligible),
        ),
        Rule::SingleRegion { attempts, span } => format!(
            "One region alone decided, because only one is configured: {attempts} attempts in a row failed within \
             {span}."
        ),
        Rule::SomeFail { failing, eligible } => format!(
            "{failing} of {} {}: too few, or not for long enough, to call it down.",
            voters(eligible),
            if failing == 1 { "fails" } else { "fail" },
        ),
        Rule::TooFewVoters { configured: 1, .. } => {
            "The one configured region has no vote, so that nobody can tell.".to_owned()
        }
        Rule::TooFewVoters { eligible: 0, configured } => {
            format!("None of {configured} configured regions has a vote; at least 2 are needed to tell.")
        }
        Rule::TooFewVoters { eligible, configured } => format!(
            "Only {eligible} of {configured} configured regions {} a vote; at least 2 are needed to tell.",
            if eligible == 1 { "has" } else { "have" },
        ),
        Rule::Recovered { passing, eligible: 1 } => {
            format!("{passing} of 1 region with a vote passed twice in a row.")
        }
        Rule::Recovered { passing, eligible } => {
            format!("{passing} of {} passed twice in a row.", voters(eligible))
        }
        Rule::FirstVotes { passing, eligible } => {
            format!("{passing} of {} {}.", voters(eligible), if passing == 1 { "passes" } else { "pass" })
        }
        Rule::TooFewDomains { failing, eligible, domains, domains_needed } => format!(
            "{failing} of {} fail, and that is not called down: they are of {}, and at least {domains_needed} domains \
             have to fail, because what one of them has in common may be what is broken.",
            voters(eligible),
            if domains == 1 { "one domain".to_owned() } else { format!("{domains} domains") },
        ),
    }
}

fn voters(eligible: u16) -> String {
    match eligible {
        1 => "1 region with a vote".to_owned(),
        _ => format!("{eligible} regions with a vote"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_as_sentences() {
        let s = Micros::from_secs;
        for (rule, text) in [
            (
                Rule::FastQuorum { failing: 4, eligible: 5, needed: 4, span: s(12), span_needed: s(11) },
                "4 of 5 regions with a vote fail, and the evidence spans 12s; 4 had to fail for 11s.",
            ),
            (
                Rule::FastQuorum { failing: 3, eligible: 3, needed: 3, span: s(0), span_needed: s(0) },
                "3 of 3 regions with a vote fail; 3 had to.",
            ),
            (
                Rule::Majority { failing: 3, eligible: 5, held: s(92), held_needed: s(90) },
                "3 of 5 regions with a vote have failed for 92s without a break; more than half had to for 90s.",
            ),
            (
                Rule::SingleRegion { attempts: 3, span: s(31) },
                "One region alone decided, because only one is configured: 3 attempts in a row failed within 31s.",
            ),
            (
                Rule::SomeFail { failing: 1, eligible: 5 },
                "1 of 5 regions with a vote fails: too few, or not for long enough, to call it down.",
            ),
            (
                Rule::TooFewVoters { eligible: 1, configured: 5 },
                "Only 1 of 5 configured regions has a vote; at least 2 are needed to tell.",
            ),
            (
                Rule::TooFewVoters { eligible: 0, configured: 1 },
                "The one configured region has no vote, so that nobody can tell.",
            ),
            (
                Rule::Recovered { passing: 4, eligible: 5 },
                "4 of 5 regions with a vote passed twice in a row.",
            ),
            (
                Rule::TooFewDomains { failing: 4, eligible: 5, domains: 1, domains_needed: 2 },
                "4 of 5 regions with a vote fail, and that is not called down: they are of one domain, and at least 2 \
                 domains have to fail, because what one of them has in common may be what is broken.",
            ),
            (Rule::FirstVotes { passing: 1, eligible: 1 }, "1 of 1 region with a vote passes."),
        ] {
            assert_eq!(sentence(&rule), text);
        }
    }
}
