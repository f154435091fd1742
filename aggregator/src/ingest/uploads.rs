//! The uploads of one connection: one stream a unit, read side by side, handed to the core in the order in which the
//! agent opened them, acknowledged when the core says so.
//!
//! The order costs nothing: units are chained, so the core cannot store one before its predecessor anyway. What is
//! kept is bounded three times: by the streams that a connection may have, by [`limits::UPLOADS_MAX`] over all
//! connections, and by the core's queue, for whose room an upload waits without anything more being read.

use std::sync::Arc;

use futures_util::{
    StreamExt as _,
    stream::{FuturesOrdered, FuturesUnordered},
};
use quinn::{Connection, RecvStream, SendStream};
use quorate_proto::{
    AgentKey, AggregatorKey, Authentic, Micros, Refusal, SignedUnit,
    frame::{Ack, AckVerdict, Upload},
    limits::{ACK_FRAME_BYTES_MAX, UPLOAD_FRAME_BYTES_MAX, UPLOADS_IN_FLIGHT_MAX},
    verify,
};
use quorate_quorum::Moment;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    Shared,
    connection::End,
    wire::{FrameFault, read_only, send},
};
use crate::{clock, limits, model::Intake};

/// A unit that may go to the core, and the stream that waits for its acknowledgement.
struct Arrival {
    unit: Authentic,
    held: Option<Micros>,
    received: Moment,
    reply: SendStream,
    permit: OwnedSemaphorePermit,
}

/// Why an upload does not go to the core.
enum Fault {
    Frame(FrameFault),
    Refused(Refusal),
}

/// Takes uploads until the connection ends.
pub(super) async fn receive(shared: &Shared, connection: &Connection, agent: AgentKey, number: u64) -> End {
    let mut opened: Option<(SendStream, RecvStream)> = None;
    let mut reading = FuturesOrdered::new();
    let mut ready: Option<Arrival> = None;
    let mut deciding = FuturesUnordered::new();
    loop {
        let busy = reading.len() + deciding.len() + usize::from(ready.is_some());
        tokio::select! {
            stream = connection.accept_bi(), if opened.is_none() && busy < UPLOADS_IN_FLIGHT_MAX => match stream {
                Ok(stream) => opened = Some(stream),
                Err(error) => return End::Lost(error),
            },
            permit = Arc::clone(&shared.uploads).acquire_owned(), if opened.is_some() => {
                let Ok(permit) = permit else { return End::GoingAway };
                if let Some(streams) = opened.take() {
                    reading.push_back(read(streams, permit, agent, shared.aggregator));
                }
            }
            Some(read) = reading.next(), if ready.is_none() => match read {
                Ok(arrival) => ready = Some(arrival),
                Err(Fault::Frame(FrameFault::Gone)) => {}
                Err(Fault::Frame(fault)) => return End::Fault(fault),
                Err(Fault::Refused(refusal)) => return End::Refused(refusal),
            },
            room = shared.intake.reserve(), if ready.is_some() => {
                let Ok(room) = room else { return End::GoingAway };
                let Some(arrival) = ready.take() else { continue };
                let Arrival { unit, held, received, reply, permit } = arrival;
                let (ack, verdict) = oneshot::channel();
                let place = *unit.place();
                room.send(Intake::Unit { unit: Box::new(unit), connection: number, held, received, ack });
                deciding.push(answer(Pending { place, verdict, reply, permit }));
            }
            Some(()) = deciding.next() => {}
        }
    }
}

async fn read(
    (reply, mut stream): (SendStream, RecvStream),
    permit: OwnedSemaphorePermit,
    agent: AgentKey,
    aggregator: AggregatorKey,
) -> Result<Arrival, Fault> {
    let upload: Upload = read_only(&mut stream, UPLOAD_FRAME_BYTES_MAX, limits::UPLOAD_DEADLINE)
        .await
        .map_err(Fault::Frame)?;
    let received = clock::now();
    let unit = authenticate(upload.unit, &agent, &aggregator).map_err(Fault::Refused)?;
    Ok(Arrival { unit, held: upload.held, received, reply, permit })
}

/// Parses and verifies a unit, some 50 us of work for a large one, which is done in place.
fn authenticate(bytes: Vec<u8>, agent: &AgentKey, aggregator: &AggregatorKey) -> Result<Authentic, Refusal> {
    verify::authenticate(SignedUnit::parse(bytes)?, agent, aggregator)
}

struct Pending {
    place: quorate_proto::unit::Place,
    verdict: oneshot::Receiver<AckVerdict>,
    reply: SendStream,
    permit: OwnedSemaphorePermit,
}

/// Waits for the core's verdict and sends it, unless the agent gave the upload up meanwhile.
async fn answer(pending: Pending) {
    let Pending { place, verdict, mut reply, permit } = pending;
    let verdict = tokio::select! {
        verdict = verdict => verdict,
        _ = reply.stopped() => return,
    };
    drop(permit);
    // A core that drops the question is ending: the agent keeps the unit.
    let verdict = verdict.unwrap_or(AckVerdict::Busy);
    let ack = Ack { epoch: place.epoch, sequence: place.sequence, verdict };
    if send(&mut reply, &ack, ACK_FRAME_BYTES_MAX, limits::CONTROL_DEADLINE).await.is_ok() {
        // The stream is still open: `send` has just written to it.
        let _ = reply.finish();
    }
}
