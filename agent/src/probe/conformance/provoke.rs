//! The extra connections: each says one thing, and a rule of the standard says what a server does then.

use quorate_proto::MonitorSpec;
use tokio::time::timeout;

use super::{
    Point, Rule, Verdict, Wanted, open, open_whole,
    raw::{
        CLOSE, CONTINUATION, End, FIN, Frame, Opened, PING, PONG, RESERVED, RSV1, Raw, TEXT, Variant, masked,
        token, unmasked,
    },
};
use crate::{limits, probe::Prober};

/// What one connection finds out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Probe {
    Conversation,
    Version,
    Key,
    Unmasked,
    ReservedOpcode,
    ReservedBit,
    FragmentedControl,
    LongControl,
    InvalidUtf8,
    Extension,
    Origin,
}

/// All of them, in the order in which they are shown.
pub(super) const PROBES: [Probe; 11] = [
    Probe::Conversation,
    Probe::Version,
    Probe::Key,
    Probe::Unmasked,
    Probe::ReservedOpcode,
    Probe::ReservedBit,
    Probe::FragmentedControl,
    Probe::LongControl,
    Probe::InvalidUtf8,
    Probe::Extension,
    Probe::Origin,
];

const PONGS: Rule =
    Rule { name: "ping_answered", section: "5.5.2", text: "a ping is answered with its own payload" };
const INTERLEAVED: Rule =
    Rule { name: "ping_between_fragments", section: "5.4", text: "a ping between fragments is answered" };
const FRAGMENTS: Rule = Rule { name: "fragments", section: "5.4", text: "a message in fragments is taken" };
const VERSION: Rule = Rule {
    name: "version_refused",
    section: "4.4",
    text: "an unknown version is refused, and the known one told",
};
const KEY: Rule =
    Rule { name: "key_missing_refused", section: "4.2.1", text: "an upgrade without a key is refused" };
const UNMASKED: Rule =
    Rule { name: "unmasked_refused", section: "5.1", text: "an unmasked frame ends the connection" };
const OPCODE: Rule =
    Rule { name: "opcode_refused", section: "5.2", text: "a reserved opcode ends the connection" };
const BIT: Rule =
    Rule { name: "reserved_bit_refused", section: "5.2", text: "a reserved bit ends the connection" };
const FRAGMENTED_CONTROL: Rule = Rule {
    name: "fragmented_control_refused",
    section: "5.5",
    text: "a fragmented ping ends the connection",
};
const LONG_CONTROL: Rule =
    Rule { name: "long_control_refused", section: "5.5", text: "a ping above 125 bytes ends the connection" };
const UTF8: Rule =
    Rule { name: "utf8_refused", section: "8.1", text: "a text that is not UTF-8 ends the connection" };
const DEFLATE: Rule = Rule {
    name: "extension_offered",
    section: "RFC 7692 7",
    text: "an offer of compression is answered right",
};
const ORIGIN: Rule = Rule { name: "origin", section: "10.2", text: "a foreign Origin is refused" };

/// All of these rules.
#[cfg(test)]
pub(super) fn rules() -> impl Iterator<Item = &'static Rule> {
    let all: [&Rule; 13] = [
        &PONGS,
        &INTERLEAVED,
        &FRAGMENTS,
        &VERSION,
        &KEY,
        &UNMASKED,
        &OPCODE,
        &BIT,
        &FRAGMENTED_CONTROL,
        &LONG_CONTROL,
        &UTF8,
        &DEFLATE,
        &ORIGIN,
    ];
    all.into_iter()
}

/// Parameters of `permessage-deflate` (RFC 7692 section 7.1).
const DEFLATE_PARAMETERS: [&str; 4] = [
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
];

/// Rules, and the extensions that the server agreed to.
type Found = (Vec<Point>, Option<String>);

impl Probe {
    pub(super) async fn run(self, prober: &Prober, spec: &MonitorSpec, wanted: &Wanted) -> Found {
        let found = match self {
            Self::Conversation => return (conversation(prober, spec, wanted.message.as_deref()).await, None),
            Self::Extension => return extension(prober, spec).await,
            Self::Version => version(prober, spec).await,
            Self::Key => key(prober, spec).await,
            Self::Origin => origin(prober, spec).await,
            Self::Unmasked => violate(prober, spec, &UNMASKED, &unmasked(FIN | PING, b""), 1002).await,
            Self::ReservedOpcode => violate(prober, spec, &OPCODE, &masked(FIN | RESERVED, b""), 1002).await,
            Self::ReservedBit => violate(prober, spec, &BIT, &masked(FIN | RSV1 | PING, b""), 1002).await,
            Self::FragmentedControl => {
                violate(prober, spec, &FRAGMENTED_CONTROL, &masked(PING, b""), 1002).await
            }
            Self::LongControl => {
                violate(prober, spec, &LONG_CONTROL, &masked(FIN | PING, &[b'q'; 126]), 1002).await
            }
            Self::InvalidUtf8 => invalid_utf8(prober, spec, wanted.message.is_some()).await,
        };
        (vec![found], None)
    }
}

/// A ping; a message in fragments, where there is one; and a ping within a message that never ends.
async fn conversation(prober: &Prober, spec: &MonitorSpec, message: Option<&str>) -> Vec<Point> {
    let mut opened = match open_whole(prober, spec, Variant::default()).await {
        Ok(opened) => opened,
        Err(why) => {
            return [&PONGS, &INTERLEAVED, &FRAGMENTS].map(|rule| rule.point(Verdict::Unknown, &*why)).into();
        }
    };
    let raw = &mut opened.raw;
    let pongs = answered(raw, &PONGS, |token| masked(FIN | PING, token)).await;
    let fragments = match message {
        None => FRAGMENTS.point(Verdict::Unknown, "no message is invented: give one with --send"),
        Some(text) => fragments(raw, text).await,
    };
    let interleaved =
        answered(raw, &INTERLEAVED, |token| [masked(TEXT, b"{"), masked(FIN | PING, token)].concat()).await;
    let _ = raw.send(&masked(FIN | CLOSE, &1000_u16.to_be_bytes())).await;
    vec![pongs, interleaved, fragments]
}

/// Sends something with a ping in it, and waits for its pong.
async fn answered(raw: &mut Raw, rule: &'static Rule, bytes: impl FnOnce(&[u8]) -> Vec<u8>) -> Point {
    let token = token();
    let waiting = async {
        raw.send(&bytes(token.as_bytes())).await?;
        loop {
            let frame = raw.frame().await?;
            if frame.opcode() == PONG || frame.opcode() == CLOSE {
                return Ok(frame);
            }
        }
    };
    match timeout(limits::CONFORMANCE_WAIT.into(), waiting).await {
        Err(_) => rule.point(Verdict::Fail, format!("no pong within {}", limits::CONFORMANCE_WAIT)),
        Ok(Err(end)) => rule.point(Verdict::Fail, End::to_string(&end)),
        Ok(Ok(frame)) => match frame.close_code() {
            Some(code) => rule.point(by_code(code), format!("the server closed with {code}")),
            None if frame.payload == token.as_bytes() => rule.point(Verdict::Pass, ""),
            None => rule.point(Verdict::Fail, "the pong bears another payload"),
        },
    }
}

/// A close frame in answer to something right: the protocol's own codes say that the server took it for wrong, any other
/// that the application had enough.
fn by_code(code: u16) -> Verdict {
    if matches!(code, 1002 | 1003 | 1007) { Verdict::Fail } else { Verdict::Unknown }
}

async fn fragments(raw: &mut Raw, text: &str) -> Point {
    let bytes = text.as_bytes();
    let (first, second) = bytes.split_at_checked(bytes.len() / 2).unwrap_or((bytes, &[]));
    let message = [masked(TEXT, first), masked(FIN | CONTINUATION, second)].concat();
    let token = token();
    let waiting = async {
        raw.send(&message).await?;
        raw.send(&masked(FIN | PING, token.as_bytes())).await?;
        let mut answered = false;
        loop {
            let frame: Frame = raw.frame().await?;
            if let Some(code) = frame.close_code() {
                let point = FRAGMENTS.point(by_code(code), format!("the server closed with {code}"));
                return Ok::<_, End>(point);
            }
            answered |= frame.opcode() == TEXT;
            if frame.opcode() == PONG && frame.payload == token.as_bytes() {
                return Ok(FRAGMENTS.point(Verdict::Pass, if answered { "and answered" } else { "" }));
            }
        }
    };
    match timeout(limits::CONFORMANCE_WAIT.into(), waiting).await {
        Err(_) => FRAGMENTS.point(
            Verdict::Unknown,
            format!("neither taken nor refused within {}", limits::CONFORMANCE_WAIT),
        ),
        Ok(Err(end)) => FRAGMENTS.point(Verdict::Fail, end.to_string()),
        Ok(Ok(point)) => point,
    }
}

async fn version(prober: &Prober, spec: &MonitorSpec) -> Point {
    let variant = Variant { without: &["sec-websocket-version"], with: &["Sec-WebSocket-Version: 99"] };
    let Opened { answer, .. } = match open(prober, spec, variant).await {
        Ok(opened) => opened,
        Err(why) => return VERSION.point(Verdict::Unknown, why),
    };
    let told = answer.all("sec-websocket-version").any(|value| value.windows(2).any(|two| two == b"13"));
    match (answer.status, told) {
        (426, true) => VERSION.point(Verdict::Pass, ""),
        (426, false) => VERSION.point(Verdict::Warn, "426 without Sec-WebSocket-Version"),
        (status @ 400..=499, true) => VERSION.point(Verdict::Pass, format!("with {status}")),
        (101, _) => VERSION.point(Verdict::Fail, "version 99 is answered with 101"),
        (status @ 400..=599, _) => {
            VERSION.point(Verdict::Warn, format!("{status} without Sec-WebSocket-Version"))
        }
        (status, _) => VERSION.point(Verdict::Warn, format!("it is answered with {status}")),
    }
}

async fn key(prober: &Prober, spec: &MonitorSpec) -> Point {
    let variant = Variant { without: &["sec-websocket-key"], with: &[] };
    let status = match open(prober, spec, variant).await {
        Ok(opened) => opened.answer.status,
        // Such as a connection that is just closed.
        Err(why) => return KEY.point(Verdict::Warn, why),
    };
    match status {
        400 => KEY.point(Verdict::Pass, ""),
        401..=499 => KEY.point(Verdict::Pass, format!("with {status}")),
        101 => KEY.point(Verdict::Fail, "it is answered with 101"),
        status => KEY.point(Verdict::Warn, format!("with {status}, where 400 is due")),
    }
}

async fn origin(prober: &Prober, spec: &MonitorSpec) -> Point {
    let variant = Variant { without: &["origin"], with: &["Origin: https://conformance.invalid"] };
    match open(prober, spec, variant).await {
        Err(why) => ORIGIN.point(Verdict::Unknown, why),
        Ok(opened) if opened.is_open(spec) => ORIGIN.point(
            Verdict::Unknown,
            "any Origin may connect: right for a public API; where cookies log in, any page can act for its visitor",
        ),
        Ok(opened) => ORIGIN.point(Verdict::Pass, format!("with {}", opened.answer.status)),
    }
}

async fn extension(prober: &Prober, spec: &MonitorSpec) -> Found {
    let variant = Variant {
        without: &[],
        with: &["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"],
    };
    let answer = match open(prober, spec, variant).await {
        Ok(opened) => opened.answer,
        Err(why) => return (vec![DEFLATE.point(Verdict::Unknown, why)], None),
    };
    if answer.status != 101 {
        return (
            vec![DEFLATE.point(Verdict::Fail, format!("the offer is answered with {}", answer.status))],
            None,
        );
    }
    let values = answer.all("sec-websocket-extensions").collect::<Vec<_>>().join(&b", "[..]);
    let agreed = crate::probe::quote::line(&values, limits::QUOTE_BYTES_MAX);
    match wrong_extension(&agreed) {
        _ if agreed.is_empty() => (vec![DEFLATE.point(Verdict::Pass, "not taken up")], None),
        None => (vec![DEFLATE.point(Verdict::Pass, "taken up")], Some(agreed)),
        Some(wrong) => (vec![DEFLATE.point(Verdict::Fail, wrong)], Some(agreed)),
    }
}

/// What is wrong with an answer to the offer.
fn wrong_extension(agreed: &str) -> Option<String> {
    let mut parts = agreed.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    if name != "permessage-deflate" || agreed.contains(',') {
        return Some(format!("{agreed:?} was not offered"));
    }
    let unknown = parts.find(|part| {
        let parameter = part.split('=').next().unwrap_or_default().trim();
        !DEFLATE_PARAMETERS.contains(&parameter)
    });
    unknown.map(|parameter| format!("it has the unknown parameter {parameter:?}"))
}

/// A text where the application takes texts, otherwise the reason of a close frame.
async fn invalid_utf8(prober: &Prober, spec: &MonitorSpec, takes_texts: bool) -> Point {
    const NOT_UTF8: &[u8] = b"\xf0\x28\x8c\x28";
    if takes_texts {
        return violate(prober, spec, &UTF8, &masked(FIN | TEXT, NOT_UTF8), 1007).await;
    }
    let frame = masked(FIN | CLOSE, &[&1000_u16.to_be_bytes()[..], NOT_UTF8].concat());
    let mut point = violate(prober, spec, &UTF8, &frame, 1007).await;
    if point.found.contains("1000") {
        // The connection ends either way; whether texts are looked at as well, this does not tell.
        point = UTF8.point(Verdict::Warn, "a close frame with such a reason is answered as if it were good");
    }
    point
}

/// Breaks a rule, with a ping behind it that a server which keeps the rules never gets to see.
async fn violate(prober: &Prober, spec: &MonitorSpec, rule: &'static Rule, bytes: &[u8], due: u16) -> Point {
    let mut opened = match open_whole(prober, spec, Variant::default()).await {
        Ok(opened) => opened,
        Err(why) => return rule.point(Verdict::Unknown, why),
    };
    let raw = &mut opened.raw;
    let token = token();
    let breaking = [bytes, &masked(FIN | PING, token.as_bytes())].concat();
    let waiting = async {
        raw.send(&breaking).await?;
        loop {
            let frame = raw.frame().await?;
            let is_ours = frame.opcode() == PONG && frame.payload == token.as_bytes();
            if is_ours || frame.opcode() == CLOSE {
                return Ok::<_, End>(frame.close_code());
            }
        }
    };
    let mut ended = timeout(limits::CONFORMANCE_WAIT.into(), waiting).await;
    if let Ok(Ok(None)) = ended {
        // Some servers look at a message when the application takes it, and answer pings meanwhile.
        let late = async {
            loop {
                if let code @ Some(_) = raw.frame().await?.close_code() {
                    return Ok(code);
                }
            }
        };
        ended = timeout(limits::CONFORMANCE_LATE.into(), late).await.or(ended);
    }
    match ended {
        Ok(Ok(Some(code))) if code == due => rule.point(Verdict::Pass, format!("with {code}")),
        Ok(Ok(Some(code @ (1002 | 1003 | 1007)))) => rule.point(Verdict::Pass, format!("with {code}")),
        Ok(Ok(Some(code @ 3000..=4999))) => {
            rule.point(Verdict::Unknown, format!("the application closed first, with {code}"))
        }
        Ok(Ok(Some(code))) => rule.point(Verdict::Warn, format!("with {code}, where {due} says why")),
        Ok(Ok(None)) => {
            let _ = raw.send(&masked(FIN | CLOSE, &1000_u16.to_be_bytes())).await;
            rule.point(Verdict::Fail, "it was taken: a ping behind it was answered")
        }
        // Section 5.1 alone leaves the close frame to the server.
        Ok(Err(_)) if rule == &UNMASKED => rule.point(Verdict::Pass, "without a close frame"),
        Ok(Err(_)) => rule.point(Verdict::Warn, format!("without a close frame, where {due} says why")),
        Err(_) => rule.point(
            Verdict::Fail,
            format!("the connection was still open after {}", limits::CONFORMANCE_WAIT),
        ),
    }
}
