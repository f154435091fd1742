//! `--set key=value`: what would be if a monitor's rules were others. One reader for `quorate policy` and `quorate
//! replay`.

use quorate_proto::{Micros, limits};
use quorate_quorum::{Policy, PolicyError, Quorum, Sensitivity};

use crate::config::{nearest, spans};

/// The keys that may be set, with what is wanted of each.
const KEYS: [(&str, &str); 6] = [
    ("quorum", "\"majority\", \"all-but-one\", \"all\" or a number of regions, such as quorum=3"),
    ("confirm_for", "a span, such as confirm_for=30s"),
    ("sensitivity", "fast, balanced or strict"),
    ("interval", "a span, such as interval=10s"),
    ("timeout", "a span, such as timeout=5s"),
    ("restart_budget", "a span, such as restart_budget=60s"),
];

/// One rule that is other than configured.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Set {
    Quorum(Quorum),
    ConfirmFor(Micros),
    Sensitivity(Sensitivity),
    Interval(Micros),
    Timeout(Micros),
    RestartBudget(Micros),
}

/// Why something cannot be set.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum WhatIfError {
    /// It has no `=`.
    #[error("--set {0}: wanted key=value, such as --set quorum=3")]
    NoValue(String),
    /// No such key.
    #[error("--set {key}: wanted one of {known}{meant}")]
    UnknownKey {
        /// What was said.
        key: String,
        /// What there is.
        known: String,
        /// The one that was probably meant, in words.
        meant: String,
    },
    /// Not a value of that key.
    #[error("--set {key}={value}: wanted {wanted}")]
    Value {
        /// The key.
        key: &'static str,
        /// What was said.
        value: String,
        /// What may be said.
        wanted: &'static str,
    },
    /// The rules contradict each other.
    #[error("{monitor} under what is set: {error}")]
    Policy {
        /// Whose.
        monitor: String,
        /// What is wrong.
        error: PolicyError,
    },
    /// Checks would overlap.
    #[error(
        "{monitor} under what is set: a timeout of {timeout} does not fit into an interval of {interval}; set both"
    )]
    TimeoutTooLong {
        /// Whose.
        monitor: String,
        /// What it would be.
        timeout: Micros,
        /// What it would be.
        interval: Micros,
    },
    /// What is past was checked as often as it was.
    #[error(
        "--set {0}: the past was checked as it was; `quorate policy --set {0}=…` says what to expect of another"
    )]
    Past(&'static str),
}

/// Reads all of them; a later one outweighs an earlier.
pub(super) fn read(texts: &[String]) -> Result<Vec<Set>, WhatIfError> {
    texts.iter().map(|text| one(text)).collect()
}

fn one(text: &str) -> Result<Set, WhatIfError> {
    let (key, value) = text.split_once('=').ok_or_else(|| WhatIfError::NoValue(text.to_owned()))?;
    let (key, value) = (key.trim(), value.trim().trim_matches('"'));
    let Some((known, wanted)) = KEYS.iter().copied().find(|(known, _)| *known == key.replace('-', "_"))
    else {
        let names = KEYS.map(|(name, _)| name);
        let meant = nearest(key, names).map_or_else(String::new, |name| format!("; did you mean {name}?"));
        return Err(WhatIfError::UnknownKey { key: key.to_owned(), known: names.join(", "), meant });
    };
    let span = |least: Micros, most: Micros| spans::parse(value).filter(|span| (least..=most).contains(span));
    let set = match known {
        "quorum" => quorum(value).map(Set::Quorum),
        "confirm_for" => span(Micros::ZERO, quorate_quorum::CONFIRM_FOR_MAX).map(Set::ConfirmFor),
        "sensitivity" => sensitivity(value).map(Set::Sensitivity),
        "interval" => span(limits::INTERVAL_MIN, limits::INTERVAL_MAX).map(Set::Interval),
        "timeout" => span(limits::TIMEOUT_MIN, limits::TIMEOUT_MAX).map(Set::Timeout),
        _ => span(Micros::ZERO, quorate_quorum::CONFIRM_FOR_MAX).map(Set::RestartBudget),
    };
    set.ok_or(WhatIfError::Value { key: known, value: value.to_owned(), wanted })
}

fn quorum(value: &str) -> Option<Quorum> {
    match value {
        "majority" => Some(Quorum::Majority),
        "all-but-one" => Some(Quorum::AllButOne),
        "all" => Some(Quorum::All),
        number => number.parse().ok().filter(|number| *number > 0).map(Quorum::AtLeast),
    }
}

fn sensitivity(value: &str) -> Option<Sensitivity> {
    match value {
        "fast" => Some(Sensitivity::Fast),
        "balanced" => Some(Sensitivity::Balanced),
        "strict" => Some(Sensitivity::Strict),
        _ => None,
    }
}

/// A monitor's rules with what is set. What was measured under its own does not apply to others.
pub(super) fn changed(monitor: &str, policy: &Policy, sets: &[Set]) -> Result<Policy, WhatIfError> {
    let mut policy = Policy { calibrated: None, ..policy.clone() };
    let mut says_timeout = false;
    for set in sets {
        match *set {
            Set::Quorum(quorum) => policy.quorum = quorum,
            Set::ConfirmFor(span) => policy.confirm_for = Some(span),
            Set::Sensitivity(sensitivity) => policy.sensitivity = sensitivity,
            Set::Interval(interval) => policy.interval = interval,
            Set::Timeout(timeout) => (policy.timeout, says_timeout) = (timeout, true),
            Set::RestartBudget(budget) => policy.restart_budget = budget,
        }
    }
    // As in a configuration, a short interval brings a short timeout along.
    if !says_timeout {
        policy.timeout = policy.timeout.min(policy.interval);
    }
    let (timeout, interval) = (policy.timeout, policy.interval);
    if timeout > interval {
        return Err(WhatIfError::TimeoutTooLong { monitor: monitor.to_owned(), timeout, interval });
    }
    match policy.validate().into_iter().next() {
        Some(error) => Err(WhatIfError::Policy { monitor: monitor.to_owned(), error }),
        None => Ok(policy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        match one(text) {
            Ok(set) => format!("{set:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_set_is_read_strictly() {
        for (text, wanted) in [
            ("quorum=3", "Quorum(AtLeast(3))"),
            ("quorum=all-but-one", "Quorum(AllButOne)"),
            ("confirm-for=30s", "ConfirmFor(Micros(30000000))"),
            ("sensitivity=\"fast\"", "Sensitivity(Fast)"),
            ("interval=10s", "Interval(Micros(10000000))"),
            ("quorum", "--set quorum: wanted key=value, such as --set quorum=3"),
            (
                "quorom=3",
                "--set quorom: wanted one of quorum, confirm_for, sensitivity, interval, timeout, restart_budget; did you mean quorum?",
            ),
            ("confirm_for=30", "--set confirm_for=30: wanted a span, such as confirm_for=30s"),
            ("sensitivity=slow", "--set sensitivity=slow: wanted fast, balanced or strict"),
            (
                "quorum=0",
                "--set quorum=0: wanted \"majority\", \"all-but-one\", \"all\" or a number of regions, such as quorum=3",
            ),
        ] {
            assert_eq!(told(text), wanted);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let regions = ["a", "b", "c"].map(|name| name.parse().unwrap()).into();
        let policy = Policy::new(regions, Micros::from_secs(30), Micros::from_secs(10));
        let with = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
            changed("chat", &policy, &read(&texts).unwrap())
        };
        assert_eq!(with(&["interval=5s"]).unwrap().timeout, Micros::from_secs(5));
        assert_eq!(
            with(&["quorum=4"]).unwrap_err().to_string(),
            "chat under what is set: a quorum of 4 cannot be reached by 3 regions"
        );
        assert!(with(&["interval=5s", "timeout=9s"]).unwrap_err().to_string().contains("set both"));
    }
}
