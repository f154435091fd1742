//! What must stand before a WebSocket service is left alone: ten points, each with how it stands as far as that can be seen
//! from outside, and what would tell the rest. Pure.

use quorate_proto::{FailureKind, Micros, Outcome, canary::IdleFinding};

use super::{
    diagnosis::{Diagnosis, Idle},
    sla::Sla,
};
use crate::probe::conformance::{Heard, Verdict};

/// Heartbeats come this often where people do not say otherwise: an idle timeout below this cuts connections in between.
const HEARTBEAT_USUAL: Micros = Micros::from_secs(30);
/// The longest pause between heartbeats that is recommended.
const HEARTBEAT_LONGEST: Micros = Micros::from_secs(60);

/// Who listened for less has nothing to tell.
const LISTEN_SHORT: Micros = Micros::from_secs(5);

/// The point that a failed check has told of already.
pub(super) const EXTERNAL_CHECK: &str = "external_check";

/// One point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Stable, for JSON.
    pub(super) name: &'static str,
    /// What must stand.
    pub(super) text: &'static str,
    /// How it stands.
    pub(super) verdict: Verdict,
    /// What was seen.
    pub(super) found: String,
    /// What would tell, or what to do; empty where nothing is left to do.
    pub(super) then: &'static str,
}

/// The list.
pub(super) fn of(diagnosis: &Diagnosis) -> Vec<Item> {
    vec![
        upgrade(diagnosis),
        round_trip(diagnosis),
        item(
            "active_connections",
            "Active connections are counted, with an alert on a drop",
            (Verdict::Unknown, String::new()),
            "The server's own gauge tells; Quorate reads it where it is exposed.",
        ),
        ended(diagnosis, "closes_1006", "Connections do not end without a close frame (1006)", 1006),
        ended(diagnosis, "closes_1011", "The server does not close with 1011", 1011),
        item(
            "reconnects",
            "A client reconnects less than once a minute",
            (Verdict::Unknown, String::new()),
            "A canary counts its own (`canary = true`); the server's log those of all clients.",
        ),
        heartbeat(diagnosis),
        passes_upgrade(diagnosis),
        idle(diagnosis.idle.as_ref()),
        item(
            "runbook",
            "There is a runbook for each failure",
            (Verdict::Unknown, String::new()),
            "The causes and mends above are a beginning; alerts carry them.",
        ),
    ]
}

fn item(
    name: &'static str,
    text: &'static str,
    (verdict, found): (Verdict, String),
    then: &'static str,
) -> Item {
    Item { name, text, verdict, found, then }
}

fn upgrade(diagnosis: &Diagnosis) -> Item {
    let found = match (diagnosis.is_upgraded(), diagnosis.checked.facts.status) {
        (true, _) => (Verdict::Pass, "once, from here".to_owned()),
        (false, Some(status)) => (Verdict::Fail, format!("it is answered with {status}")),
        (false, None) if is_own(diagnosis) => (Verdict::Unknown, "it was not tried".to_owned()),
        (false, None) => (Verdict::Fail, "it did not come to an answer".to_owned()),
    };
    item(
        EXTERNAL_CHECK,
        "A check from outside finds 101, every 60 s",
        found,
        "A monitor does it from several regions: `quorate up --url …`.",
    )
}

fn is_own(diagnosis: &Diagnosis) -> bool {
    matches!(&diagnosis.checked.outcome, Outcome::Failed(failure) if failure.kind.is_agents_own())
}

fn round_trip(diagnosis: &Diagnosis) -> Item {
    let Some(trips) = diagnosis.round_trips() else {
        let found = (Verdict::Unknown, "none was made".to_owned());
        return item("round_trip", TRIP, found, "Send what the application answers: --send, --expect-json.");
    };
    let measured = match trips.count {
        1 => format!("{}", trips.max),
        count => format!("p50 {}, max {} of {count}", trips.p50, trips.max),
    };
    let (found, then) = match diagnosis.sla {
        Some(sla) if trips.max <= sla.max => ((Verdict::Pass, format!("{measured}: within {sla}")), ""),
        Some(sla) if trips.p50 <= sla.max => {
            let found = (Verdict::Warn, format!("{measured}: the slowest is above {sla}"));
            (found, "More samples tell whether that is the rule: --samples 50.")
        }
        Some(sla) => {
            let found = (Verdict::Fail, format!("{measured}: above {sla}"));
            (found, "Compare with the TCP handshake: what is above it is the server's own time.")
        }
        None => match Sla::usual().find(|usual| trips.max <= usual.max) {
            Some(usual) => {
                let found = (Verdict::Pass, format!("{measured}: enough for {usual}"));
                (found, "Say what it is for with --sla.")
            }
            None => (
                (Verdict::Warn, format!("{measured}: too slow even for a chat (500ms)")),
                "Say what it is for with --sla.",
            ),
        },
    };
    item("round_trip", TRIP, found, then)
}

const TRIP: &str = "A round trip is within its SLA";

/// Ends of a kind that must be rare. Those of all clients are not seen from here.
fn ended(diagnosis: &Diagnosis, name: &'static str, text: &'static str, code: u16) -> Item {
    let failure = match &diagnosis.checked.outcome {
        Outcome::Failed(failure) if diagnosis.is_upgraded() => Some(&failure.kind),
        Outcome::Failed(_) | Outcome::Passed => None,
    };
    let seen = failure.is_some_and(|kind| {
        let is_cut = matches!(kind, FailureKind::Dropped | FailureKind::ConnectionReset);
        let with = if let FailureKind::Closed { code, .. } = kind { Some(*code) } else { None };
        with == Some(code) || (is_cut && code == 1006)
    });
    let heard = diagnosis.findings.as_ref().and_then(|findings| findings.heard.as_ref()?.ended);
    // A server that pings and gets no answer is right to give up.
    let pinged = diagnosis
        .findings
        .as_ref()
        .and_then(|findings| findings.heard.as_ref())
        .is_some_and(|heard| heard.pings > 0);
    let found = match (seen, heard) {
        (true, _) => (Verdict::Fail, "this check ended so".to_owned()),
        (false, Some((after, with))) if with == code && !pinged => {
            (Verdict::Fail, format!("a silent connection ended so after {after}"))
        }
        (false, _) if !diagnosis.is_upgraded() => (Verdict::Unknown, String::new()),
        (false, _) => (Verdict::Unknown, "none of the connections from here did".to_owned()),
    };
    item(name, text, found, "The server's count of close codes tells; a canary's, from outside.")
}

fn heartbeat(diagnosis: &Diagnosis) -> Item {
    let heard = diagnosis.findings.as_ref().and_then(|findings| findings.heard.as_ref());
    let (found, then) = match heard {
        None => ((Verdict::Unknown, String::new()), "Listen for it: --listen 60s."),
        Some(Heard { fault: Some(why), .. }) => {
            ((Verdict::Unknown, why.clone()), "Listen for it: --listen 60s.")
        }
        Some(heard) => judge(heard),
    };
    item("heartbeat", "The server sends heartbeats and notices silent drops", found, then)
}

fn judge(heard: &Heard) -> ((Verdict, String), &'static str) {
    let span = heard.listened;
    match (heard.first_ping, heard.ended, heard.first_message) {
        (Some(ping), Some((after, code)), _) => {
            let found = format!("pings after {ping}, and gave a silent client up after {after}, with {code}");
            ((Verdict::Pass, found), "")
        }
        (Some(ping), None, _) => (
            (Verdict::Pass, format!("pings after {ping}; it had not given a silent client up after {span}")),
            "Whether it does: --listen with three times its pause.",
        ),
        (None, Some((after, code)), _) => (
            (
                Verdict::Warn,
                format!("it pinged nobody, and ended a silent connection after {after}, with {code}"),
            ),
            "Have it send pings; clients must send heartbeats meanwhile.",
        ),
        (None, None, Some(message)) => (
            (Verdict::Unknown, format!("no ping within {span}; messages came by themselves after {message}")),
            "They may be its heartbeat. Listen longer: --listen 60s.",
        ),
        (None, None, None) if span < LISTEN_SHORT => {
            ((Verdict::Unknown, String::new()), "Listen for it: --listen 60s.")
        }
        (None, None, None) if span < HEARTBEAT_LONGEST => {
            ((Verdict::Unknown, format!("no ping within {span}")), "Listen longer: --listen 60s.")
        }
        (None, None, None) => (
            (Verdict::Warn, format!("no ping within {span}")),
            "Have it send pings every 30 s, and give up who does not answer for 10 s.",
        ),
    }
}

fn passes_upgrade(diagnosis: &Diagnosis) -> Item {
    let invalid = matches!(
        &diagnosis.checked.outcome,
        Outcome::Failed(failure) if matches!(failure.kind, FailureKind::UpgradeInvalid(_))
    );
    let (found, then) = match (diagnosis.is_upgraded(), diagnosis.checked.facts.status) {
        (true, _) => ((Verdict::Pass, String::new()), ""),
        (false, _) if invalid => ((Verdict::Fail, "what came back is no right answer".to_owned()), MEND),
        (false, Some(_)) if diagnosis.answers_as_to_a_page() == Some(true) => {
            ((Verdict::Fail, "the answer is the same as without the upgrade's headers".to_owned()), MEND)
        }
        (false, Some(status @ (400 | 426 | 505))) => {
            ((Verdict::Fail, format!("{status} says that the server did not get it")), MEND)
        }
        (false, _) => ((Verdict::Unknown, String::new()), "It takes an upgrade that is not refused."),
    };
    item("proxy_passes_upgrade", "Proxies pass Upgrade and Connection on", found, then)
}

const MEND: &str = "The mend above says how.";

fn idle(idle: Option<&Idle>) -> Item {
    let (found, then) = match idle {
        None => ((Verdict::Unknown, String::new()), "Find out with --find-idle-timeout; it takes minutes."),
        Some(Idle::Found(IdleFinding::NotWithin(max))) => {
            ((Verdict::Pass, format!("nothing was cut within {max}")), "")
        }
        Some(Idle::Found(IdleFinding::Failed(failure))) => {
            ((Verdict::Unknown, failure.detail.clone()), "Try again when the server is well.")
        }
        Some(Idle::Found(IdleFinding::Cut { cut, .. })) => (cut_after(*cut), HEARTBEATS),
        Some(Idle::Interrupted { cut: Some(cut), .. }) => (cut_after(*cut), HEARTBEATS),
        Some(Idle::Interrupted { survived, cut: None, .. }) if *survived > HEARTBEAT_LONGEST => {
            ((Verdict::Pass, format!("nothing was cut within {survived}, then it was broken off")), "")
        }
        Some(Idle::Interrupted { survived, cut: None, .. }) => {
            let found = format!("nothing was cut within {survived}, then it was broken off");
            ((Verdict::Unknown, found), "Let it run longer.")
        }
    };
    item("idle_timeout", "The load balancer's timeout is longer than the keepalive", found, then)
}

const HEARTBEATS: &str = "Heartbeats must come sooner than that, from either side, or the timeout be longer.";

fn cut_after(cut: Micros) -> (Verdict, String) {
    let found = format!("an idle connection is cut after {cut}");
    match cut {
        cut if cut <= HEARTBEAT_USUAL => {
            (Verdict::Fail, format!("{found}: below the usual keepalive of 30s"))
        }
        cut if cut <= HEARTBEAT_LONGEST => (Verdict::Warn, found),
        _ => (Verdict::Pass, found),
    }
}
