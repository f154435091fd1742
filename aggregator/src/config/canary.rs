//! `canary` and `idle_timeout`: connections that agents hold open.

use quorate_proto::{
    Micros, Step,
    canary::{Canary, CanaryMode, IdleSearch},
    limits,
};

use super::{
    document::{Item, Section},
    spans::span,
};

/// Proxies commonly cut idle connections after 60 s.
const HEARTBEAT: Micros = Micros::from_secs(30);
/// How long the answer may take.
const GRACE: Micros = Micros::from_secs(10);
/// A path's timeout changes when somebody changes it.
const IDLE_SEARCH_EVERY: Micros = Micros::from_secs(86_400);
/// Longer than the defaults of the common proxies and NATs.
const IDLE_SEARCH_MAX: Micros = Micros::from_secs(20 * 60);

/// What one table says about canaries: a monitor, or its preset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CanaryKeys {
    on: Option<bool>,
    heartbeat: Option<Micros>,
    grace: Option<Micros>,
    mode: Option<CanaryMode>,
}

/// Reads `canary = true` or a table.
pub(super) fn canary_keys(section: &Section<'_>) -> CanaryKeys {
    let Some(item) = section.get("canary") else { return CanaryKeys::default() };
    if !item.is_table() {
        let on = item.value().as_bool();
        if on.is_none() {
            item.refuse(
                "true, false or a table such as { heartbeat = \"30s\", grace = \"10s\", mode = \"ping\" }",
            );
        }
        return CanaryKeys { on, ..CanaryKeys::default() };
    }
    let Some(table) = item.section() else { return CanaryKeys::default() };
    let spans = limits::CANARY_SPAN_MIN..=limits::CANARY_SPAN_MAX;
    let keys = CanaryKeys {
        on: Some(true),
        heartbeat: table.get("heartbeat").and_then(|item| span(&item, spans.clone())),
        grace: table.get("grace").and_then(|item| span(&item, spans)),
        mode: table.get("mode").and_then(|item| mode(&item)),
    };
    table.close();
    keys
}

fn mode(item: &Item<'_>) -> Option<CanaryMode> {
    const WANTED: &str = "\"ping\", \"steps\" or \"listen\"";
    let text = item.text(WANTED)?;
    let modes = [CanaryMode::Ping, CanaryMode::Steps, CanaryMode::Listen];
    let mode = modes.into_iter().find(|mode| mode.name() == text);
    if mode.is_none() {
        item.refuse(WANTED);
    }
    mode
}

impl CanaryKeys {
    /// The mode, where these are all the keys.
    pub(super) fn mode_for(self, spec: &Spoken<'_>) -> CanaryMode {
        self.mode.unwrap_or_else(|| spec.default_mode())
    }

    /// The canary of a monitor with these steps, where it wants one. What its own table leaves open, its preset says.
    pub(super) fn resolved(self, preset: Self, section: &Section<'_>, spec: &Spoken<'_>) -> Option<Canary> {
        if self.on != Some(true) {
            return None;
        }
        let place = section.get("canary")?;
        let keys = Self { mode: self.mode.or(preset.mode), ..self };
        let (said, mode) = (keys.mode, keys.mode_for(spec));
        let heartbeat = self.heartbeat.or(preset.heartbeat).unwrap_or(HEARTBEAT);
        let grace = self.grace.or(preset.grace).unwrap_or(GRACE);
        match mode {
            CanaryMode::Steps if !spec.has_round_trip() => {
                let wanted = "steps with something to send and something to expect, or mode = \"ping\"";
                place.refuse_for(wanted, "mode = \"steps\" without such steps");
            }
            CanaryMode::Steps if said.is_none() && !spec.is_repeatable() => place.warn(
                "the steps are the heartbeat, said again and again on one connection: move a login or a subscription \
                 from steps to hello, or set mode = \"ping\"",
            ),
            CanaryMode::Listen if spec.streams() && self.heartbeat.is_some() => {
                let wanted = "no heartbeat: in mode \"listen\" expect_every of the steps is the span";
                place.refuse_for(wanted, "heartbeat");
            }
            CanaryMode::Ping | CanaryMode::Steps | CanaryMode::Listen => {}
        }
        if heartbeat > Micros::from_secs(60) {
            place.warn("many proxies cut a connection that is idle for 60s: a heartbeat that is longer may come too late");
        }
        Some(Canary { heartbeat, grace, mode })
    }
}

/// What a monitor says on its connections.
pub(super) struct Spoken<'a> {
    pub(super) hello: &'a [Step],
    pub(super) steps: &'a [Step],
}

impl Spoken<'_> {
    /// `listen` where the server sends by itself; `steps` where there is a round trip to repeat; `ping` otherwise.
    fn default_mode(&self) -> CanaryMode {
        if self.streams() {
            CanaryMode::Listen
        } else if self.steps.iter().any(|step| matches!(step, Step::Send(_))) && self.has_round_trip() {
            CanaryMode::Steps
        } else {
            CanaryMode::Ping
        }
    }

    fn streams(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Stream(_)))
    }

    fn has_round_trip(&self) -> bool {
        let sends = self.steps.iter().any(|step| matches!(step, Step::Send(_) | Step::Ping { .. }));
        let waits = self.steps.iter().any(|step| matches!(step, Step::Expect(_) | Step::Ping { .. }));
        sends && waits
    }

    /// Whether the steps look as if they may be said twice: what must be said once stands in a hello of its own, or what
    /// is said carries a number of its own.
    fn is_repeatable(&self) -> bool {
        let numbered = |step: &Step| match step {
            Step::Send(quorate_proto::Payload::Text(text)) => text.contains("{{"),
            Step::Send(quorate_proto::Payload::Binary(_)) | Step::Expect(_) | Step::Stream(_) => false,
            Step::Ping { .. } => true,
        };
        !self.hello.is_empty() || self.steps.iter().any(numbered)
    }
}

/// Reads `idle_timeout = true` or a table.
pub(super) fn idle_search(section: &Section<'_>) -> Option<IdleSearch> {
    let item = section.get("idle_timeout")?;
    if !item.is_table() {
        let on = item.value().as_bool();
        if on.is_none() {
            item.refuse("true, false or a table such as { every = \"24h\", max = \"20m\" }");
        }
        return on?.then_some(IdleSearch { every: IDLE_SEARCH_EVERY, max: IDLE_SEARCH_MAX });
    }
    let table = item.section()?;
    let every_bounds = limits::IDLE_SEARCH_INTERVAL_MIN..=Micros::from_secs(90 * 86_400);
    let max_bounds = limits::IDLE_SEARCH_MAX_MIN..=limits::IDLE_SEARCH_MAX_MAX;
    let search = IdleSearch {
        every: table.get("every").and_then(|item| span(&item, every_bounds)).unwrap_or(IDLE_SEARCH_EVERY),
        max: table.get("max").and_then(|item| span(&item, max_bounds)).unwrap_or(IDLE_SEARCH_MAX),
    };
    if let (true, Some(max)) = (search.max >= search.every, table.get("max")) {
        max.refuse_for(format!("max below every, which is {}", search.every), search.max.to_string());
    }
    table.close();
    Some(search)
}
