//! Canaries: the pure machines by cases and by chance, and the task against servers that misbehave.

mod attempts;
mod concern;
mod ends;
mod machine;
mod server;

use std::sync::Arc;

use quorate_proto::{
    Micros, MonitorSpec,
    canary::{Canary, CanaryMode},
};

use crate::{
    egress::Egress,
    probe::{self, Nameservers, Prober},
};

fn prober() -> Arc<Prober> {
    let options = probe::Options {
        egress: Egress::Private,
        region: None,
        nameservers: Nameservers::System,
        proxy: None,
    };
    Arc::new(Prober::new(options).unwrap())
}

/// A monitor with a canary; spans in milliseconds.
fn spec(url: &str, mode: CanaryMode, heartbeat: u64, grace: u64) -> MonitorSpec {
    let (interval, timeout) = (Micros::from_secs(60), Micros::from_secs(10));
    MonitorSpec {
        steps: Vec::new(),
        canary: Some(Canary {
            heartbeat: Micros::from_millis(heartbeat),
            grace: Micros::from_millis(grace),
            mode,
        }),
        ..MonitorSpec::new("m".parse().unwrap(), url, interval, timeout)
    }
}
