//! The rules of the opening and the closing handshake, judged from a check that was made anyway. Pure.

use quorate_proto::{FailureKind, Outcome, Phase, outcome::UpgradeFault};

use super::{Point, Rule, Verdict};
use crate::probe::Checked;

/// In the order in which an answer is judged.
const OPENING: [(Option<UpgradeFault>, &Rule); 6] = [
    (Some(UpgradeFault::HttpVersion), &HTTP_1_1),
    (Some(UpgradeFault::UpgradeHeader), &UPGRADE),
    (Some(UpgradeFault::ConnectionHeader), &CONNECTION),
    (Some(UpgradeFault::AcceptMissing), &ACCEPT),
    (Some(UpgradeFault::Extension), &EXTENSION),
    (Some(UpgradeFault::Subprotocol), &SUBPROTOCOL),
];

const STATUS: Rule = Rule { name: "status_101", section: "4.2.2", text: "the upgrade is answered with 101" };
const HTTP_1_1: Rule = Rule { name: "http_1_1", section: "4.2.2", text: "the answer is HTTP/1.1" };
const UPGRADE: Rule = Rule { name: "upgrade_header", section: "4.2.2", text: "it has Upgrade: websocket" };
const CONNECTION: Rule =
    Rule { name: "connection_header", section: "4.2.2", text: "it has Connection: Upgrade" };
const ACCEPT: Rule =
    Rule { name: "accept", section: "4.2.2", text: "Sec-WebSocket-Accept is the digest of the key" };
const EXTENSION: Rule =
    Rule { name: "extension_unasked", section: "4.2.2", text: "no extension that was not offered" };
const SUBPROTOCOL: Rule =
    Rule { name: "subprotocol", section: "4.2.2", text: "a subprotocol that was offered, or none" };
const CLOSE: Rule =
    Rule { name: "close_answered", section: "5.5.1", text: "a close frame is answered with one" };

/// What the check says of the handshakes.
pub fn of_check(checked: &Checked) -> Vec<Point> {
    let mut points = opening(checked);
    points.push(closing(checked));
    points
}

fn opening(checked: &Checked) -> Vec<Point> {
    let (failure, phase) = match &checked.outcome {
        Outcome::Passed => (None, Phase::Close),
        Outcome::Failed(failure) => (Some(failure), failure.phase),
    };
    let rules = OPENING.iter().map(|(_, rule)| *rule);
    if phase > Phase::Upgrade {
        let found = checked.facts.subprotocol.as_ref().map_or("none", |name| name.as_str());
        let all = [&STATUS].into_iter().chain(rules);
        return all
            .map(|rule| rule.point(Verdict::Pass, if rule == &SUBPROTOCOL { found } else { "" }))
            .collect();
    }
    let fault = failure.and_then(|failure| {
        let FailureKind::UpgradeInvalid(fault) = &failure.kind else { return None };
        Some((normal(*fault), failure.detail.clone()))
    });
    let status = match (checked.facts.status, &fault) {
        (Some(101), _) => STATUS.point(Verdict::Pass, ""),
        (Some(status), _) => STATUS.point(Verdict::Fail, format!("it is answered with {status}")),
        (None, Some((_, detail))) => STATUS.point(Verdict::Fail, detail.clone()),
        (None, None) => STATUS.point(Verdict::Unknown, "it did not come to an answer"),
    };
    // What is judged before the fault is well, and what comes behind it was not looked at.
    let at = fault.as_ref().and_then(|(fault, _)| OPENING.iter().position(|(of, _)| *of == Some(*fault)));
    let others = rules.enumerate().map(|(index, rule)| match (at, &fault) {
        (Some(at), _) if index < at => rule.point(Verdict::Pass, ""),
        (Some(at), Some((_, detail))) if index == at => rule.point(Verdict::Fail, detail.clone()),
        _ => rule.point(Verdict::Unknown, ""),
    });
    [status].into_iter().chain(others).collect()
}

/// A wrong digest breaks the same rule as none.
fn normal(fault: UpgradeFault) -> UpgradeFault {
    if fault == UpgradeFault::AcceptMismatch { UpgradeFault::AcceptMissing } else { fault }
}

fn closing(checked: &Checked) -> Point {
    match (checked.timings.close, checked.facts.close_code) {
        (None, _) => CLOSE.point(Verdict::Unknown, ""),
        (Some(_), Some(1000)) => CLOSE.point(Verdict::Pass, ""),
        (Some(_), Some(1005)) => CLOSE.point(Verdict::Pass, "without a code"),
        (Some(_), Some(code)) => CLOSE.point(Verdict::Warn, format!("with {code} to our 1000")),
        (Some(took), None) => CLOSE.point(Verdict::Fail, format!("none came within {took}")),
    }
}
