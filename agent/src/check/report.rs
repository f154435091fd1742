//! What a check found, as one JSON object for machines.

use std::borrow::Cow;

use quorate_proto::{
    Failure, FailureKind, Micros, Outcome, Timings, WallMicros, cause, outcome::AddressResult,
};
use serde::Serialize;

use crate::probe::{Checked, TlsSeen};

/// The object that `check --json` prints. Fields are only ever added.
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
    /// The answer to the upgrade; null where none came.
    http: Option<Http<'a>>,
    /// What TLS agreed on; null for ws://, or where it did not come to that.
    tls: Option<Tls<'a>>,
    /// The code of the server's close frame in the closing handshake; null where none came in time.
    close_code: Option<u16>,
    /// Null where the check passed.
    failure: Option<FailureReport<'a>>,
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
struct Http<'a> {
    status: u16,
    server: Option<&'a str>,
    subprotocol: Option<&'a str>,
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
    /// The close code, where the server closed.
    close_code: Option<u16>,
    /// The close reason, where the server closed.
    close_reason: Option<&'a str>,
    /// The first bytes of the body of a refused upgrade.
    body: Option<&'a str>,
}

/// The object, on one line.
pub(super) fn json(url: &str, checked: &Checked) -> String {
    let failure = match &checked.outcome {
        Outcome::Passed => None,
        Outcome::Failed(failure) => Some(failure),
    };
    let facts = &checked.facts;
    let report = Report {
        url,
        outcome: match failure {
            None => "passed",
            Some(failure) if failure.kind.is_agents_own() => "not_tried",
            Some(_) => "failed",
        },
        started_at: rfc3339(checked.started_at),
        address: checked.address.map(|address| address.to_string()),
        resolved: facts.resolved.iter().map(ToString::to_string).collect(),
        proxy: facts.proxy.as_deref(),
        addresses: checked.addresses.iter().map(Address::from).collect(),
        timings_ms: TimingsMs::from(&checked.timings),
        http: facts.status.map(|status| Http {
            status,
            server: facts.server.as_deref(),
            subprotocol: facts.subprotocol.as_deref(),
        }),
        tls: facts.tls.as_ref().map(Tls::from),
        close_code: facts.close_code,
        failure: failure.map(FailureReport::from),
    };
    let text = serde_json::to_string(&report);
    // The object has neither maps with odd keys nor anything else that cannot be written.
    text.unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}")) + "\n"
}

/// The time as RFC 3339; none for a clock beyond all years.
pub(super) fn rfc3339(time: WallMicros) -> Option<String> {
    Some(jiff::Timestamp::from_microsecond(time.0).ok()?.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

impl From<&Timings> for TimingsMs {
    fn from(timings: &Timings) -> Self {
        let ms = |span: Option<Micros>| span.map(Micros::as_millis_f64);
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

impl<'a> From<&'a Failure> for FailureReport<'a> {
    fn from(failure: &'a Failure) -> Self {
        let cause = cause::explain(failure);
        let closed = if let FailureKind::Closed { code, reason } = &failure.kind {
            Some((*code, reason.as_str()))
        } else {
            None
        };
        Self {
            kind: cause.kind,
            phase: failure.phase.name(),
            detail: &failure.detail,
            summary: cause.summary,
            hint: cause.hint,
            close_code: closed.map(|(code, _)| code),
            close_reason: closed.map(|(_, reason)| reason),
            body: failure.refusal.as_ref().map(|refusal| refusal.body.as_str()),
        }
    }
}
