//! Rules and settings as they are written down, and spreads; to and from the engine's own.

use std::collections::{BTreeMap, BTreeSet};

use quorate_proto::{Micros, Region};
use quorate_quorum::{Calibrated, Policy, Quorum, Rule, Sensitivity, Spread};
use serde::{Deserialize, Serialize};

use super::SpreadRecord;

/// A rule by its name, and its numbers by theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleRecord {
    /// `fast_quorum`, `majority`, `single_region`, `some_fail`, `too_few_voters`, `recovered`, `first_votes` or
    /// `too_few_domains`.
    pub name: String,
    /// Counts of regions and attempts; spans end in `_us`.
    pub numbers: BTreeMap<String, u64>,
}

/// The settings that decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRecord {
    /// From one scheduled check to the next.
    pub interval_us: u64,
    /// The deadline around one check.
    pub timeout_us: u64,
    /// `default`, `majority`, `all_but_one`, `all`, or a number.
    pub quorum: String,
    /// How long the evidence must span for the fast rule, where the operator said so.
    pub confirm_for_us: Option<u64>,
    /// `fast`, `balanced` or `strict`.
    pub sensitivity: String,
    /// How long an announced restart may take.
    pub restart_budget_us: u64,
    /// The labels of agents whose values form domains.
    pub domains: BTreeSet<String>,
    /// How many domains of each must fail, where so many are there.
    pub min_domains: u16,
    /// What was found fitting for the paths as they were measured, where that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibrated: Option<CalibratedRecord>,
    /// The revision of the assignments that brought the monitor's form.
    pub revision: u64,
}

/// The numbers that fit the paths of a monitor as they were measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibratedRecord {
    /// How long the evidence must span for the fast rule.
    pub span_us: u64,
    /// Whether enough regions must fail together for that span.
    pub together: bool,
    /// How long more than half must fail together.
    pub majority_span_us: u64,
    /// With so many voters or more.
    pub voters: u16,
    /// Regions that abstain because their paths are noisy.
    pub noisy: BTreeSet<Region>,
}

impl RuleRecord {
    /// Of a rule.
    pub fn of(rule: &Rule) -> Self {
        let n = u64::from;
        let (name, numbers): (_, Vec<(&str, u64)>) = match *rule {
            Rule::FastQuorum { failing, eligible, needed, span, span_needed } => (
                "fast_quorum",
                vec![
                    ("failing", n(failing)),
                    ("eligible", n(eligible)),
                    ("needed", n(needed)),
                    ("span_us", span.0),
                    ("span_needed_us", span_needed.0),
                ],
            ),
            Rule::Majority { failing, eligible, held, held_needed } => (
                "majority",
                vec![
                    ("failing", n(failing)),
                    ("eligible", n(eligible)),
                    ("held_us", held.0),
                    ("held_needed_us", held_needed.0),
                ],
            ),
            Rule::SingleRegion { attempts, span } => {
                ("single_region", vec![("attempts", n(attempts)), ("span_us", span.0)])
            }
            Rule::SomeFail { failing, eligible } => {
                ("some_fail", vec![("failing", n(failing)), ("eligible", n(eligible))])
            }
            Rule::TooFewVoters { eligible, configured } => {
                ("too_few_voters", vec![("eligible", n(eligible)), ("configured", n(configured))])
            }
            Rule::Recovered { passing, eligible } => {
                ("recovered", vec![("passing", n(passing)), ("eligible", n(eligible))])
            }
            Rule::FirstVotes { passing, eligible } => {
                ("first_votes", vec![("passing", n(passing)), ("eligible", n(eligible))])
            }
            Rule::TooFewDomains { failing, eligible, domains, domains_needed } => (
                "too_few_domains",
                vec![
                    ("failing", n(failing)),
                    ("eligible", n(eligible)),
                    ("domains", n(domains)),
                    ("domains_needed", n(domains_needed)),
                ],
            ),
        };
        let numbers = numbers.into_iter().map(|(key, value)| (key.to_owned(), value));
        Self { name: name.to_owned(), numbers: numbers.collect() }
    }

    /// One of its numbers.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.numbers.get(name).copied()
    }
}

impl SpreadRecord {
    pub(super) fn of(spread: &Spread) -> Self {
        let Spread { label, failing, there, needed } = spread.clone();
        Self { label, failing, there, needed }
    }

    pub(super) fn spread(&self) -> Spread {
        let Self { label, failing, there, needed } = self.clone();
        Spread { label, failing, there, needed }
    }
}

impl CalibratedRecord {
    /// Of what was found fitting.
    pub fn of(calibrated: &Calibrated) -> Self {
        let Calibrated { span, together, majority_span, voters, noisy } = calibrated.clone();
        Self { span_us: span.0, together, majority_span_us: majority_span.0, voters, noisy }
    }

    /// What was found fitting.
    pub fn calibrated(&self) -> Calibrated {
        let Self { span_us, together, majority_span_us, voters, noisy } = self.clone();
        Calibrated { span: Micros(span_us), together, majority_span: Micros(majority_span_us), voters, noisy }
    }
}

impl PolicyRecord {
    pub(super) fn of(policy: &Policy) -> Self {
        let quorum = match policy.quorum {
            Quorum::Default => "default".to_owned(),
            Quorum::Majority => "majority".to_owned(),
            Quorum::AllButOne => "all_but_one".to_owned(),
            Quorum::All => "all".to_owned(),
            Quorum::AtLeast(number) => number.to_string(),
        };
        let sensitivity = match policy.sensitivity {
            Sensitivity::Fast => "fast",
            Sensitivity::Balanced => "balanced",
            Sensitivity::Strict => "strict",
        };
        Self {
            interval_us: policy.interval.0,
            timeout_us: policy.timeout.0,
            quorum,
            confirm_for_us: policy.confirm_for.map(|span| span.0),
            sensitivity: sensitivity.to_owned(),
            restart_budget_us: policy.restart_budget.0,
            domains: policy.domains.clone(),
            min_domains: policy.min_domains,
            calibrated: policy.calibrated.as_ref().map(CalibratedRecord::of),
            revision: policy.revision,
        }
    }

    /// The policy for some regions. None where a word is none of ours.
    pub fn policy(&self, regions: BTreeSet<Region>) -> Option<Policy> {
        let quorum = match self.quorum.as_str() {
            "default" => Quorum::Default,
            "majority" => Quorum::Majority,
            "all_but_one" => Quorum::AllButOne,
            "all" => Quorum::All,
            number => Quorum::AtLeast(number.parse().ok()?),
        };
        let sensitivity = match self.sensitivity.as_str() {
            "fast" => Sensitivity::Fast,
            "balanced" => Sensitivity::Balanced,
            "strict" => Sensitivity::Strict,
            _ => return None,
        };
        Some(Policy {
            quorum,
            confirm_for: self.confirm_for_us.map(Micros),
            sensitivity,
            restart_budget: Micros(self.restart_budget_us),
            domains: self.domains.clone(),
            min_domains: self.min_domains,
            calibrated: self.calibrated.as_ref().map(CalibratedRecord::calibrated),
            revision: self.revision,
            ..Policy::new(regions, Micros(self.interval_us), Micros(self.timeout_us))
        })
    }
}
