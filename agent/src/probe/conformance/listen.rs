//! What a server says by itself to a client that says nothing, not even pong: whether it sends heartbeats, and whether it
//! notices that nobody answers them.

use quorate_proto::{Micros, MonitorSpec};
use tokio::time::timeout;

use super::{
    Variant, open_whole,
    raw::{End, PING, Raw},
};
use crate::{clock::tick, limits, probe::Prober};

/// What was heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// For how long the connection was listened to.
    pub listened: Micros,
    /// When the first protocol ping came, since the upgrade.
    pub first_ping: Option<Micros>,
    /// How many came.
    pub pings: u32,
    /// When the first message came.
    pub first_message: Option<Micros>,
    /// How many came.
    pub messages: u32,
    /// When the server ended the connection, and with which code; 1006 without a close frame.
    pub ended: Option<(Micros, u16)>,
    /// Why it could not be listened to.
    pub fault: Option<String>,
}

/// Listens for a span, or until the future is dropped.
pub(super) async fn listen(prober: &Prober, spec: &MonitorSpec, span: Option<Micros>, heard: &mut Heard) {
    let mut raw = match open_whole(prober, spec, Variant::default()).await {
        Ok(opened) => opened.raw,
        Err(why) => {
            heard.fault = Some(why);
            return;
        }
    };
    let listening = hear(&mut raw, heard);
    match span {
        None => listening.await,
        Some(span) => {
            let _ = timeout(span.into(), listening).await;
            heard.listened = heard.ended.map_or(span, |(at, _)| at);
        }
    }
}

async fn hear(raw: &mut Raw, heard: &mut Heard) {
    let started = tick();
    // A flood has told what it can tell.
    while heard.pings + heard.messages < limits::FRAMES_SKIPPED_MAX {
        let waiting = timeout(limits::CONFORMANCE_BEAT.into(), raw.frame()).await;
        let now = tick().since(started);
        heard.listened = now;
        match waiting {
            Err(_) => {}
            Ok(Ok(frame)) => match frame.close_code() {
                Some(code) => {
                    heard.ended = Some((now, code));
                    return;
                }
                None if frame.opcode() == PING => {
                    heard.first_ping.get_or_insert(now);
                    heard.pings += 1;
                }
                None => {
                    heard.first_message.get_or_insert(now);
                    heard.messages += 1;
                }
            },
            Ok(Err(End::Dropped | End::Reset | End::Broken(_))) => {
                heard.ended = Some((now, 1006));
                return;
            }
        }
    }
}
