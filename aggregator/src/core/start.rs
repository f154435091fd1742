//! The beginning: what the store remembers becomes the core's state, and nobody is paged for it.

use std::{collections::BTreeMap, sync::Arc};

use quorate_proto::AggregatorKey;
use quorate_quorum::{Engine, Paging, PagingEvent, quality::Quality};

use super::{
    assign::Assignments,
    effect::{Effect, Now},
    enrol::Enrolment,
    ledger::Ledger,
    maintenance::MaintenanceDesk,
    outbox::Outbox,
    picture::Canvas,
    state::{Agent, Core, Remembered},
};
use crate::{
    config::Config,
    model::{Counts, Dispatch, Kept},
    store::{Change, Recovered},
};

/// The data folder's agents know their aggregator by another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the database belongs to an aggregator with the key {stored}, and this one has {present}: its agents would refuse \
     it. Put the key file back that belongs to this data folder"
)]
pub struct ForeignKey {
    /// The key that the database knows.
    pub stored: AggregatorKey,
    /// The key that there is.
    pub present: AggregatorKey,
}

impl Core {
    /// A core that goes on where the last one ended.
    ///
    /// # Errors
    /// [`ForeignKey`].
    pub(super) fn start(
        config: Arc<Config>,
        key: AggregatorKey,
        address: String,
        recovered: Recovered,
        now: Now,
    ) -> Result<Self, ForeignKey> {
        if let Some(stored) = recovered.aggregator_key.filter(|stored| *stored != key) {
            return Err(ForeignKey { stored, present: key });
        }
        let is_new = recovered.aggregator_key.is_none();
        let ran_until = recovered.ran_until;
        let channels = config.channels.clone();
        let mut core = Self::restored(Arc::clone(&config), key, address, recovered, now);
        if is_new {
            core.ledger.change(Change::AggregatorKey(key), now.moment);
        }
        if let Some(ran_until) = ran_until {
            core.was_away(ran_until, now);
        }
        core.publish_roster();
        core.effects.push(Effect::Dispatch(Dispatch::Channels(channels)));
        for delivery in core.outbox.pending.keys().copied().collect::<Vec<_>>() {
            core.deliver(delivery);
        }
        core.applied_at = now.moment;
        core.enrol_all(now);
        core.maintenance.settling_since = Some(now.moment);
        core.configure(config, now);
        core.begin_paging(now);
        core.on_time(now);
        Ok(core)
    }

    /// Paging knows of all monitors; it is told of the agents, and goes on.
    fn begin_paging(&mut self, now: Now) {
        let agents = self.enrolment.active().map(|record| (record.key, record.region.clone()));
        for (agent, region) in agents.collect::<Vec<_>>() {
            self.page(PagingEvent::Enrolled { agent, region }, now);
        }
        self.page(PagingEvent::Started, now);
    }

    fn restored(
        config: Arc<Config>,
        key: AggregatorKey,
        address: String,
        recovered: Recovered,
        now: Now,
    ) -> Self {
        let verdicts = recovered.verdicts.iter().map(|(monitor, stored)| (monitor.clone(), stored.verdict));
        let memories = recovered.paging.values().cloned().filter_map(Kept::into_memory);
        let paging = Paging::restored(config.paging, memories, verdicts, now.moment);
        let mut given = recovered.given;
        let mut chains = recovered.chains;
        let agents = recovered.agents.iter().map(|record| {
            let stored = chains.remove(&record.key).unwrap_or_default();
            let agent = Agent {
                admitted: stored.clone(),
                decided: stored.clone(),
                stored,
                given: given.remove(&record.key).unwrap_or_default(),
                ..Agent::default()
            };
            (record.key, agent)
        });
        let mut core = Self {
            aggregator: key,
            address,
            config,
            engine: Engine::default(),
            quality: Quality::default(),
            agents: agents.collect(),
            enrolment: Enrolment {
                records: recovered.agents.into_iter().map(|record| (record.key, record)).collect(),
                tokens: recovered.join_tokens.into_iter().map(|token| (token.id, token)).collect(),
            },
            monitors: BTreeMap::new(),
            assignments: Assignments::restored(recovered.revision, recovered.monitors),
            incidents: recovered
                .incidents_open
                .into_iter()
                .map(|open| (open.incident.monitor.id.clone(), open))
                .collect(),
            restored: recovered.verdicts,
            remembered: Remembered {
                said: recovered.said,
                tls: recovered.tls,
                quality: recovered.quality,
                calibration: recovered.calibration,
            },
            maintenance: MaintenanceDesk::restored(recovered.maintenance, recovered.ran_until),
            outbox: Outbox {
                next: recovered.delivery_next,
                pending: recovered.deliveries_pending.into_iter().map(|row| (row.id, row)).collect(),
            },
            ledger: Ledger::default(),
            parked_until: None,
            counts: Counts::default(),
            canvas: Canvas::default(),
            effects: Vec::new(),
            ticked_at: Default::default(),
            judged_at: Default::default(),
            pulsed_at: Default::default(),
            applied_at: Default::default(),
            paging,
            told: BTreeMap::new(),
            causes_of_flapping: BTreeMap::new(),
        };
        for (key, kept) in recovered.paging {
            core.told_before(key, kept);
        }
        core
    }
}
