//! A monitor that was made ready once, for all checks and canaries on it.

use std::{fmt, sync::Arc};

use quorate_proto::{Failure, FailureKind, MonitorSpec, Phase};

use super::{Prober, plan::Plan};

/// A monitor, made ready. What its checks and canaries remember of the ones before them lives as long as this.
pub struct Prepared {
    spec: Arc<MonitorSpec>,
    plan: Result<Plan, Failure>,
}

impl Prober {
    /// Makes a monitor ready. What is wrong with its specification is what every check of it then fails with.
    pub fn prepare(&self, spec: Arc<MonitorSpec>) -> Prepared {
        let plan = Plan::new(&spec, self.region.as_ref());
        let broken = |error: super::plan::PlanError| {
            Failure::new(FailureKind::AgentFault, Phase::Dns, error.to_string())
        };
        Prepared { spec, plan: plan.map_err(broken) }
    }
}

impl Prepared {
    /// The specification.
    pub fn spec(&self) -> &Arc<MonitorSpec> {
        &self.spec
    }

    pub(crate) fn plan(&self) -> Result<&Plan, &Failure> {
        self.plan.as_ref()
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Prepared").field(&self.spec.id).finish()
    }
}

#[cfg(test)]
impl Prepared {
    /// A conversation on a connection of this monitor, behind a hello that waits for nothing.
    pub(crate) fn conversation(&self, at: crate::clock::Now) -> super::conversation::Conversation {
        let script = Arc::clone(&self.plan().expect("a sound specification").script);
        let seeds = super::expand::Seeds::random().expect("random bytes");
        let mut conversation = super::conversation::Conversation::new(script, seeds);
        while conversation.poll(at) != super::conversation::Action::Idle {}
        conversation
    }
}
