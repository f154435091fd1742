//! What a check found, drawn for a terminal of 80 columns. Pure: the same check gives the same text. Colours are always
//! in it; whoever prints it takes them out where they do not belong.

use std::fmt::{self, Write};

use anstyle::{AnsiColor, Style};
use quorate_proto::{Failure, Micros, Outcome, Phase, Timings, WallMicros, cause, outcome::AddressResult};

use super::report::rfc3339;
use crate::probe::{Certificate, Checked, Facts, TlsSeen};

/// What is said where no certificate was verified.
pub(super) const UNVERIFIED: &str =
    "the certificate is NOT verified (--insecure): anyone on the way could have answered";

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const LOUD: Style = AnsiColor::Yellow.on_default().bold();
const BAR: Style = AnsiColor::Cyan.on_default();

/// Columns that the bars share: 80, less the names and the numbers.
const BAR_COLUMNS: u64 = 52;
/// Columns of running text.
const TEXT_COLUMNS: usize = 78;
/// Lines of a refusal's body that are shown.
const BODY_LINES_MAX: usize = 8;

/// Draws a check.
pub(super) fn render(url: &str, checked: &Checked) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = draw(&mut text, url, checked);
    text
}

fn draw(to: &mut String, url: &str, checked: &Checked) -> fmt::Result {
    let failure = match &checked.outcome {
        Outcome::Passed => None,
        Outcome::Failed(failure) => Some(failure),
    };
    writeln!(to, "{BOLD}{url}{BOLD:#}")?;
    address(to, checked)?;
    bars(to, &checked.timings, failure.map(|failure| failure.phase))?;
    facts(to, &checked.facts, checked.started_at)?;
    match failure {
        None => passed(to, checked),
        Some(failure) => failed(to, failure),
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
    for AddressResult { address, failure, total } in &checked.addresses {
        let address = address.to_string();
        match failure {
            None => writeln!(to, "{GOOD}✓{GOOD:#} {address:<39} {:>12}", millis(*total))?,
            Some(failure) => writeln!(to, "{BAD}✗{BAD:#} {address:<39} {:>12}  {failure}", millis(*total))?,
        }
    }
    Ok(())
}

/// One line a phase: name, time, and a bar that starts where the phase before it ended.
fn bars(to: &mut String, timings: &Timings, failed: Option<Phase>) -> fmt::Result {
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
    let columns = |span: Micros| (span * BAR_COLUMNS / whole.0).0.min(BAR_COLUMNS);
    writeln!(to)?;
    let mut offset = Micros::ZERO;
    for (phase, name, took) in phases {
        let Some(took) = took else { continue };
        let start = columns(offset).min(BAR_COLUMNS - 1);
        offset = offset + took;
        let length = columns(offset).saturating_sub(start).max(1);
        let (style, mark) = if failed == Some(phase) { (BAD, " ✗") } else { (BAR, "") };
        let (gap, bar) = (" ".repeat(size(start)), "█".repeat(size(length)));
        writeln!(to, "  {name:<9}{:>12}  {gap}{style}{bar}{mark}{style:#}", millis(took))?;
    }
    writeln!(to, "  {BOLD}{:<9}{:>12}{BOLD:#}", "Total", millis(timings.total))
}

fn facts(to: &mut String, facts: &Facts, now: WallMicros) -> fmt::Result {
    if let Some(tls) = &facts.tls {
        tls_facts(to, tls, now)?;
    }
    let Some(status) = facts.status else { return Ok(()) };
    write!(to, "{}  {:<13}{status}", gap(facts.tls.is_none()), "Answer")?;
    if let Some(server) = &facts.server {
        write!(to, ", Server: {server}")?;
    }
    if let Some(subprotocol) = &facts.subprotocol {
        write!(to, ", subprotocol {subprotocol}")?;
    }
    writeln!(to)
}

fn tls_facts(to: &mut String, tls: &TlsSeen, now: WallMicros) -> fmt::Result {
    let TlsSeen { facts, key_exchange, certificate } = tls;
    let (version, cipher) = (facts.version_name(), facts.cipher_name());
    writeln!(to, "{}  {:<13}{version}, {cipher}, {key_exchange}", gap(true), "TLS")?;
    if let Some(certificate) = certificate {
        let Certificate { names, issuer, .. } = certificate;
        let names = match names.as_slice() {
            [] => certificate.subject.clone(),
            [first] => first.clone(),
            [first, others @ ..] => format!("{first} and {} more", others.len()),
        };
        let said: String = format!("for {names}, by {issuer}").chars().take(TEXT_COLUMNS - 15).collect();
        writeln!(to, "  {:<13}{}", "Certificate", said.trim_end())?;
    }
    if let Some((not_after, date)) = facts.not_after.and_then(|time| Some((time, rfc3339(time)?))) {
        let date = date.split('T').next().unwrap_or_default();
        let days = not_after.since(now).0 / 86_400_000_000;
        let style = if days < 14 { LOUD } else { Style::new() };
        writeln!(to, "  {:<13}valid until {date}, {style}{days} days left{style:#}", "")?;
    }
    if !facts.verified {
        writeln!(
            to,
            "  {LOUD}{:<13}{}{LOUD:#}",
            "WARNING",
            wrap(UNVERIFIED, TEXT_COLUMNS - 13).join("\n               ")
        )?;
    }
    Ok(())
}

/// The empty line before a block.
fn gap(wanted: bool) -> &'static str {
    if wanted { "\n" } else { "" }
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

fn failed(to: &mut String, failure: &Failure) -> fmt::Result {
    let cause = cause::explain(failure);
    match failure.kind.is_agents_own() {
        true => writeln!(to, "\n{BAD}NOT TRIED{BAD:#}  {}", failure.kind)?,
        false => writeln!(to, "\n{BAD}FAILED{BAD:#}  {}: {}", place(failure.phase), failure.kind)?,
    }
    for line in wrap(&cause.summary, TEXT_COLUMNS) {
        writeln!(to, "  {line}")?;
    }
    writeln!(to, "\n  {BOLD}Likely cause, and what to do{BOLD:#}")?;
    for line in wrap(cause.hint, TEXT_COLUMNS) {
        writeln!(to, "  {line}")?;
    }
    let body = failure.refusal.as_ref().map(|refusal| refusal.body.trim_end()).unwrap_or_default();
    if !body.is_empty() {
        writeln!(to, "\n  {BOLD}The body of the answer{BOLD:#}")?;
        for line in body.lines().take(BODY_LINES_MAX) {
            let line: String = line.chars().take(TEXT_COLUMNS - 2).collect();
            writeln!(to, "  {DIM}| {line}{DIM:#}")?;
        }
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

fn millis(span: Micros) -> String {
    format!("{:.1} ms", span.as_millis_f64())
}

fn size(columns: u64) -> usize {
    usize::try_from(columns).unwrap_or_default()
}

/// Breaks a text at spaces into lines of so many characters; a longer word is cut.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let Some(line) = lines.last_mut() else { return lines };
            let used = line.chars().count();
            let space = usize::from(used > 0);
            if used + space + word.len() <= columns {
                if space > 0 {
                    line.push(' ');
                }
                line.extend(word);
                break;
            }
            if used == 0 {
                line.extend(word.drain(..columns));
            }
            lines.push(String::new());
        }
    }
    lines
}
