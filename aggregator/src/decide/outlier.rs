//! What operators are told of an agent that contradicts the others.

use quorate_proto::{AgentName, Micros};
use quorate_quorum::{Contradiction, Outlier};

use super::{Announcement, notice};
use crate::config::Channel;

/// An agent abstains from here on, because it contradicts the others.
pub fn outlier(name: &AgentName, outlier: &Outlier, channels: &[Channel]) -> Announcement {
    let Outlier { region, contradiction, began, since, disagreements, compared, .. } = outlier;
    let (what, look) = match contradiction {
        Contradiction::FailsAlone => (
            format!(
                "finds {disagreements} of {compared} unrelated targets failing that the other regions pass"
            ),
            "Look at its network, its resolver and its machine.",
        ),
        Contradiction::PassesAlone => (
            format!(
                "passes {disagreements} of {compared} unrelated targets that the other regions find failing"
            ),
            "See whether something beside it answers in the servers' place, such as a proxy or a captive portal.",
        ),
    };
    let held = since.since(*began);
    let summary = format!(
        "Agent {name} in {region} contradicts the others: for {held} it {what}. Its votes do not count until it has \
         agreed with them for ten minutes; the other regions decide meanwhile. {look}"
    );
    notice("agent_outlier", summary, channels)
}

/// An agent votes again.
pub fn outlier_over(name: &AgentName, outlier: &Outlier, held: Micros, channels: &[Channel]) -> Announcement {
    let region = &outlier.region;
    let summary = format!(
        "Agent {name} in {region} agrees with the other regions again, and its votes count. It was set aside for {held}."
    );
    notice("agent_outlier_over", summary, channels)
}

#[cfg(test)]
mod tests {
    use quorate_proto::AgentKey;
    use quorate_quorum::Moment;

    use super::*;
    use crate::{model::AlertEvent, model::fixture::channel};

    #[test]
    fn operators_read_what_is_wrong_and_where_to_look() {
        let found = |contradiction| Outlier {
            agent: AgentKey([1; 32]),
            region: "eu-west".parse().unwrap(),
            contradiction,
            began: Moment(20_000_000),
            since: Moment(200_000_000),
            disagreements: 12,
            compared: 14,
        };
        let text = |announcement: Announcement| {
            let AlertEvent::Notice { kind, summary } = announcement.event else { panic!("{announcement:?}") };
            assert_eq!(announcement.channels, ["z"], "the operator's channels alone");
            format!("{kind}: {summary}")
        };
        let (name, channels) = ("eu-1".parse().unwrap(), [channel("x"), channel("z:o")]);
        assert_eq!(
            text(outlier(&name, &found(Contradiction::FailsAlone), &channels)),
            "agent_outlier: Agent eu-1 in eu-west contradicts the others: for 3m it finds 12 of 14 unrelated targets \
             failing that the other regions pass. Its votes do not count until it has agreed with them for ten minutes; \
             the other regions decide meanwhile. Look at its network, its resolver and its machine."
        );
        let passes = text(outlier(&name, &found(Contradiction::PassesAlone), &channels));
        assert!(
            passes.contains("passes 12 of 14 unrelated targets that the other regions find failing"),
            "{passes}"
        );
        assert_eq!(
            text(outlier_over(&name, &found(Contradiction::FailsAlone), Micros::from_secs(900), &channels)),
            "agent_outlier_over: Agent eu-1 in eu-west agrees with the other regions again, and its votes count. It was \
             set aside for 15m."
        );
    }
}
