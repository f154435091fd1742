//! `[defaults]` and `[[monitors]]`: what is watched, by whom, and when people are paged.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use quorate_proto::{Micros, MonitorSpec, Region, Step, limits};
use quorate_quorum::{CONFIRM_FOR_MAX, Policy, PolicyError, Quorum, Sensitivity, quality::LatencySla};

use super::{
    Monitor,
    access::authorization,
    canary::idle_search,
    channels::own_id,
    document::{Item, Section},
    domains::{Domains, domains},
    endpoint::endpoint,
    paging::Family,
    presets::Presets,
    promise,
    quality::{certificate_degraded, check_latency, latency},
    route::route,
    server::{region_items, title, unknown},
    spans::span,
    spoken::{Said, said},
};
use crate::model::ChannelId;

/// From one scheduled check to the next, in each region.
const INTERVAL: Micros = Micros::from_secs(30);
/// The deadline around one check.
const TIMEOUT: Micros = Micros::from_secs(10);

/// How long an announced restart may take before it is an outage.
const RESTART_BUDGET: Micros = Micros::from_secs(30);
/// None at all, up to what nobody calls a restart any more.
const RESTART_BUDGET_BOUNDS: RangeInclusive<Micros> = Micros::ZERO..=Micros::from_secs(600);
/// How long before a certificate ends people are told.
const CERTIFICATE_WARNING: Micros = Micros::from_secs(14 * 86_400);
/// Public certificates live 398 days at most.
const CERTIFICATE_WARNING_MAX: Micros = Micros::from_secs(398 * 86_400);

/// What a monitor is without being said.
#[derive(Clone)]
pub(super) struct Defaults {
    interval: Micros,
    timeout: Micros,
    quorum: Quorum,
    confirm_for: Option<Micros>,
    sensitivity: Sensitivity,
    calibrate: bool,
    latency: Option<LatencySla>,
    domains: Domains,
}

pub(super) fn defaults(root: &Section<'_>) -> Defaults {
    let section = root.section("defaults");
    let base = Defaults {
        interval: INTERVAL,
        timeout: TIMEOUT,
        quorum: Quorum::Default,
        confirm_for: None,
        sensitivity: Sensitivity::Balanced,
        calibrate: true,
        latency: None,
        domains: Domains::default(),
    };
    let defaults = rules(&section, &base);
    section.close();
    defaults
}

pub(super) fn monitors(
    root: &Section<'_>,
    defaults: &Defaults,
    regions: &[Region],
    channels: &[ChannelId],
    presets: &Presets,
) -> Vec<Monitor> {
    let mut monitors = Vec::new();
    let mut lines = BTreeMap::new();
    let mut family = Family::default();
    for item in root.list("monitors", "monitors, each as a [[monitors]] table") {
        if lines.len() == limits::MONITORS_PER_AGENT_MAX {
            item.refuse_for(format!("at most {} monitors", limits::MONITORS_PER_AGENT_MAX), "one more");
            break;
        }
        let Some(section) = item.section() else { continue };
        family.read(&section);
        monitors.extend(monitor(&section, defaults, regions, channels, presets, &mut lines));
        section.close();
    }
    family.settle(&mut monitors, &lines.into_keys().collect());
    monitors
}

fn monitor(
    section: &Section<'_>,
    defaults: &Defaults,
    regions: &[Region],
    channels: &[ChannelId],
    presets: &Presets,
    lines: &mut BTreeMap<String, usize>,
) -> Option<Monitor> {
    let id = own_id(section, "monitor", lines);
    let name = section.get("name").and_then(|item| title(&item));
    let rules = rules(section, defaults);
    let watching = watching(section, regions);
    let endpoint = endpoint(section);
    let login = authorization(section, endpoint.url.as_ref());
    let route = route(section, endpoint.url.as_ref());
    let Said { url, dialogue, canary } = said(section, presets, endpoint.url, rules.timeout);
    let idle_search = idle_search(section);
    let restart_budget = section.get("restart_budget").and_then(|item| span(&item, RESTART_BUDGET_BOUNDS));
    let restart_budget = restart_budget.unwrap_or(RESTART_BUDGET);
    let certificate_warning = certificate_warning(section);
    let certificate_degraded = certificate_degraded(section, certificate_warning);
    let heard_by = heard_by(section, channels);
    let policy = Policy {
        quorum: rules.quorum,
        confirm_for: rules.confirm_for,
        sensitivity: rules.sensitivity,
        restart_budget,
        domains: rules.domains.labels.clone(),
        min_domains: rules.domains.min,
        revision: 0,
        ..Policy::new(watching.iter().cloned().collect(), rules.interval, rules.timeout)
    };
    check_policy(section, &policy);
    promise::warn(section, &policy);
    check_latency(section, &policy, rules.latency, dialogue.samples.unwrap_or(1));
    let id = id?;
    let spec = MonitorSpec {
        hello: dialogue.hello.unwrap_or_default(),
        steps: dialogue.steps.unwrap_or_else(|| vec![Step::Ping { within: None }]),
        samples: dialogue.samples.unwrap_or(1),
        replies: dialogue.replies.unwrap_or_default(),
        headers: login.into_iter().chain(dialogue.headers).collect(),
        subprotocols: dialogue.subprotocols.unwrap_or_default(),
        origin: dialogue.origin,
        sni: endpoint.sni,
        connect_to: route.connect_to,
        ca_pem: endpoint.ca_pem,
        verify_tls: endpoint.verify_tls,
        client_certificate: endpoint.client_certificate,
        proxy: route.proxy,
        addresses: route.addresses,
        family: route.family,
        canary,
        idle_search,
        ..MonitorSpec::new(id.parse().ok()?, url?, rules.interval, rules.timeout)
    };
    // What single keys allow may be too much together; where one of them has a fault already, that is all to say.
    if section.document().is_faultless() && !spec.is_within_limits() {
        let wanted =
            format!("a monitor of at most {} bytes, texts and files together", limits::SPEC_BYTES_MAX);
        section.document().fault(section.line(), &section.path_of("id"), wanted, "more");
    }
    Some(Monitor {
        name: name.unwrap_or_else(|| id.clone()),
        spec,
        regions: watching,
        quorum: rules.quorum,
        confirm_for: rules.confirm_for,
        sensitivity: rules.sensitivity,
        calibrate: rules.calibrate,
        domains: rules.domains,
        restart_budget,
        certificate_warning,
        certificate_degraded,
        latency: rules.latency,
        channels: heard_by,
        depends_on: Vec::new(),
    })
}

/// A span before the end of the certificate; `false` or zero: nobody is told.
fn certificate_warning(section: &Section<'_>) -> Micros {
    let Some(item) = section.get("certificate_warning") else { return CERTIFICATE_WARNING };
    if item.value().as_bool() == Some(false) {
        return Micros::ZERO;
    }
    span(&item, Micros::ZERO..=CERTIFICATE_WARNING_MAX).unwrap_or(CERTIFICATE_WARNING)
}

/// The keys that `[defaults]` and a monitor share.
fn rules(section: &Section<'_>, base: &Defaults) -> Defaults {
    let interval_item = section.get("interval");
    let timeout_item = section.get("timeout");
    let interval_read =
        interval_item.as_ref().map(|item| span(item, limits::INTERVAL_MIN..=limits::INTERVAL_MAX));
    let timeout_read =
        timeout_item.as_ref().map(|item| span(item, limits::TIMEOUT_MIN..=limits::TIMEOUT_MAX));
    let readable = interval_read != Some(None) && timeout_read != Some(None);
    let interval = interval_read.flatten().unwrap_or(base.interval);
    let timeout = match timeout_read.flatten() {
        Some(timeout) => timeout,
        // A short interval brings a short timeout along; only what was said can contradict.
        None => base.timeout.min(interval),
    };
    if let (true, true, Some(item)) = (readable, timeout > interval, timeout_item.or(interval_item)) {
        item.refuse_for(format!("timeout at most interval, which is {interval}"), timeout.to_string());
    }
    let confirm_for = section.get("confirm_for");
    Defaults {
        interval,
        timeout,
        quorum: section.get("quorum").and_then(|item| quorum(&item)).unwrap_or(base.quorum),
        confirm_for: confirm_for
            .and_then(|item| span(&item, Micros::ZERO..=limits::INTERVAL_MAX))
            .or(base.confirm_for),
        sensitivity: section
            .get("sensitivity")
            .and_then(|item| sensitivity(&item))
            .unwrap_or(base.sensitivity),
        calibrate: section.get("calibrate").and_then(|item| item.boolean()).unwrap_or(base.calibrate),
        latency: latency(section, base.latency),
        domains: domains(section, &base.domains),
    }
}

fn quorum(item: &Item<'_>) -> Option<Quorum> {
    const WANTED: &str = "\"majority\", \"all-but-one\", \"all\" or a number of regions";
    let quorum = match item.value().as_str() {
        Some("majority") => Some(Quorum::Majority),
        Some("all-but-one") => Some(Quorum::AllButOne),
        Some("all") => Some(Quorum::All),
        Some(_) => None,
        None => item.integer().and_then(|number| u16::try_from(number).ok()).map(Quorum::AtLeast),
    };
    if quorum.is_none() || quorum == Some(Quorum::AtLeast(0)) {
        item.refuse(WANTED);
        return None;
    }
    quorum
}

fn sensitivity(item: &Item<'_>) -> Option<Sensitivity> {
    const WANTED: &str = "\"fast\", \"balanced\" or \"strict\"";
    match item.text(WANTED)?.as_str() {
        "fast" => Some(Sensitivity::Fast),
        "balanced" => Some(Sensitivity::Balanced),
        "strict" => Some(Sensitivity::Strict),
        _ => {
            item.refuse(WANTED);
            None
        }
    }
}

/// The regions that watch; all without being said.
fn watching(section: &Section<'_>, regions: &[Region]) -> Vec<Region> {
    if !section.has("regions") {
        return regions.to_vec();
    }
    let mut watching = Vec::new();
    for (region, item) in region_items(section, "regions") {
        if regions.contains(&region) {
            watching.push(region);
        } else {
            unknown(&item, "region", region.as_str(), regions.iter().map(Region::as_str));
        }
    }
    watching
}

/// The channels that hear of it; all without being said.
fn heard_by(section: &Section<'_>, channels: &[ChannelId]) -> Vec<ChannelId> {
    let given = section.get("channels");
    let heard_by: Vec<ChannelId> = match &given {
        None => channels.to_vec(),
        Some(item) => {
            let items = item.list("a list of channel ids").unwrap_or_default();
            items
                .iter()
                .filter_map(|item| known_channel(item, channels))
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect()
        }
    };
    if heard_by.is_empty() {
        let line = given.as_ref().map_or(section.line(), |item| item.line);
        let text = "no channel hears of this monitor: an outage is shown, and nobody is paged";
        section.document().warn(line, &section.path_of("channels"), text);
    }
    heard_by
}

fn known_channel(item: &Item<'_>, channels: &[ChannelId]) -> Option<ChannelId> {
    let id = item.text("a channel's id")?;
    if channels.contains(&id) {
        return Some(id);
    }
    unknown(item, "channel", &id, channels.iter().map(String::as_str));
    None
}

/// Refuses a policy that makes no sense, where the key at fault stands, or where it would.
fn check_policy(section: &Section<'_>, policy: &Policy) {
    let place = |key: &'static str| match section.get(key) {
        Some(item) => (item.line, item.path),
        None => (section.line(), section.path_of(key)),
    };
    for error in policy.validate() {
        let ((line, key), wanted, found) = match error {
            // No region at all was reported where it stands.
            PolicyError::NoRegions => continue,
            PolicyError::QuorumTooLarge { quorum, regions } => {
                let wanted = format!("a quorum of at most {regions}, the number of regions");
                (place("quorum"), wanted, quorum.to_string())
            }
            PolicyError::QuorumTooSmall(quorum) => {
                let wanted = "a quorum of at least 2, so that no region pages alone".to_owned();
                (place("quorum"), wanted, quorum.to_string())
            }
            PolicyError::ConfirmForTooLong { wanted } => {
                // In seconds, or 601 of them read as the ten minutes that are allowed.
                let [most, wanted] = [CONFIRM_FOR_MAX, wanted].map(|span| format!("{}s", span.as_secs_f64()));
                (place("confirm_for"), format!("at most {most}"), wanted)
            }
            PolicyError::DomainsTooMany { min_domains, regions } => {
                let wanted = format!("at most {regions} domains, the number of regions");
                (place("min_domains"), wanted, min_domains.to_string())
            }
            // A number that is none was refused where it stands.
            PolicyError::DomainsTooFew => continue,
        };
        section.document().fault(line, &key, wanted, found);
    }
}
