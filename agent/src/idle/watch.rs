//! One connection of a search: opened, silent, asked.

use quorate_proto::{Failure, FailureKind, Micros, MonitorSpec, Phase};
use tokio::time::{sleep, timeout};

use super::planner::{Observation, Seen};
use crate::{
    clock::{Tick, tick},
    probe::{
        Prober,
        held::{Held, Inbound, Outbound},
    },
};

/// What is asked first, to know that the server answers, and what is asked in the end.
const PAYLOADS: [[u8; 8]; 2] = [*b"idle? 01", *b"idle? 02"];

/// Opens a connection after a delay, leaves it alone for `idle`, and asks whether it still lives.
pub(super) async fn watch(
    prober: &Prober,
    spec: &MonitorSpec,
    idle: Micros,
    delay: Micros,
    search: Tick,
) -> Observation {
    sleep(delay.into()).await;
    let seen = Box::pin(observe(prober, spec, idle, search)).await;
    Observation { idle, seen }
}

async fn observe(prober: &Prober, spec: &MonitorSpec, idle: Micros, search: Tick) -> Seen {
    let [first, last] = PAYLOADS;
    let mut held = match prober.hold(spec).await {
        Ok(opened) => opened.held,
        Err(not_opened) => return Seen::Failed(not_opened.failure),
    };
    if let Err(failure) = ask(&mut held, first, spec.timeout).await {
        let detail = format!(
            "it does not answer a ping, so that nobody can tell whether it lives: {}",
            failure.detail
        );
        held.part();
        return Seen::Failed(Failure::new(failure.kind, failure.phase, detail));
    }
    let since = tick();
    let ended = timeout(idle.into(), until_it_ends(&mut held, since)).await;
    let seen = match ended {
        Ok((age, failure)) => Seen::Ended { age, at: tick().since(search), failure },
        Err(_) => match ask(&mut held, last, spec.timeout).await {
            Ok(()) => Seen::Survived,
            Err(failure) => Seen::Dead(failure),
        },
    };
    held.part();
    seen
}

/// Takes what comes. Gives how long nothing was said in either direction before the end, and the end.
async fn until_it_ends(held: &mut Held, mut since: Tick) -> (Micros, Failure) {
    loop {
        match held.receive().await {
            Ok(_) => since = tick(),
            Err(failure) => return (tick().since(since), failure),
        }
    }
}

/// Pings, and waits for the pong.
async fn ask(held: &mut Held, payload: [u8; 8], within: Micros) -> Result<(), Failure> {
    held.send(Outbound::Ping(payload))?;
    let answer = async {
        loop {
            if held.receive().await? == Inbound::Pong(payload.to_vec().into()) {
                return Ok(());
            }
        }
    };
    match timeout(within.into(), answer).await {
        Ok(answered) => answered,
        Err(_) => {
            let kind = FailureKind::SilentDrop(held.silent_drop());
            Err(Failure::new(kind, Phase::Exchange, format!("no pong within {within}")))
        }
    }
}
