//! One connection of a search: opened, silent, asked.

use quorate_proto::{Failure, FailureKind, Micros, Phase};
use tokio::time::{sleep, timeout};

use super::planner::{Observation, Seen};
use crate::{
    clock::{Tick, now, tick},
    probe::{
        Prepared, Prober,
        held::{Action, Conversation, Held, Opened, Outgoing, Received},
    },
};

/// What is asked first, to know that the server answers, and what is asked in the end.
const PAYLOADS: [[u8; 8]; 2] = [*b"idle? 01", *b"idle? 02"];

/// An open connection of a search.
struct Silent {
    held: Held,
    /// For what the monitor wants to be answered: a server that is not answered ends a connection that is not idle.
    conversation: Conversation,
    /// How long an answer may take.
    within: Micros,
}

/// Opens a connection after a delay, leaves it alone for `idle`, and asks whether it still lives.
pub(super) async fn watch(
    prober: &Prober,
    prepared: &Prepared,
    idle: Micros,
    delay: Micros,
    search: Tick,
) -> Observation {
    sleep(delay.into()).await;
    let seen = Box::pin(observe(prober, prepared, idle, search)).await;
    Observation { idle, seen }
}

async fn observe(prober: &Prober, prepared: &Prepared, idle: Micros, search: Tick) -> Seen {
    let [first, last] = PAYLOADS;
    let mut silent = match prober.hold(prepared).await {
        Ok(Opened { held, conversation, .. }) => {
            Silent { held, conversation, within: prepared.spec().timeout }
        }
        Err(not_opened) => return Seen::Failed(not_opened.failure),
    };
    if let Err(Failure { kind, phase, detail, .. }) = silent.ask(first).await {
        let detail = format!("the first ping was not answered, so a silent cut could not be seen: {detail}");
        silent.held.part();
        return Seen::Failed(Failure::new(kind, phase, detail));
    }
    let ended = timeout(idle.into(), silent.until_it_ends(tick())).await;
    let seen = match ended {
        Ok((age, failure)) => Seen::Ended { age, at: tick().since(search), failure },
        Err(_) => match silent.ask(last).await {
            Ok(()) => Seen::Survived,
            Err(failure) => Seen::Dead(failure),
        },
    };
    silent.held.part();
    seen
}

impl Silent {
    /// Takes what comes. Gives how long nothing was said in either direction before the end, and the end.
    async fn until_it_ends(&mut self, mut since: Tick) -> (Micros, Failure) {
        loop {
            match self.receive().await {
                Ok(_) => since = tick(),
                Err(failure) => return (tick().since(since), failure),
            }
        }
    }

    /// Pings, and waits for the pong.
    async fn ask(&mut self, payload: [u8; 8]) -> Result<(), Failure> {
        self.held.send(Outgoing::Ping(payload)).map_err(|failure| *failure)?;
        let within = self.within;
        let answer = async {
            while self.receive().await? != Received::Pong(payload.to_vec().into()) {}
            Ok(())
        };
        match timeout(within.into(), answer).await {
            Ok(answered) => answered,
            Err(_) => {
                let kind = FailureKind::SilentDrop(self.held.silent_drop());
                Err(Failure::new(kind, Phase::Exchange, format!("no pong within {within}")))
            }
        }
    }

    /// The next frame, answered where the monitor says how.
    async fn receive(&mut self) -> Result<Received, Failure> {
        let received = self.held.receive().await?;
        self.conversation.handle(now(), received.inbound());
        while let Action::Send(outgoing) = self.conversation.poll(now()) {
            self.held.send(outgoing).map_err(|failure| *failure)?;
        }
        Ok(received)
    }
}
