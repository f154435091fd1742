//! All that is known of one endpoint after one look at it.

use quorate_proto::{
    FailureKind, Micros, MonitorSpec, Outcome, Phase, canary::IdleFinding, cause::Cause, outcome::RoundTrips,
};

use super::{
    Args, args,
    checklist::{self, Item},
    shown,
    sla::Sla,
    url_hint,
};
use crate::{
    clock,
    probe::{
        Checked, Prober,
        conformance::{self, Findings, Plain, Point, Verdict, Wanted},
    },
};

/// What mends name where they cannot know better.
const EXAMPLE_URL: &str = "wss://chat.example.org/ws";
const EXAMPLE_HOST: &str = "chat.example.org";
const EXAMPLE_PORT: u16 = 443;

/// All that is known.
#[derive(Clone, Debug)]
pub(super) struct Diagnosis {
    /// The URL, without a password.
    pub(super) url: String,
    /// The URL that was probably meant, where this one is none.
    pub(super) meant: Option<String>,
    pub(super) checked: Checked,
    /// Whether the check alone was wanted.
    pub(super) is_quick: bool,
    /// What a round trip may take, where that was said.
    pub(super) sla: Option<Sla>,
    /// What the extra connections found; none where none were made.
    pub(super) findings: Option<Findings>,
    /// The answer to the request without the upgrade's headers, where the upgrade was refused.
    pub(super) plain: Option<Plain>,
    /// What the search for the idle timeout found, where it was made.
    pub(super) idle: Option<Idle>,
}

/// What a search for the idle timeout found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Idle {
    /// It came to its end.
    Found(IdleFinding),
    /// It was broken off: a connection survived so long, and one was cut after so long.
    Interrupted { survived: Micros, cut: Option<Micros> },
}

impl Diagnosis {
    pub(super) fn new(args: &Args, spec: &MonitorSpec, checked: Checked) -> Self {
        let is_odd =
            matches!(&checked.outcome, Outcome::Failed(failure) if failure.kind == FailureKind::AgentFault);
        Self {
            url: shown(&spec.url),
            meant: url_hint::meant(&spec.url).filter(|_| is_odd).map(|url| shown(&url)),
            checked,
            is_quick: args.quick,
            sla: args.sla,
            findings: None,
            plain: None,
            idle: None,
        }
    }

    /// Makes the extra connections that are wanted and make sense.
    pub(super) async fn look_further(&mut self, args: &Args, prober: &Prober, spec: &MonitorSpec) {
        if self.is_refused() && !args.quick {
            self.plain = prober.without_upgrade(&self.same_address(spec)).await;
        }
        if !self.is_upgraded() || (args.quick && args.listen.is_none()) {
            return;
        }
        let now_ms = clock::wall().0 / 1_000;
        let message = args::first_text(spec, &format!("{now_ms:x}"), now_ms);
        let wanted = Wanted { conformance: !args.quick, listen: args.listen, message };
        self.findings = Some(prober.conformance(&self.same_address(spec), &wanted).await);
    }

    /// The specification for the address that was found: every connection of one look goes to the same server.
    fn same_address(&self, spec: &MonitorSpec) -> MonitorSpec {
        let mut spec = spec.clone();
        if spec.connect_to.is_none()
            && spec.proxy.is_none()
            && let (Some(address), Ok(url)) = (self.checked.address, spec.url.parse::<url::Url>())
            && let Some(port) = url.port_or_known_default()
        {
            spec.connect_to = Some(std::net::SocketAddr::new(address, port).to_string());
        }
        spec
    }

    /// Whether the server took the upgrade.
    pub(super) fn is_upgraded(&self) -> bool {
        match &self.checked.outcome {
            Outcome::Passed => true,
            Outcome::Failed(failure) => failure.phase > Phase::Upgrade,
        }
    }

    fn is_refused(&self) -> bool {
        matches!(&self.checked.outcome, Outcome::Failed(failure) if matches!(failure.kind, FailureKind::UpgradeStatus(_)))
    }

    /// Whether the answer to the upgrade is the answer to any request. None where that was not asked.
    pub(super) fn answers_as_to_a_page(&self) -> Option<bool> {
        let Outcome::Failed(failure) = &self.checked.outcome else { return None };
        let (plain, refusal) = (self.plain.as_ref()?, failure.refusal.as_ref()?);
        Some(plain.status == refusal.status && plain.body == refusal.body)
    }

    /// Whether whoever answered seems not to have seen the headers of the upgrade: it answers as to any request, and not
    /// because there is nobody to ask.
    pub(super) fn upgrade_was_not_seen(&self) -> bool {
        let is_gateways =
            self.plain.as_ref().is_some_and(|plain| matches!(plain.status, 500 | 502..=504 | 520..));
        self.answers_as_to_a_page() == Some(true) && !is_gateways
    }

    /// The rules of the standard, and how the server stands with each.
    pub(super) fn points(&self) -> Vec<Point> {
        let mut points = conformance::of_check(&self.checked);
        points.extend(self.findings.iter().flat_map(|findings| findings.points.clone()));
        points
    }

    /// The mend of a failure, with this URL in the place of the example's.
    pub(super) fn mend(&self, cause: &Cause) -> Vec<String> {
        let url = self.url.parse::<url::Url>().ok();
        let port = url.as_ref().and_then(url::Url::port_or_known_default).unwrap_or(EXAMPLE_PORT);
        let host = url.as_ref().and_then(url::Url::host_str).unwrap_or(EXAMPLE_HOST);
        let fitted = |line: &&str| {
            let line = line.replace(EXAMPLE_URL, &self.url);
            let line = line.replace(&format!("{EXAMPLE_HOST}:{EXAMPLE_PORT}"), &format!("{host}:{port}"));
            let line = line.replace(EXAMPLE_HOST, host);
            // On the server itself: where a proxy answered, the port behind it is not known.
            line.replace(&format!("sport = :{EXAMPLE_PORT}"), &format!("sport = :{port}"))
        };
        cause.mend.iter().map(fitted).collect()
    }

    /// The checklist for running it in earnest.
    pub(super) fn checklist(&self) -> Vec<Item> {
        checklist::of(self)
    }

    /// Whether a rule of the standard is broken.
    pub(super) fn breaks_rules(&self) -> bool {
        self.points().iter().any(|point| point.verdict == Verdict::Fail)
    }

    /// The round trips of the check: all of them, or the one.
    pub(super) fn round_trips(&self) -> Option<RoundTrips> {
        let timings = &self.checked.timings;
        timings.samples.or_else(|| RoundTrips::of(&[timings.round_trip?]))
    }
}
