//! Every behaviour of a server, met on a real socket.

mod behaviours;
mod conformance;
mod egress;
mod network;
mod server;
mod steps;
mod ways;

use quorate_proto::{Failure, FailureKind, Micros, MonitorSpec, Outcome, Phase};

use super::{Checked, Nameservers, Options, Prober};
use crate::egress::Egress;

/// A monitor that asks for nothing but the upgrade.
pub(crate) fn spec(url: &str) -> MonitorSpec {
    MonitorSpec {
        steps: Vec::new(),
        ..MonitorSpec::new("m".parse().unwrap(), url, Micros::from_secs(60), Micros::from_secs(10))
    }
}

/// Long enough for anything on loopback, short enough to wait for in a test.
const SHORT: Micros = Micros::from_millis(800);

/// How much later than its deadline a check may end here: this machine may be busy.
const SLACK: Micros = Micros::from_secs(4);

fn prober_with(egress: Egress, nameservers: Nameservers) -> Prober {
    let region = Some("eu-west".parse().unwrap());
    Prober::new(Options { egress, region, nameservers, proxy: None }).unwrap()
}

pub(crate) fn prober() -> Prober {
    prober_with(Egress::Private, Nameservers::System)
}

/// Makes a check, and holds it to its deadline.
async fn check(prober: &Prober, spec: &MonitorSpec) -> Checked {
    let checked = prober.check(spec, None).await;
    let total = checked.timings.total;
    assert!(total <= spec.timeout + SLACK, "{} took {total}: {checked:?}", spec.url);
    assert_eq!(total, checked.ended.since(checked.started));
    checked
}

/// Checks may be spawned on a runtime of many threads too.
#[test]
fn a_check_can_move_between_threads() {
    fn movable(_: impl Send) {}
    movable(prober().check(&spec("ws://127.0.0.1/"), None));
}

fn failure(checked: &Checked) -> &Failure {
    match &checked.outcome {
        Outcome::Passed => panic!("passed: {checked:?}"),
        Outcome::Failed(failure) => failure,
    }
}

/// Holds a failure to its kind, its phase, and words that its detail must have.
fn assert_failed(name: &str, checked: &Checked, kind: &FailureKind, phase: Phase, words: &str) {
    let failure = failure(checked);
    assert_eq!((&failure.kind, failure.phase), (kind, phase), "{name}: {}", failure.detail);
    assert!(failure.detail.contains(words), "{name}: {:?} lacks {words:?}", failure.detail);
    let timing = match phase {
        Phase::Dns => checked.timings.dns,
        Phase::Tcp => checked.timings.tcp,
        Phase::Tls => checked.timings.tls,
        Phase::Upgrade => checked.timings.upgrade,
        Phase::Exchange => checked.timings.exchange,
        Phase::Close => checked.timings.close,
    };
    assert!(timing.is_some() || *kind == FailureKind::AgentFault, "{name}: the failed phase has no time");
    assert_eq!(checked.timings.close, None, "{name}");
}
