//! Sends what the spool holds: one stream a unit, many on the way at once, opened in order.
//!
//! When the aggregator is busy, because its disk is full or a unit overtook its predecessor, the unit is kept and sent
//! again after a pause, and again until it is taken. Meanwhile newer units still go out: the aggregator decides on them
//! although it cannot store them. Once the kept one is taken, all that is not acknowledged is sent again, in order.

use std::pin::Pin;

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use quinn::{Connection, RecvStream, SendStream};
use quorate_proto::{
    Micros,
    frame::{Ack, AckVerdict, Upload},
    limits::{ACK_FRAME_BYTES_MAX, UPLOAD_FRAME_BYTES_MAX, UPLOADS_IN_FLIGHT_MAX},
};
use tokio::time::{Sleep, sleep, timeout};

use super::{
    assembly::Breach,
    flow::Flow,
    session::Stop,
    wire::{Outgoing, WireFault, read},
};
use crate::{
    clock, limits,
    spool::{Parcel, Parcels},
};

/// New units on the way at once: one stream is left for the unit that is sent again.
const NEW_IN_FLIGHT_MAX: usize = UPLOADS_IN_FLIGHT_MAX - 1;

/// Sends units until the connection ends.
pub(super) async fn send(connection: &Connection, parcels: &mut Parcels) -> Stop {
    let mut flow = Flow::default();
    let mut on_the_way = FuturesUnordered::new();
    let mut bytes_on_the_way = 0;
    let mut pause: Option<Pin<Box<Sleep>>> = None;
    loop {
        if on_the_way.is_empty() && flow.starts_again() {
            parcels.rewind();
        }
        let room = on_the_way.len() < NEW_IN_FLIGHT_MAX
            && bytes_on_the_way < limits::UPLOAD_BYTES_IN_FLIGHT_MAX
            && flow.takes_new();
        let parcel = tokio::select! {
            parcel = parcels.next(), if room => parcel,
            () = over(&mut pause), if pause.is_some() => {
                pause = None;
                let Some(parcel) = flow.stalled() else { continue };
                parcel.clone()
            }
            Some(outcome) = on_the_way.next() => {
                let (parcel, verdict): (Parcel, Result<AckVerdict, Stop>) = outcome;
                bytes_on_the_way = bytes_on_the_way.saturating_sub(parcel.unit.len());
                let verdict = match verdict {
                    Ok(verdict) => verdict,
                    Err(stop) => return stop,
                };
                match verdict {
                    AckVerdict::Stored | AckVerdict::Refused => {
                        parcels.settle(parcel.epoch, parcel.sequence, verdict);
                    }
                    // The spool would hold back newer units, too; it hears of it by the rewind that follows.
                    AckVerdict::Busy => {}
                }
                tracing::trace!(epoch = parcel.epoch.0, sequence = parcel.sequence.0, ?verdict, "answered");
                if let Some(span) = flow.handle(parcel, verdict) {
                    pause = Some(Box::pin(sleep(span.into())));
                }
                continue;
            }
        };
        // Opened here and not in the upload's own future, so that streams have the order of the units.
        let stream = match timeout(limits::OPEN_DEADLINE.into(), connection.open_bi()).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) => return WireFault::Gone.into(),
            Err(_) => return WireFault::Slow.into(),
        };
        bytes_on_the_way += parcel.unit.len();
        on_the_way.push(upload(stream, parcel));
    }
}

async fn over(pause: &mut Option<Pin<Box<Sleep>>>) {
    if let Some(pause) = pause {
        pause.await;
    }
}

async fn upload(
    (send, mut receive): (SendStream, RecvStream),
    parcel: Parcel,
) -> (Parcel, Result<AckVerdict, Stop>) {
    let mut send = Outgoing::new(send);
    let verdict = timeout(limits::ACK_DEADLINE.into(), dialogue(&mut send, &mut receive, &parcel)).await;
    let verdict = match verdict.unwrap_or(Err(WireFault::Slow)) {
        Ok(ack) if (ack.epoch, ack.sequence) == (parcel.epoch, parcel.sequence) => Ok(ack.verdict),
        Ok(_) => Err(Breach::Ack.into()),
        Err(WireFault::Frame(error)) => Err(WireFault::Frame(error).into()),
        // No verdict: the aggregator may or may not have the unit, and sending it again does no harm.
        Err(WireFault::Slow | WireFault::Gone) => Ok(AckVerdict::Busy),
    };
    (parcel, verdict)
}

async fn dialogue(send: &mut Outgoing, receive: &mut RecvStream, parcel: &Parcel) -> Result<Ack, WireFault> {
    let held: Option<Micros> = parcel.signed_at.map(|signed_at| clock::tick().since(signed_at));
    let upload = Upload { unit: parcel.unit.clone(), held };
    send.send(&upload, UPLOAD_FRAME_BYTES_MAX, limits::ACK_DEADLINE).await?;
    send.finish();
    read(receive, ACK_FRAME_BYTES_MAX).await
}
