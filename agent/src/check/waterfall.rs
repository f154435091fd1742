//! What a check found, drawn: how long each phase took, what was agreed on, and for a failure the likely cause and the mend.
//! Pure: the same check gives the same text. Colours are always in it; whoever prints it takes them out where they do not
//! belong.

use std::fmt::{self, Write};

use anstyle::Style;
use quorate_proto::{Failure, Micros, Phase, Timings, WallMicros, cause, outcome::AddressResult};

use super::{
    diagnosis::Diagnosis,
    paper::{BAD, BAR, BOLD, DIM, GOOD, LOUD, Paper, millis, wrap},
    report::rfc3339,
};
use crate::probe::{Certificate, Checked, TlsSeen};

/// What is said where no certificate was verified.
pub(super) const UNVERIFIED: &str =
    "the certificate is NOT verified (--insecure): anyone on the way could have answered";

/// Columns of a bar's name and number.
const LABEL_COLUMNS: usize = 28;
/// Columns of a fact's name.
const NAME_COLUMNS: usize = 15;
/// Lines of a refusal's body that are shown.
const BODY_LINES_MAX: usize = 8;
/// A certificate that ends sooner is worth a colour.
const DAYS_FEW: u64 = 14;

/// Draws a check.
pub(super) fn render(diagnosis: &Diagnosis, paper: &Paper) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = draw(&mut text, diagnosis, paper);
    text
}

fn draw(to: &mut String, diagnosis: &Diagnosis, paper: &Paper) -> fmt::Result {
    let checked = &diagnosis.checked;
    let failure = checked.failure();
    writeln!(to, "{BOLD}{}{BOLD:#}", diagnosis.url)?;
    address(to, checked)?;
    bars(to, &checked.timings, failure.map(|failure| failure.phase), paper)?;
    facts(to, diagnosis, paper)?;
    match failure {
        None => passed(to, checked),
        Some(failure) => failed(to, failure, diagnosis, paper),
    }
}

fn address(to: &mut String, checked: &Checked) -> fmt::Result {
    let Some(address) = checked.address else { return Ok(()) };
    if let Some(proxy) = &checked.facts.proxy {
        return writeln!(to, "{address} {DIM}(the proxy {proxy}){DIM:#}");
    }
    if !checked.addresses.is_empty() {
        return each_address(to, checked);
    }
    let others: Vec<_> = checked.facts.resolved.iter().filter(|other| **other != address).collect();
    match others.as_slice() {
        [] => writeln!(to, "{address}"),
        [other] => writeln!(to, "{address} {DIM}(not tried: {other}){DIM:#}"),
        others => writeln!(to, "{address} {DIM}(of {} addresses){DIM:#}", others.len() + 1),
    }
}

/// One line an address, and what it found.
fn each_address(to: &mut String, checked: &Checked) -> fmt::Result {
    let width =
        checked.addresses.iter().map(|result| result.address.to_string().len()).max().unwrap_or_default();
    for AddressResult { address, failure, total } in &checked.addresses {
        let (word, style) = if failure.is_none() { ("pass", GOOD) } else { ("FAIL", BAD) };
        let told = failure.as_ref().map(|failure| format!("  {failure}")).unwrap_or_default();
        writeln!(
            to,
            "  {style}{word}{style:#}  {:<width$}  {:>10}{told}",
            address.to_string(),
            millis(*total)
        )?;
    }
    Ok(())
}

/// One line a phase: name, time, and a bar that starts where the phase before it ended.
fn bars(to: &mut String, timings: &Timings, failed: Option<Phase>, paper: &Paper) -> fmt::Result {
    let phases = [
        (Phase::Dns, "DNS", timings.dns),
        (Phase::Tcp, "TCP", timings.tcp),
        (Phase::Tls, "TLS", timings.tls),
        (Phase::Upgrade, "Upgrade", timings.upgrade),
        (Phase::Exchange, "Exchange", timings.exchange),
        (Phase::Close, "Close", timings.close),
    ];
    if phases.iter().all(|(.., took)| took.is_none()) {
        return Ok(());
    }
    let sum = phases.iter().filter_map(|(.., took)| *took).fold(Micros::ZERO, |sum, took| sum + took);
    let whole = sum.max(timings.total).max(Micros(1));
    let columns_max = (paper.columns.saturating_sub(LABEL_COLUMNS) as u64).max(1);
    let columns = |span: Micros| (span * columns_max / whole.0).0.min(columns_max);
    writeln!(to)?;
    let mut offset = Micros::ZERO;
    for (phase, name, took) in phases {
        let Some(took) = took else { continue };
        let start = columns(offset).min(columns_max - 1);
        offset = offset + took;
        let length = columns(offset).saturating_sub(start).max(1);
        let (style, mark) = if failed == Some(phase) { (BAD, " ✗") } else { (BAR, "") };
        let (gap, bar) = (" ".repeat(size(start)), "█".repeat(size(length)));
        writeln!(to, "  {name:<9}{:>12}  {gap}{style}{bar}{mark}{style:#}", millis(took))?;
    }
    writeln!(to, "  {BOLD}{:<9}{:>12}{BOLD:#}", "Total", millis(timings.total))
}

fn facts(to: &mut String, diagnosis: &Diagnosis, paper: &Paper) -> fmt::Result {
    let checked = &diagnosis.checked;
    let facts = &checked.facts;
    let mut block = String::new();
    if let Some(tls) = &facts.tls {
        tls_facts(&mut block, tls, checked.started_at, paper)?;
    }
    if let Some(status) = facts.status {
        let server = facts.server.as_ref().map(|server| format!(", Server: {server}")).unwrap_or_default();
        fact(&mut block, "Answer", &format!("{status}{server}"), paper)?;
    }
    if let Some(subprotocol) = &facts.subprotocol {
        fact(&mut block, "Subprotocol", subprotocol, paper)?;
    }
    if let Some(trips) = diagnosis.round_trips().filter(|trips| trips.count > 1) {
        let text = format!(
            "{}: min {}, p50 {}, max {}, jitter {}",
            trips.count, trips.min, trips.p50, trips.max, trips.jitter
        );
        fact(&mut block, "Round trips", &text, paper)?;
    }
    if let Some(code) = facts.close_code.filter(|code| *code != 1000) {
        fact(&mut block, "Close", &format!("the server's close frame has {code}"), paper)?;
    }
    match block.is_empty() {
        true => Ok(()),
        false => write!(to, "\n{block}"),
    }
}

fn tls_facts(to: &mut String, tls: &TlsSeen, now: WallMicros, paper: &Paper) -> fmt::Result {
    let TlsSeen { facts, key_exchange, certificate } = tls;
    let (version, cipher) = (facts.version_name(), facts.cipher_name());
    fact(to, "TLS", &format!("{version}, {cipher}, {key_exchange}"), paper)?;
    if let Some(certificate) = certificate {
        fact(to, "Certificate", &holder(certificate), paper)?;
    }
    if let Some((not_after, date)) = facts.not_after.and_then(|time| Some((time, rfc3339(time)?))) {
        let date = date.split('T').next().unwrap_or_default();
        let days = not_after.since(now).0 / 86_400_000_000;
        let style = if days < DAYS_FEW { LOUD } else { Style::new() };
        writeln!(to, "  {:<13}chain valid until {date}, {style}{days} days left{style:#}", "")?;
    }
    fact(to, "", &format!("SHA-256 {}", pairs(&facts.fingerprint)), paper)?;
    if !facts.verified {
        write!(to, "{LOUD}")?;
        fact(to, "WARNING", UNVERIFIED, paper)?;
        write!(to, "{LOUD:#}")?;
    }
    Ok(())
}

/// Whom a certificate is for, and who signed it.
fn holder(Certificate { subject, issuer, names, .. }: &Certificate) -> String {
    let names = match names.as_slice() {
        [] => subject.clone(),
        [first] => first.clone(),
        [first, others @ ..] => format!("{first} and {} more", others.len()),
    };
    format!("for {names}, by {issuer}")
}

/// Bytes in hex, in groups of four that a line can break between.
fn pairs(bytes: &[u8]) -> String {
    let groups = bytes.chunks(4).map(|group| group.iter().map(|byte| format!("{byte:02x}")).collect());
    groups.collect::<Vec<String>>().join(" ")
}

/// A name, and what it is, in as many lines as it takes.
pub(super) fn fact(to: &mut String, name: &str, text: &str, paper: &Paper) -> fmt::Result {
    let mut name = name;
    for line in wrap(text, paper.columns.saturating_sub(NAME_COLUMNS)) {
        writeln!(to, "  {name:<13}{line}")?;
        name = "";
    }
    Ok(())
}

fn passed(to: &mut String, checked: &Checked) -> fmt::Result {
    let Timings { round_trip, close, .. } = checked.timings;
    write!(to, "\n{GOOD}PASSED{GOOD:#}  ")?;
    match round_trip {
        Some(took) => write!(to, "The reply took {}.", millis(took))?,
        None => write!(to, "The upgrade is right.")?,
    }
    if checked.facts.close_code.is_none() && close.is_some() {
        write!(to, " The server did not answer our close frame.")?;
    }
    writeln!(to)
}

fn failed(to: &mut String, failure: &Failure, diagnosis: &Diagnosis, paper: &Paper) -> fmt::Result {
    let cause = cause::explain(failure);
    let columns = paper.columns.saturating_sub(2);
    match failure.kind.is_agents_own() {
        true => writeln!(to, "\n{BAD}NOT TRIED{BAD:#}  {}", failure.kind)?,
        false => writeln!(to, "\n{BAD}FAILED{BAD:#}  {}: {}", place(failure.phase), failure.kind)?,
    }
    for line in wrap(&cause.summary, columns) {
        writeln!(to, "  {line}")?;
    }
    if let Some(meant) = &diagnosis.meant {
        return writeln!(to, "\n  {BOLD}Did you mean{BOLD:#}  {meant}");
    }
    let by = cause.answered_by.map(|product| format!(" (it is {product} that answered)")).unwrap_or_default();
    writeln!(to, "\n  {BOLD}Likely cause{by}{BOLD:#}")?;
    for line in wrap(cause.hint, columns) {
        writeln!(to, "  {line}")?;
    }
    if !cause.mend.is_empty() {
        writeln!(to, "\n  {BOLD}Mend{BOLD:#}")?;
        for line in diagnosis.mend(&cause) {
            let style = if line.starts_with('#') { DIM } else { Style::new() };
            writeln!(to, "    {style}{line}{style:#}")?;
        }
    }
    refusal(to, failure, columns)
}

/// What the answer to a refused upgrade had beside its status.
fn refusal(to: &mut String, failure: &Failure, columns: usize) -> fmt::Result {
    let Some(refusal) = &failure.refusal else { return Ok(()) };
    let body = refusal.body.trim_end();
    if refusal.headers.is_empty() && body.is_empty() {
        return Ok(());
    }
    writeln!(to, "\n  {BOLD}The answer{BOLD:#}")?;
    let lines = refusal.headers.iter().map(String::as_str).chain(body.lines().take(BODY_LINES_MAX));
    for line in lines {
        let line: String = line.chars().take(columns.saturating_sub(2)).collect();
        writeln!(to, "  {DIM}| {}{DIM:#}", line.trim_end())?;
    }
    Ok(())
}

fn place(phase: Phase) -> &'static str {
    match phase {
        Phase::Dns => "looking up the name",
        Phase::Tcp => "connecting",
        Phase::Tls => "in the TLS handshake",
        Phase::Upgrade => "in the upgrade",
        Phase::Exchange => "in the exchange",
        Phase::Close => "in the closing handshake",
    }
}

fn size(columns: u64) -> usize {
    usize::try_from(columns).unwrap_or_default()
}
