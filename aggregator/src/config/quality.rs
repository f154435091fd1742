//! `latency` and `certificate_degraded`: from when on a monitor that works does not work well.

use quorate_proto::{
    Micros, limits,
    sla::{SLA_PRESETS, SlaPreset},
};
use quorate_quorum::{Policy, quality::LatencySla};

use super::{
    document::{Item, Section},
    nearest::nearest,
    spans::span,
};

/// How long before a certificate ends a monitor is degraded.
const CERTIFICATE_DEGRADED: Micros = Micros::from_secs(3 * 86_400);
/// Shorter ones nobody promises.
const P95_MIN: Micros = Micros::from_millis(1);
/// A window holds two checks at least, and a day at most: longer ago nothing can be done about it.
const OVER_BOUNDS: std::ops::RangeInclusive<Micros> = Micros::from_secs(10)..=Micros::from_secs(86_400);

/// Reads `latency`: a preset's name, a table, or false; what stands before it without being said.
pub(super) fn latency(section: &Section<'_>, base: Option<LatencySla>) -> Option<LatencySla> {
    let Some(item) = section.get("latency") else { return base };
    if item.value().as_bool() == Some(false) {
        return None;
    }
    if item.is_table() { table(&item) } else { preset(&item) }
}

fn preset(item: &Item<'_>) -> Option<LatencySla> {
    let names = SLA_PRESETS.map(|preset| format!("\"{}\" ({})", preset.name, preset.p95)).join(", ");
    let wanted = format!("{names}, a table such as {{ p95 = \"100ms\" }}, or false");
    let text = item.text(&wanted)?;
    let preset = SlaPreset::named(&text);
    if preset.is_none() {
        let near = nearest(&text, SLA_PRESETS.iter().map(|preset| preset.name));
        item.refuse(near.map_or(wanted, |near| format!("a known preset, perhaps \"{near}\"")));
    }
    preset.map(|preset| LatencySla::of(preset.p95))
}

fn table(item: &Item<'_>) -> Option<LatencySla> {
    let table = item.section()?;
    let p95 = table.require("p95", "what 95 of 100 round trips may take, such as \"100ms\"");
    let p95 = p95.and_then(|item| span(&item, P95_MIN..=limits::TIMEOUT_MAX));
    let over = table.get("over").map_or(Some(LatencySla::OVER), |item| span(&item, OVER_BOUNDS));
    let min_samples = table.get("min_samples").map_or(Some(LatencySla::MIN_SAMPLES), |item| {
        let number =
            item.integer().and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0);
        if number.is_none() {
            item.refuse("a number of round trips from 1 on");
        }
        number
    });
    table.close();
    Some(LatencySla { p95: p95?, over: over?, min_samples: min_samples? })
}

/// Refuses a promise that cannot be judged on a monitor that makes `samples` round trips a check.
pub(super) fn check_latency(section: &Section<'_>, policy: &Policy, sla: Option<LatencySla>, samples: u16) {
    let Some(sla) = sla else { return };
    let (line, key) = match section.get("latency") {
        Some(item) => (item.line, item.path),
        // From the defaults, which do not suit this monitor.
        None => (section.line(), section.path_of("latency")),
    };
    let refuse = |wanted: String, found: String| section.document().fault(line, &key, wanted, found);
    let Policy { interval, timeout, regions, .. } = policy;
    if sla.p95 > *timeout {
        refuse(
            format!("a p95 of at most timeout, which is {timeout}: slower checks fail"),
            sla.p95.to_string(),
        );
    }
    if sla.over < *interval * 2 {
        refuse(format!("over of at least two intervals, {}", *interval * 2), sla.over.to_string());
        return;
    }
    let checks = sla.over.0.checked_div(interval.0).unwrap_or(0);
    let count = u64::try_from(regions.len()).unwrap_or(u64::MAX);
    let reachable = checks.saturating_mul(count).saturating_mul(u64::from(samples));
    if count > 0 && u64::from(sla.min_samples) > reachable {
        refuse(
            format!(
                "min_samples of at most {reachable}: no more round trips are made over {} ({count} {}, every {interval}, {samples} a \
                 check)",
                sla.over,
                if count == 1 { "region" } else { "regions" },
            ),
            sla.min_samples.to_string(),
        );
    }
}

/// Reads `certificate_degraded`: a span before the end of a certificate; `false` or zero: never. It is nearer to the end than
/// the `warning`, where there is one.
pub(super) fn certificate_degraded(section: &Section<'_>, warning: Micros) -> Micros {
    let is_warned = warning > Micros::ZERO;
    let default = if is_warned { CERTIFICATE_DEGRADED.min(warning) } else { CERTIFICATE_DEGRADED };
    let Some(item) = section.get("certificate_degraded") else { return default };
    if item.value().as_bool() == Some(false) {
        return Micros::ZERO;
    }
    let Some(degraded) = span(&item, Micros::ZERO..=Micros::from_secs(398 * 86_400)) else { return default };
    if is_warned && degraded > warning {
        item.refuse_for(
            format!("at most certificate_warning, which is {warning}: people are warned first"),
            degraded.to_string(),
        );
    }
    degraded
}
