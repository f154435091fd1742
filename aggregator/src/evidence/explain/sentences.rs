//! The sentences.

use quorate_proto::{Micros, WallMicros};

use super::{Paged, Section};
use crate::{
    evidence::rebuild::Checks,
    model::{
        DecisionRecord, Incident,
        evidence::{BallotRecord, RegionRecord},
    },
    store::Dossier,
};

/// What people are promised: a page within this after the fault.
const PROMISE: Micros = Micros::from_secs(60);

/// Everything about one decision.
pub(super) fn sections(
    incident: &Incident,
    decision: &DecisionRecord,
    checks: &Checks<'_>,
    paged: Paged,
) -> Vec<Section> {
    let teller = Teller { decision, checks };
    let section = |title: &str, lines: Vec<String>| Section { title: title.to_owned(), lines };
    vec![
        section("What happened", teller.what_happened(incident)),
        section("Who saw what", teller.who_saw_what()),
        section("Which rule", teller.which_rule()),
        section("Why not sooner", teller.why_not_sooner()),
        section("What did not count, and why", teller.what_did_not_count()),
        section("Where the time went", teller.where_the_time_went(paged)),
    ]
}

/// The other decisions, and how to prove all of it.
pub(super) fn what_followed(dossier: &Dossier, main: Option<&DecisionRecord>) -> Section {
    let mut lines = Vec::new();
    for decision in &dossier.decisions {
        if main.is_some_and(|main| std::ptr::eq(main, decision)) {
            continue;
        }
        let turned = match decision.from.as_deref() {
            Some(_) if decision.is_withheld() => format!("still {}", decision.to),
            Some(from) => format!("from {from} to {}", decision.to),
            None => format!("to {}", decision.to),
        };
        let at = date_time(decision.wall(decision.decided_us));
        lines.push(format!("{at}: {turned}. {}", decision.sentence));
    }
    if main.is_some() {
        let id = &dossier.incident.id;
        lines.push(format!(
            "To prove it: quorate export {id} > evidence.json && quorate verify evidence.json"
        ));
    }
    Section { title: "What else".to_owned(), lines }
}

struct Teller<'a> {
    decision: &'a DecisionRecord,
    checks: &'a Checks<'a>,
}

impl Teller<'_> {
    fn what_happened(&self, incident: &Incident) -> Vec<String> {
        let decision = self.decision;
        let before = match decision.from.as_deref() {
            Some(from) => format!("after {from}"),
            None => "as the first verdict".to_owned(),
        };
        let at = clock(decision.wall(decision.decided_us));
        let mut lines =
            vec![format!("At {at} UTC it was found {}, {before}. {}", decision.to, incident.monitor.url)];
        if decision.to != "unobserved" && !incident.cause.summary.is_empty() {
            lines.push(format!("Likely cause: {}", incident.cause.summary));
        }
        if !incident.cause.hint.is_empty() {
            lines.push(incident.cause.hint.clone());
        }
        lines
    }

    fn who_saw_what(&self) -> Vec<String> {
        let mut seen: Vec<(u64, String)> = Vec::new();
        for region in self.decision.regions.iter().filter(|region| region.vote != "abstain") {
            for ballot in region.ballots.iter().filter(|ballot| ballot.discounted.is_none()) {
                let at = if region.vote == "fail" { ballot.run_started_us } else { u64::MAX };
                seen.push((at, self.sighting(region, ballot)));
            }
        }
        seen.sort_by_key(|(at, _)| *at);
        seen.into_iter().map(|(_, line)| line).collect()
    }

    fn sighting(&self, region: &RegionRecord, ballot: &BallotRecord) -> String {
        let decision = self.decision;
        let age = fine(Micros(decision.decided_us.saturating_sub(ballot.ended_us)));
        let who = format!("{} ({})", region.region, ballot.who());
        let place = format!("epoch {}, unit {}, result {}", ballot.epoch, ballot.sequence, ballot.index);
        let digest = ballot.digest.as_ref().and_then(|digest| digest.get(..12));
        let digest = digest.map(|digest| format!(", sha256 {digest}…")).unwrap_or_default();
        let ended = self.clock_of(ballot.ended_us);
        if ballot.finding != "failed" {
            return format!(
                "{who} passed: its latest check ended at {ended}, {age} before the verdict [{place}{digest}]."
            );
        }
        let since = self.clock_of(ballot.run_started_us);
        let spans = fine(Micros(ballot.ended_us.saturating_sub(ballot.run_started_us)));
        let checks = match ballot.run_checks {
            1 => "1 check".to_owned(),
            count => format!("{count} checks without a break"),
        };
        let failure = self.failure(ballot).map(|failure| format!(": {failure}")).unwrap_or_default();
        let settled = if region.settled_us.is_some() && decision.to != "down" { ", established" } else { "" };
        format!(
            "{who} failed since {since} by {checks} over {spans}{settled}; the latest ended at {ended}, {age} before the \
             verdict{failure} [{place}{digest}]."
        )
    }

    fn failure(&self, ballot: &BallotRecord) -> Option<String> {
        let check = self.checks.get(&ballot.source())?;
        let failure = check.result.failure()?;
        Some(match failure.detail.is_empty() {
            true => failure.kind.to_string(),
            false => format!("{}: {}", failure.kind, failure.detail),
        })
    }

    fn which_rule(&self) -> Vec<String> {
        let decision = self.decision;
        let policy = &decision.policy;
        let mut lines = vec![decision.sentence.clone()];
        let confirm = match policy.confirm_for_us {
            Some(us) => format!("confirm_for {}", Micros(us)),
            None => match &policy.calibrated {
                Some(calibrated) => format!(
                    "evidence of {}{} because the paths were measured",
                    Micros(calibrated.span_us),
                    if calibrated.together { " in which a quorum failed together," } else { "," },
                ),
                None => "the evidence span by the number of regions".to_owned(),
            },
        };
        lines.push(format!(
            "Settings at that moment: {} regions, a check every {} within {}, quorum {}, sensitivity {}, {confirm}.",
            decision.regions.len(),
            Micros(policy.interval_us),
            Micros(policy.timeout_us),
            policy.quorum.replace('_', "-"),
            policy.sensitivity,
        ));
        if decision.state.graced {
            lines.push(
                "The aggregator had just started, or the monitor had changed: regions that were not back yet counted as \
                 voters, so that the few that were could not decide as if they were all."
                    .to_owned(),
            );
        }
        lines
    }

    fn why_not_sooner(&self) -> Vec<String> {
        let decision = self.decision;
        let Some(first) = decision.first_failure_us.filter(|_| decision.to == "down") else {
            return match decision.to.as_str() {
                "partial" => vec![
                    "A failure in some regions is shown when it is established: two checks over the evidence span, with \
                     no answers of other regions on their way."
                        .to_owned(),
                ],
                _ => Vec::new(),
            };
        };
        let mut lines = Vec::new();
        let Some(needed) = self.needed() else { return lines };
        if let Some(quorum) = decision.quorum_us {
            let after = fine(Micros(quorum.saturating_sub(first)));
            lines.push(format!(
                "Until {} fewer than {needed} regions failed: that took {after} from the start of the first failing check.",
                self.clock_of(quorum)
            ));
        }
        let wanted =
            decision.rule.number("span_needed_us").or_else(|| decision.rule.number("held_needed_us"));
        let spans = decision.rule.number("span_us").or_else(|| decision.rule.number("held_us"));
        if let (Some(wanted), Some(spans)) = (wanted.filter(|wanted| *wanted > 0), spans)
            && let Some((until, last, region)) = self.completed(needed)
        {
            let complete = self.clock_of(until.saturating_sub(spans).saturating_add(wanted));
            lines.push(format!(
                "The failures of {needed} regions had to span {}: no earlier than {complete}. {needed} regions had failing \
                 checks that late when that of {region} came, which ended at {}; then they spanned {}.",
                Micros(wanted),
                self.clock_of(last),
                Micros(spans),
            ));
        }
        if decision.state.reprieve.is_some_and(|reprieve| !reprieve.is_back) {
            lines.push("The server had announced a restart, which was waited for.".to_owned());
        }
        lines
    }

    /// Regions that had to fail.
    fn needed(&self) -> Option<u64> {
        let rule = &self.decision.rule;
        match rule.name.as_str() {
            "fast_quorum" => rule.number("needed"),
            "majority" => rule.number("eligible").map(|eligible| eligible / 2 + 1),
            "single_region" => Some(1),
            _ => None,
        }
    }

    /// Until when so many regions fail, and the check that came last for it: when it ended, and from where.
    fn completed(&self, needed: u64) -> Option<(u64, u64, &str)> {
        let failing = self.decision.regions.iter().filter(|region| region.vote == "fail");
        let mut ends: Vec<_> = failing
            .filter_map(|region| {
                let failed = region.ballots.iter().filter(|ballot| ballot.finding == "failed");
                Some((failed.map(|ballot| ballot.ended_us).max()?, region.region.as_str()))
            })
            .collect();
        ends.sort();
        let (last, region) = *ends.last()?;
        let index = ends.len().checked_sub(usize::try_from(needed).ok()?)?;
        Some((ends.get(index)?.0, last, region))
    }

    fn what_did_not_count(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for region in &self.decision.regions {
            if let Some(why) = region.abstains.as_deref().filter(|_| region.vote == "abstain") {
                let waited = match region.awaited {
                    true => "; it was counted as a voter until it could have checked",
                    false => "; it counted neither way",
                };
                lines.push(format!("{} abstained: {}{waited}.", region.region, abstention(why)));
            }
            for ballot in region.ballots.iter() {
                let Some(why) = ballot.discounted.as_deref() else { continue };
                let ended = self.clock_of(ballot.ended_us);
                lines.push(format!(
                    "The check of {} ({}) that {} at {ended} did not count: {}.",
                    ballot.who(),
                    region.region,
                    ballot.finding.replace('_', " "),
                    abstention(why)
                ));
            }
            if let Some(asked) = region.asked_us {
                lines.push(format!(
                    "{} was asked once more at {}; its answer was not in when the verdict fell.",
                    region.region,
                    self.clock_of(asked)
                ));
            }
        }
        lines
    }

    fn where_the_time_went(&self, paged: Paged) -> Vec<String> {
        let decision = self.decision;
        let Some(first) = decision.first_failure_us else { return Vec::new() };
        let wall = |us: u64| decision.wall(us);
        let steps = [
            ("the first failing check began", Some(wall(first))),
            ("the aggregator heard of a failure and asked all regions", decision.suspected_us.map(wall)),
            ("enough regions failed", decision.quorum_us.map(wall)),
            ("the verdict fell", Some(wall(decision.decided_us))),
            ("the page was sent", paged.sent),
            ("the page was taken", paged.delivered),
        ];
        let mut lines = Vec::new();
        let mut before = wall(first);
        let mut last = before;
        for (what, at) in steps {
            let Some(at) = at else { continue };
            let took = fine(at.since(before));
            let total = fine(at.since(wall(first)));
            lines.push(format!("{}  +{took:>7}  ={total:>7}  {what}", clock(at)));
            before = at.max(before);
            last = before;
        }
        let spent = last.since(wall(first));
        let what = if paged.sent.is_some() {
            "from the first failing check to the page"
        } else {
            "to the verdict; no page about it was sent yet"
        };
        lines.push(match spent <= PROMISE {
            true => format!("{} of the {PROMISE} that a page may take: {what}.", fine(spent)),
            false => format!("{}, more than the {PROMISE} that a page may take, {what}.", fine(spent)),
        });
        lines
    }

    fn clock_of(&self, us: u64) -> String {
        clock(self.decision.wall(us))
    }
}

/// A sentence without what stands in round or square brackets behind a space: agents' names and places of units.
pub(super) fn without_brackets(line: &str) -> String {
    let mut shown = String::new();
    let mut rest = line;
    while let Some((before, inside)) =
        [" [", " ("].iter().filter_map(|open| rest.split_once(open)).min_by_key(|(before, _)| before.len())
    {
        shown.push_str(before);
        rest = inside.split_once([']', ')']).map_or("", |(_, after)| after);
    }
    shown.push_str(rest);
    shown
}

/// Why a region or an agent has no say. A name that is not known here is told as it is.
pub(super) fn abstention(name: &str) -> String {
    match name {
        "silent" => "no agent was heard from for 15 s".to_owned(),
        "outdated" => "its agent did not have the latest configuration yet".to_owned(),
        "sick" => "its agent said that it was not well itself".to_owned(),
        "no_result" => "it had not checked yet".to_owned(),
        "stale" => "its latest check was too old".to_owned(),
        "agents_own_fault" => "its agent could not check, for a reason of its own".to_owned(),
        "tied" => "its agents contradicted each other".to_owned(),
        "outlier" => "its agent contradicted the other regions on most of what it watches".to_owned(),
        "noisy" => "the path from there failed by itself too often to tell".to_owned(),
        other => other.replace('_', " "),
    }
}

/// A moment to the tenth of a second: `18:12:00.4`.
pub fn clock(at: WallMicros) -> String {
    let tenths = at.0.rem_euclid(1_000_000) / 100_000;
    format!("{}.{tenths}", form(at, "%T"))
}

/// A moment in full: `2026-11-22 18:12:00 UTC`.
pub(super) fn date_time(at: WallMicros) -> String {
    form(at, "%F %T UTC")
}

fn form(at: WallMicros, format: &str) -> String {
    jiff::Timestamp::from_microsecond(at.0)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .strftime(format)
        .to_string()
}

/// A span to the tenth of a second.
pub(super) fn fine(span: Micros) -> String {
    format!("{:.1} s", span.as_secs_f64())
}

/// A span as people say it.
pub(super) fn span(span: Micros) -> String {
    if span < Micros::from_secs(120) { fine(span) } else { span.to_string() }
}
