//! What was found, as one JSON object for machines. `deploy/check.md` tells of it; fields are only ever added.

use std::borrow::Cow;

use quorate_proto::{
    Failure, FailureKind, Micros, Timings, WallMicros,
    canary::IdleFinding,
    cause,
    outcome::{AddressResult, RoundTrips},
};
use serde::Serialize;

use super::{
    checklist::Item,
    diagnosis::{Diagnosis, Idle},
};
use crate::probe::{
    Checked, TlsSeen,
    conformance::{Heard, Point},
};

/// The object that `check --json` prints.
#[derive(Serialize)]
struct Report<'a> {
    /// The URL, without a password.
    url: &'a str,
    /// `passed`, `failed`, or `not_tried` where the fault is this host's own.
    outcome: &'static str,
    /// When the check started (RFC 3339).
    started_at: Option<String>,
    /// The address that was dialled; null where it did not come to that.
    address: Option<String>,
    /// Every address of the host, in the order in which they are tried.
    resolved: Vec<String>,
    /// The proxy that the connection went through; null where there is none. Then the addresses are its own.
    proxy: Option<&'a str>,
    /// What each address found, where they are checked on their own; otherwise empty.
    addresses: Vec<Address>,
    /// Milliseconds per phase; null for a phase that was not reached or not needed.
    timings_ms: TimingsMs,
    /// The round trips of the check; null where none was made.
    round_trips_ms: Option<RoundTripsMs>,
    /// The answer to the upgrade; null where none came.
    http: Option<Http<'a>>,
    /// What TLS agreed on; null for ws://, or where it did not come to that.
    tls: Option<Tls<'a>>,
    /// The code of the server's close frame in the closing handshake; null where none came in time.
    close_code: Option<u16>,
    /// Null where the check passed.
    failure: Option<FailureReport<'a>>,
    /// The rules of RFC 6455, and how the server stands with each.
    conformance: Vec<PointReport>,
    /// What a silent connection heard; null where none was held.
    heard: Option<HeardReport>,
    /// The checklist; empty with `--quick`.
    checklist: Vec<ItemReport>,
    /// What the search for the idle timeout found; null where it was not made.
    idle_timeout: Option<IdleReport>,
    /// Connections made beside the check's own.
    extra_connections: usize,
}

#[derive(Serialize)]
struct Address {
    address: String,
    /// The failure's kind; null where the check passed there.
    failure: Option<String>,
    total_ms: f64,
}

#[derive(Serialize)]
struct TimingsMs {
    dns: Option<f64>,
    tcp: Option<f64>,
    tls: Option<f64>,
    upgrade: Option<f64>,
    exchange: Option<f64>,
    close: Option<f64>,
    round_trip: Option<f64>,
    total: f64,
}

#[derive(Serialize)]
struct RoundTripsMs {
    count: u32,
    min: f64,
    p50: f64,
    max: f64,
    /// The mean of the differences between one and the next.
    jitter: f64,
}

#[derive(Serialize)]
struct Http<'a> {
    status: u16,
    server: Option<&'a str>,
    subprotocol: Option<&'a str>,
    /// What the server makes of an offer of permessage-deflate; null where it takes none, or was not asked.
    extensions: Option<&'a str>,
}

#[derive(Serialize)]
struct Tls<'a> {
    version: Cow<'static, str>,
    cipher: Cow<'static, str>,
    key_exchange: &'a str,
    /// RFC 3339; null where the certificate could not be read.
    certificate_not_after: Option<String>,
    /// The same of whichever certificate ends first of those that the server sent.
    chain_not_after: Option<String>,
    /// SHA-256 of the server's certificate, in hex.
    certificate_fingerprint: String,
    /// The common name and organization of its holder; empty where it has neither.
    certificate_subject: &'a str,
    /// The same of who signed it.
    certificate_issuer: &'a str,
    /// The names and addresses that it is for; the first of them where they are many.
    certificate_names: &'a [String],
    /// False with `--insecure`.
    verified: bool,
}

#[derive(Serialize)]
struct FailureReport<'a> {
    /// One of a closed list of names, such as `upgrade_status`.
    kind: &'static str,
    /// The phase it happened in: `dns`, `tcp`, `tls`, `upgrade`, `exchange`, or `close`.
    phase: &'static str,
    /// What was seen, with the numbers.
    detail: &'a str,
    /// What was seen, in one sentence.
    summary: String,
    /// What is the likely cause, and what to do.
    hint: &'static str,
    /// The exact mend, line by line: configuration and commands. Empty where there is none to give.
    mend: Vec<String>,
    /// Who answered instead of the server, such as `nginx`; null where that cannot be told.
    answered_by: Option<&'static str>,
    /// The URL that was probably meant; null where this one is good.
    did_you_mean: Option<&'a str>,
    /// Whether the request without the upgrade's headers gets the same answer; null where it was not asked.
    same_without_upgrade: Option<bool>,
    /// The close code, where the server closed.
    close_code: Option<u16>,
    /// The close reason, where the server closed.
    close_reason: Option<&'a str>,
    /// Headers of a refused upgrade that tell who answered and why.
    headers: &'a [String],
    /// The first bytes of the body of a refused upgrade.
    body: Option<&'a str>,
}

#[derive(Serialize)]
struct PointReport {
    /// Stable.
    name: &'static str,
    /// Of RFC 6455, unless it names another.
    section: &'static str,
    rule: &'static str,
    /// `pass`, `warn`, `fail` or `unknown`.
    verdict: &'static str,
    found: String,
}

#[derive(Serialize)]
struct ItemReport {
    /// Stable.
    name: &'static str,
    text: &'static str,
    /// `pass`, `warn`, `fail` or `unknown`.
    verdict: &'static str,
    found: String,
    /// What would tell the rest, or what to do.
    then: &'static str,
}

#[derive(Serialize)]
struct HeardReport {
    listened_ms: f64,
    first_ping_ms: Option<f64>,
    pings: u32,
    first_message_ms: Option<f64>,
    messages: u32,
    /// When the server ended the connection by itself.
    ended_ms: Option<f64>,
    /// With which code; 1006 without a close frame.
    ended_with: Option<u16>,
}

#[derive(Serialize)]
struct IdleReport {
    /// `cut`, `not_within`, `failed` or `interrupted`.
    finding: &'static str,
    /// The longest idle time that a connection survived.
    survived_ms: Option<f64>,
    /// The shortest idle time after which one was cut.
    cut_ms: Option<f64>,
    /// How, or why it could not be found out.
    failure: Option<String>,
}

/// The object, on one line.
pub(super) fn json(diagnosis: &Diagnosis) -> String {
    let checked = &diagnosis.checked;
    let facts = &checked.facts;
    let findings = diagnosis.findings.as_ref();
    let report = Report {
        url: &diagnosis.url,
        outcome: outcome(checked),
        started_at: rfc3339(checked.started_at),
        address: checked.address.map(|address| address.to_string()),
        resolved: facts.resolved.iter().map(ToString::to_string).collect(),
        proxy: facts.proxy.as_deref(),
        addresses: checked.addresses.iter().map(Address::from).collect(),
        timings_ms: TimingsMs::from(&checked.timings),
        round_trips_ms: diagnosis.round_trips().map(RoundTripsMs::from),
        http: facts.status.map(|status| Http {
            status,
            server: facts.server.as_deref(),
            subprotocol: facts.subprotocol.as_deref(),
            extensions: findings.and_then(|findings| findings.extensions.as_deref()),
        }),
        tls: facts.tls.as_ref().map(Tls::from),
        close_code: facts.close_code,
        failure: checked.failure().map(|failure| FailureReport::new(failure, diagnosis)),
        conformance: diagnosis.points().into_iter().map(PointReport::from).collect(),
        heard: findings.and_then(|findings| findings.heard.as_ref()).map(HeardReport::from),
        checklist: match diagnosis.is_quick {
            true => Vec::new(),
            false => diagnosis.checklist().into_iter().map(ItemReport::from).collect(),
        },
        idle_timeout: diagnosis.idle.as_ref().map(IdleReport::from),
        extra_connections: findings.map_or(0, |findings| findings.connections)
            + usize::from(diagnosis.plain.is_some()),
    };
    let text = serde_json::to_string(&report);
    // The object has neither maps with odd keys nor anything else that cannot be written.
    text.unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}")) + "\n"
}

/// How a check ended, in a word.
pub(super) fn outcome(checked: &Checked) -> &'static str {
    match checked.failure() {
        None => "passed",
        Some(failure) if failure.kind.is_agents_own() => "not_tried",
        Some(_) => "failed",
    }
}

/// The time as RFC 3339; none for a clock beyond all years.
pub(super) fn rfc3339(time: WallMicros) -> Option<String> {
    Some(jiff::Timestamp::from_microsecond(time.0).ok()?.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn ms(span: Option<Micros>) -> Option<f64> {
    span.map(Micros::as_millis_f64)
}

impl From<&Timings> for TimingsMs {
    fn from(timings: &Timings) -> Self {
        Self {
            dns: ms(timings.dns),
            tcp: ms(timings.tcp),
            tls: ms(timings.tls),
            upgrade: ms(timings.upgrade),
            exchange: ms(timings.exchange),
            close: ms(timings.close),
            round_trip: ms(timings.round_trip),
            total: timings.total.as_millis_f64(),
        }
    }
}

impl From<RoundTrips> for RoundTripsMs {
    fn from(trips: RoundTrips) -> Self {
        let [min, p50, max, jitter] =
            [trips.min, trips.p50, trips.max, trips.jitter].map(Micros::as_millis_f64);
        Self { count: trips.count, min, p50, max, jitter }
    }
}

impl From<&AddressResult> for Address {
    fn from(result: &AddressResult) -> Self {
        Self {
            address: result.address.to_string(),
            failure: result.failure.as_ref().map(ToString::to_string),
            total_ms: result.total.as_millis_f64(),
        }
    }
}

impl<'a> From<&'a TlsSeen> for Tls<'a> {
    fn from(TlsSeen { facts, key_exchange, certificate }: &'a TlsSeen) -> Self {
        let certificate = certificate.as_ref();
        Self {
            version: facts.version_name(),
            cipher: facts.cipher_name(),
            key_exchange,
            certificate_not_after: certificate.and_then(|leaf| leaf.not_after).and_then(rfc3339),
            chain_not_after: facts.not_after.and_then(rfc3339),
            certificate_fingerprint: facts.fingerprint_hex(),
            certificate_subject: certificate.map(|leaf| leaf.subject.as_str()).unwrap_or_default(),
            certificate_issuer: certificate.map(|leaf| leaf.issuer.as_str()).unwrap_or_default(),
            certificate_names: certificate.map(|leaf| leaf.names.as_slice()).unwrap_or_default(),
            verified: facts.verified,
        }
    }
}

impl<'a> FailureReport<'a> {
    fn new(failure: &'a Failure, diagnosis: &'a Diagnosis) -> Self {
        let cause = cause::explain(failure);
        let closed = if let FailureKind::Closed { code, reason } = &failure.kind {
            Some((*code, reason.as_str()))
        } else {
            None
        };
        let refusal = failure.refusal.as_ref();
        Self {
            kind: cause.kind,
            phase: failure.phase.name(),
            detail: &failure.detail,
            mend: diagnosis.mend(&cause),
            summary: cause.summary,
            hint: cause.hint,
            answered_by: cause.answered_by.map(cause::Product::name),
            did_you_mean: diagnosis.meant.as_deref(),
            same_without_upgrade: diagnosis.answers_as_to_a_page(),
            close_code: closed.map(|(code, _)| code),
            close_reason: closed.map(|(_, reason)| reason),
            headers: refusal.map(|refusal| refusal.headers.as_slice()).unwrap_or_default(),
            body: refusal.map(|refusal| refusal.body.as_str()),
        }
    }
}

impl From<Point> for PointReport {
    fn from(Point { rule, verdict, found }: Point) -> Self {
        Self { name: rule.name, section: rule.section, rule: rule.text, verdict: verdict.name(), found }
    }
}

impl From<Item> for ItemReport {
    fn from(Item { name, text, verdict, found, then }: Item) -> Self {
        Self { name, text, verdict: verdict.name(), found, then }
    }
}

impl From<&Heard> for HeardReport {
    fn from(heard: &Heard) -> Self {
        Self {
            listened_ms: heard.listened.as_millis_f64(),
            first_ping_ms: ms(heard.first_ping),
            pings: heard.pings,
            first_message_ms: ms(heard.first_message),
            messages: heard.messages,
            ended_ms: ms(heard.ended.map(|(after, _)| after)),
            ended_with: heard.ended.map(|(_, code)| code),
        }
    }
}

impl From<&Idle> for IdleReport {
    fn from(idle: &Idle) -> Self {
        let told = |failure: &Failure| Some(format!("{}: {}", failure.kind, failure.detail));
        let (finding, survived, cut, failure) = match idle {
            Idle::Found(IdleFinding::Cut { survived, cut, failure }) => {
                ("cut", Some(*survived), Some(*cut), told(failure))
            }
            Idle::Found(IdleFinding::NotWithin(max)) => ("not_within", Some(*max), None, None),
            Idle::Found(IdleFinding::Failed(failure)) => ("failed", None, None, told(failure)),
            Idle::Interrupted { survived, cut, .. } => ("interrupted", Some(*survived), *cut, None),
        };
        Self { finding, survived_ms: ms(survived), cut_ms: ms(cut), failure }
    }
}
