//! Behaviours after the upgrade: frames, closes, floods.

use quorate_proto::Phase::{Close, Exchange};

use super::{
    behaviour::{Behaviour, Wants, behaviour},
    peer::{close, frame, text},
};

/// The largest message that the probe takes.
const LARGEST: usize = quorate_agent::limits::MESSAGE_BYTES_MAX;

/// Connections that stop or break.
pub(crate) fn endings() -> Vec<Behaviour> {
    vec![
        behaviour("upgraded, then silent", "reply_timeout", Exchange, |peer| peer.upgrade_and_say("")),
        behaviour("upgraded, then half-open", "reply_timeout", Exchange, |peer| {
            peer.upgrade()?;
            peer.sit()
        }),
        behaviour("never reads what we send", "reply_timeout", Exchange, |peer| {
            peer.upgrade()?;
            peer.sit()
        })
        .wants(Wants::MuchSent),
        behaviour("upgraded, then ended", "dropped", Exchange, |peer| peer.upgrade()),
        behaviour("upgraded, then half-closed", "dropped", Exchange, |peer| {
            peer.upgrade()?;
            peer.half_close()?;
            peer.hold()
        }),
        behaviour("upgraded, then reset", "connection_reset", Exchange, |peer| {
            peer.upgrade()?;
            peer.reset()
        }),
        behaviour("ended within a frame", "dropped", Exchange, |peer| {
            peer.upgrade()?;
            peer.say(b"\x81\x7e\x03\xe8half")
        }),
        behaviour("a frame that drips", "reply_timeout", Exchange, |peer| {
            peer.upgrade()?;
            peer.say([&[0x82, 127][..], &(LARGEST as u64).to_be_bytes()].concat())?;
            peer.drip([0])
        }),
        behaviour("a frame that stops half-way", "reply_timeout", Exchange, |peer| {
            peer.upgrade_and_say(
                [&[0x82, 127][..], &(LARGEST as u64).to_be_bytes(), &[7; LARGEST / 2]].concat(),
            )
        }),
        behaviour("the largest message, and it is text", "reply_timeout", Exchange, |peer| {
            peer.upgrade_and_say(text([b'x'; LARGEST]))
        }),
        behaviour("the largest message in the most fragments", "reply_timeout", Exchange, |peer| {
            let middle = frame(0x00, [b'x'; 64]).repeat(LARGEST / 64 - 2);
            peer.upgrade_and_say([frame(0x01, [b'x'; 64]), middle, frame(0x80, [b'x'; 64])].concat())
        }),
        behaviour("close, with code and reason", "closed 1011", Exchange, |peer| {
            peer.upgrade_and_say(close(1011, "out of memory"))
        }),
        behaviour("close with no payload", "closed 1005", Exchange, |peer| {
            peer.upgrade_and_say(frame(0x88, ""))
        }),
        behaviour("close with one byte", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say(frame(0x88, "x"))
        }),
        behaviour("close with bad UTF-8", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say(close(1000, b"\xff\xfe"))
        }),
        behaviour("close 0", "closed 0", Exchange, |peer| peer.upgrade_and_say(close(0, ""))),
        behaviour("close 999", "closed 999", Exchange, |peer| peer.upgrade_and_say(close(999, ""))),
        behaviour("close 1004", "closed 1004", Exchange, |peer| peer.upgrade_and_say(close(1004, "x"))),
        behaviour("close 1005", "closed 1005", Exchange, |peer| peer.upgrade_and_say(close(1005, "x"))),
        behaviour("close 1006", "closed 1006", Exchange, |peer| peer.upgrade_and_say(close(1006, "x"))),
        behaviour("close 1015", "closed 1015", Exchange, |peer| peer.upgrade_and_say(close(1015, "x"))),
        behaviour("close 2999", "closed 2999", Exchange, |peer| peer.upgrade_and_say(close(2999, "x"))),
        behaviour("close 65535", "closed 65535", Exchange, |peer| peer.upgrade_and_say(close(65535, "x"))),
        behaviour("data after close", "closed 1000", Exchange, |peer| {
            peer.upgrade()?;
            peer.flood([close(1000, "bye"), text("never")].concat())
        }),
        behaviour("close without reply to ours", "passed", Close, |peer| {
            peer.upgrade()?;
            peer.hold()
        })
        .wants(Wants::Nothing),
        behaviour("our close is answered by a flood", "passed", Close, |peer| {
            peer.upgrade()?;
            peer.hear()?;
            peer.flood(frame(0x82, [0; 1000]))
        })
        .wants(Wants::Nothing),
        behaviour("our close is answered by noise", "passed", Close, |peer| {
            peer.upgrade()?;
            peer.hear()?;
            peer.flood([0xfb])
        })
        .wants(Wants::Nothing),
    ]
    .into_iter()
    .map(Behaviour::after_upgrade)
    .collect()
}

/// Frames that break a rule of RFC 6455.
pub(crate) fn violations() -> Vec<Behaviour> {
    vec![
        behaviour("a masked frame", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say(b"\x81\x85\x01\x02\x03\x04aaaaa")
        }),
        behaviour("a compressed frame (RSV1)", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say(frame(0xc1, b"\xf2\x48\xcd\xc9\xc9\x07\x00"))
        }),
        behaviour("RSV2", "protocol_violation", Exchange, |peer| peer.upgrade_and_say(frame(0xa1, "x"))),
        behaviour("RSV3, of a frame that never comes", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say(b"\x91\x7e\x03\xe8")
        }),
        behaviour("reserved opcode 3", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say(frame(0x83, ""))
        }),
        behaviour("reserved opcode 11", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say(frame(0x8b, ""))
        }),
        behaviour("a fragmented ping", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say(frame(0x09, ""))
        }),
        behaviour("a fragmented close", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say(frame(0x08, b"\x03\xe8"))
        }),
        behaviour("a ping of 126 bytes", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say(frame(0x89, [0; 126]))
        }),
        behaviour("a pong of 16 MiB", "protocol_violation", Exchange, |peer| {
            peer.upgrade()?;
            peer.flood([&[0x8a, 127][..], &(16_u64 << 20).to_be_bytes(), &[0; 4096]].concat())
        }),
        behaviour("a close of 200 bytes", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say(close(1000, [b'x'; 198]))
        }),
        behaviour("bad UTF-8", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say(text(b"\xff\xfe"))
        }),
        behaviour("bad UTF-8 in the second fragment", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say([frame(0x01, "ok"), frame(0x80, b"\xc3\x28")].concat())
        }),
        behaviour("bad UTF-8 in a fragment that is not the last", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say([frame(0x01, "ok"), frame(0x00, b"\xf8\x88")].concat())
        }),
        behaviour("a character cut at the end", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say([frame(0x01, b"\xf0\x9f"), frame(0x80, b"\x98")].concat())
        }),
        behaviour("a surrogate", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say(text(b"\xed\xa0\x80"))
        }),
        behaviour("an overlong character", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say(text(b"\xc0\xaf"))
        }),
        behaviour("a length with its highest bit set", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say(b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x01x")
        }),
        behaviour("a length of 5 in 16 bits", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say(b"\x81\x7e\x00\x05never")
        }),
        behaviour("a length of 5 in 64 bits", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say(b"\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x05never")
        }),
        behaviour("a continuation of nothing", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say(frame(0x80, "x"))
        }),
        behaviour("a message within a message", "protocol_violation", Exchange, |peer| {
            peer.upgrade_and_say([frame(0x01, "x"), frame(0x81, "y")].concat())
        }),
    ]
    .into_iter()
    .map(Behaviour::after_upgrade)
    .collect()
}

/// Too much of what is allowed.
pub(crate) fn floods() -> Vec<Behaviour> {
    vec![
        behaviour("a frame of 16 MiB", "too_large", Exchange, |peer| {
            peer.upgrade()?;
            peer.say([&[0x82, 127][..], &(16_u64 << 20).to_be_bytes()].concat())?;
            peer.flood([0; 4096])
        }),
        behaviour("a frame of 2^62 bytes", "too_large", Exchange, |peer| {
            peer.upgrade_and_say(b"\x82\x7f\x40\x00\x00\x00\x00\x00\x00\x00")
        }),
        behaviour("a message one byte above the limit", "too_large", Exchange, |peer| {
            peer.upgrade_and_say(frame(0x82, [0; LARGEST + 1]))
        }),
        behaviour("fragments for ever", "too_large", Exchange, |peer| {
            peer.upgrade()?;
            peer.say(frame(0x02, "x"))?;
            peer.flood(frame(0x00, [0; 1000]))
        }),
        behaviour("fragments of one byte for ever", "too_large", Exchange, |peer| {
            peer.upgrade()?;
            peer.say(frame(0x01, "x"))?;
            peer.flood(frame(0x00, "x"))
        }),
        behaviour("empty fragments for ever", "too_large", Exchange, |peer| {
            peer.upgrade()?;
            peer.say(frame(0x01, ""))?;
            peer.flood(frame(0x00, ""))
        }),
        behaviour("fragments that double", "too_large", Exchange, |peer| {
            peer.upgrade()?;
            peer.say(frame(0x02, "x"))?;
            for power in 0..20 {
                peer.say(frame(0x00, vec![0; 1 << power]))?;
            }
            peer.hold()
        }),
        behaviour("pings between fragments for ever", "reply_mismatch", Exchange, |peer| {
            peer.upgrade()?;
            peer.say(frame(0x01, ""))?;
            peer.flood([frame(0x89, ""), frame(0x00, "")].concat())
        }),
        behaviour("pings for ever", "reply_mismatch", Exchange, |peer| {
            peer.upgrade_and_flood(frame(0x89, [0; 125]))
        }),
        behaviour("pings for ever, and reads no pong", "reply_mismatch", Exchange, |peer| {
            peer.upgrade_and_flood(frame(0x89, ""))
        }),
        behaviour("pongs for ever", "reply_mismatch", Exchange, |peer| {
            peer.upgrade_and_flood(frame(0x8a, "x"))
        }),
        behaviour("pongs for ever while a pong is due", "reply_mismatch", Exchange, |peer| {
            peer.upgrade_and_flood(frame(0x8a, "x"))
        })
        .wants(Wants::Pong),
        behaviour("empty messages for ever", "reply_mismatch", Exchange, |peer| {
            peer.upgrade_and_flood(text(""))
        }),
        behaviour("messages for ever", "reply_mismatch", Exchange, |peer| {
            peer.upgrade_and_flood(text("nothing that you want"))
        }),
        behaviour("large messages for ever", "reply_mismatch", Exchange, |peer| {
            peer.upgrade_and_flood(frame(0x82, [0xff; 65_535]))
        }),
        behaviour("the largest messages for ever", "reply_mismatch", Exchange, |peer| {
            peer.upgrade_and_flood(frame(0x82, [0xff; LARGEST]))
        }),
        behaviour("large messages where a pattern is searched", "reply_mismatch", Exchange, |peer| {
            peer.upgrade_and_flood(frame(0x82, [0xff; LARGEST]))
        })
        .wants(Wants::Pattern),
        behaviour("large JSON where a value is wanted", "reply_mismatch", Exchange, |peer| {
            peer.upgrade_and_flood(text(format!("{{\"a\":[{}0]}}", "0,".repeat(LARGEST / 2 - 10))))
        })
        .wants(Wants::Json),
        behaviour("deep JSON where a value is wanted", "reply_mismatch", Exchange, |peer| {
            let depth = LARGEST / 2 - 10;
            peer.upgrade_and_flood(text(format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth))))
        })
        .wants(Wants::Json),
        behaviour("JSON of many names where a value is wanted", "reply_mismatch", Exchange, |peer| {
            let members: String = (0..15_000).map(|number| format!("\"{number}\":{{}},")).collect();
            peer.upgrade_and_flood(text(format!("{{{members}\"a\":{{}}}}")))
        })
        .wants(Wants::Json),
        behaviour("messages kept while a pong is due", "reply_mismatch", Exchange, |peer| {
            peer.upgrade_and_flood([text("small"), frame(0x82, [0; LARGEST])].concat())
        })
        .wants(Wants::PongThenNever),
    ]
    .into_iter()
    .map(|behaviour| behaviour.after_upgrade().patient())
    .collect()
}
