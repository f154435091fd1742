//! Which runs there are: by the step of the protocol, by the durable point, by chance.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    house::{AGGREGATOR, Plan, RECEIVER, SERVER, name},
    machine::{Fault, Trigger},
};

/// With the evidence that two rounds of checks give, a page comes within an interval, a timeout, and the ways of packets.
pub(crate) const FAST: &str = "sensitivity = \"fast\"";
const FAST_WITHIN: Duration = Duration::from_millis(6_500);
/// Five regions, balanced: an interval, a timeout, the evidence span of 11 s, another round.
const BALANCED_WITHIN: Duration = Duration::from_secs(18);

/// The short day on which every step of the protocol happens once: agents join, check, find an outage, and its end.
pub(crate) fn short_day(seed: u64) -> Plan {
    let outage = Fault::Crash { host: SERVER.to_owned(), down: secs(9.0) };
    Plan {
        timeline: vec![(secs(5.0), outage)],
        defaults: FAST.to_owned(),
        page_within: FAST_WITHIN,
        ..Plan::quiet(seed, 3, secs(28.0))
    }
}

/// The ways in which one host may be cut off: from everybody, from the aggregator (and that from one agent), from everybody
/// in one direction, and in the other.
pub(crate) fn cuts(host: &str, others: &[String]) -> Vec<Vec<(String, String)>> {
    let way = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    let out = |to: &String| way(host, to);
    let back = |from: &String| way(from, host);
    let all: Vec<_> = others.iter().filter(|other| *other != host).cloned().collect();
    let one = vec![AGGREGATOR.to_owned()];
    let one = if host == AGGREGATOR { vec![name(0)] } else { one };
    vec![
        all.iter().map(out).chain(all.iter().map(back)).collect(),
        one.iter().map(out).chain(one.iter().map(back)).collect(),
        all.iter().map(out).collect(),
        all.iter().map(back).collect(),
    ]
}

/// A run by chance: an outage that must be found, and up to three troubles.
pub(crate) fn by_chance(seed: u64) -> Plan {
    let mut chance = fastrand::Rng::with_seed(seed);
    let balanced = chance.u8(..5) == 0;
    let agents = if balanced { 5 } else { 3 };
    let outage_at = secs(6.0 + 6.0 * chance.f64());
    let outage = if balanced { secs(24.0) } else { secs(9.0 + 5.0 * chance.f64()) };
    let mut timeline = vec![(outage_at, Fault::Crash { host: SERVER.to_owned(), down: outage })];
    let mut blind = false;
    let mut end = outage_at + outage;
    for _ in 0..chance.usize(..=3) {
        let at = secs(16.0 * chance.f64());
        let fault = trouble(&mut chance, agents, &mut blind);
        let span = match &fault {
            Fault::Crash { down, .. } => *down,
            Fault::Cut { span, .. } => *span,
        };
        end = end.max(at + span);
        timeline.push((at, fault));
    }
    let ahead = (0..agents).filter(|_| chance.u8(..4) == 0).map(name);
    let ahead: BTreeMap<_, _> =
        ahead.collect::<Vec<_>>().into_iter().map(|host| (host, chance.i64(-600..600) * 1_000_000)).collect();
    Plan {
        timeline,
        trigger: None,
        loss: if chance.bool() { 0.0 } else { 0.04 * chance.f64() },
        latency: secs(0.01 + 0.12 * chance.f64()),
        ahead,
        answers: (0..chance.usize(..3)).map(|_| pick(&mut chance, &[0, 500, 503]).unwrap_or(200)).collect(),
        defaults: if balanced { String::new() } else { FAST.to_owned() },
        page_within: if balanced { BALANCED_WITHIN } else { FAST_WITHIN },
        ..Plan::quiet(seed, agents, end + secs(20.0))
    }
}

/// One trouble. At most one agent loses its way to the server, so that a quorum always knows how the server is.
fn trouble(chance: &mut fastrand::Rng, agents: usize, blind: &mut bool) -> Fault {
    let agent = name(chance.usize(..agents));
    let mut others = vec![AGGREGATOR.to_owned(), SERVER.to_owned(), RECEIVER.to_owned()];
    others.extend((0..agents).map(name));
    if chance.u8(..5) < 2 {
        let host = pick(chance, &[AGGREGATOR.to_owned(), RECEIVER.to_owned(), agent]).unwrap_or_default();
        return Fault::Crash { host, down: secs(0.2 + 6.0 * chance.f64()) };
    }
    let host = if chance.bool() { AGGREGATOR.to_owned() } else { agent };
    let mut cuts = cuts(&host, &others);
    let mut ways = cuts.swap_remove(chance.usize(..cuts.len()));
    let blinds = |(from, to): &(String, String)| from == SERVER || to == SERVER;
    if host != AGGREGATOR && ways.iter().any(blinds) && std::mem::replace(blind, true) {
        ways.retain(|way| !blinds(way));
    }
    Fault::Cut { ways, span: secs(0.5 + 14.0 * chance.f64()) }
}

/// One of a list.
fn pick<T: Clone>(chance: &mut fastrand::Rng, list: &[T]) -> Option<T> {
    list.get(chance.usize(..list.len())).cloned()
}

/// A trigger at a passage.
pub(crate) fn at(host: &str, passage: u64, fault: Fault) -> Option<Trigger> {
    Some(Trigger { host: host.to_owned(), passage, fault })
}

pub(crate) fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
