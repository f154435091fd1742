//! Assigned monitors, made ready once for all that is done with them.

use std::{collections::BTreeMap, sync::Arc};

use quorate_proto::{MonitorId, MonitorSpec};

use crate::probe::{Prepared, Prober};

/// All assigned monitors.
pub(super) struct Monitors {
    prober: Arc<Prober>,
    prepared: BTreeMap<MonitorId, Arc<Prepared>>,
}

impl Monitors {
    pub(super) fn new(prober: Arc<Prober>) -> Self {
        Self { prober, prepared: BTreeMap::new() }
    }

    /// Makes these monitors ready, and forgets all others. One that has not changed stays as it is, with what its checks
    /// remember.
    pub(super) fn set<'spec>(&mut self, specs: impl Iterator<Item = &'spec Arc<MonitorSpec>>) {
        let mut before = std::mem::take(&mut self.prepared);
        self.prepared = specs
            .map(|spec| {
                let same = before.remove(&spec.id).filter(|prepared| prepared.spec() == spec);
                let prepared = same.unwrap_or_else(|| Arc::new(self.prober.prepare(Arc::clone(spec))));
                (spec.id.clone(), prepared)
            })
            .collect();
    }

    /// All of them, by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Prepared>> {
        self.prepared.values()
    }

    /// The one that is assigned under this id.
    pub(super) fn get(&self, id: &MonitorId) -> Option<&Arc<Prepared>> {
        self.prepared.get(id)
    }
}
