//! Behaviours up to the upgrade: TCP, TLS, and HTTP that is none.

use std::io::Write;

use quorate_proto::Phase::{Exchange, Tcp, Tls, Upgrade};

use super::{
    behaviour::{Behaviour, Wants, behaviour},
    peer::{close, frame, text},
    records::{Records, authority, first_flight},
};

/// Connections and the bytes that come instead of an answer.
pub(crate) fn connections() -> Vec<Behaviour> {
    vec![
        // Our request may arrive where nobody is any more, which is answered by a reset.
        behaviour("accepts and closes", "dropped|connection_reset", Upgrade, |_| Ok(())),
        behaviour("accepts and resets", "connection_reset", Upgrade, |peer| peer.reset()).or_in(Tcp),
        behaviour("accepts and is silent", "upgrade_timeout", Upgrade, |peer| peer.hold()),
        behaviour("accepts and never reads", "upgrade_timeout", Upgrade, |peer| peer.sit()),
        behaviour("closes after the request", "dropped", Upgrade, |peer| peer.head()),
        behaviour("half-closes, and keeps reading", "dropped", Upgrade, |peer| {
            peer.half_close()?;
            peer.hold()
        }),
        behaviour("resets after the request", "connection_reset", Upgrade, |peer| {
            // What is unread when a socket closes is answered by a reset.
            peer.hear()?;
            peer.reset()
        }),
        behaviour("speaks SSH", "upgrade_invalid not_http", Upgrade, |peer| {
            peer.say("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")?;
            peer.hold()
        }),
        behaviour("speaks SMTP", "upgrade_invalid not_http", Upgrade, |peer| {
            peer.say("220 mail.example ESMTP Postfix\r\n")?;
            peer.hold()
        }),
        behaviour("speaks HTTP/2", "upgrade_invalid not_http", Upgrade, |peer| {
            peer.say(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64")?;
            peer.hold()
        }),
        behaviour("speaks TLS on a plain port", "upgrade_invalid not_http", Upgrade, |peer| {
            peer.hear()?;
            peer.say(b"\x15\x03\x01\x00\x02\x02\x46")?;
            peer.hold()
        }),
        behaviour("speaks HTTP/0.9", "upgrade_invalid not_http", Upgrade, |peer| {
            peer.answer_and_hold("<html>hello</html>\r\n")
        }),
        behaviour("sends frames without an answer", "upgrade_invalid not_http", Upgrade, |peer| {
            peer.head()?;
            peer.say(text("hello"))?;
            peer.hold()
        }),
        behaviour("sends noise for ever", "upgrade_invalid not_http", Upgrade, |peer| {
            peer.flood([0xfb; 1024])
        }),
        behaviour("resets within the answer", "connection_reset", Upgrade, |peer| {
            peer.answer("HTTP/1.1 101 Swi")?;
            peer.reset()
        }),
    ]
}

/// Heads that have no end, or too much before it.
pub(crate) fn heads() -> Vec<Behaviour> {
    vec![
        behaviour("101 that drips", "upgrade_timeout", Upgrade, |peer| {
            peer.head()?;
            peer.drip(
                "HTTP/1.1 101 Switching Protocols\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
            )
        }),
        behaviour("101 that never ends", "upgrade_timeout", Upgrade, |peer| peer.answer_and_hold("RIGHT")),
        behaviour("101 after a minute", "upgrade_timeout", Upgrade, |peer| {
            peer.head()?;
            peer.sit()?;
            peer.say("HTTP/1.1 101 Switching Protocols\r\n\r\n")
        }),
        behaviour("header lines without end", "upgrade_invalid head_too_large", Upgrade, |peer| {
            peer.answer("HTTP/1.1 101 Switching Protocols\r\n")?;
            peer.flood("X-Padding: 1234567890\r\n")
        }),
        behaviour("a header of megabytes", "upgrade_invalid head_too_large", Upgrade, |peer| {
            peer.answer("HTTP/1.1 101 Switching Protocols\r\nX: ")?;
            peer.flood("yyyyyyyyyyyyyyyy")
        }),
        behaviour("a header's name of megabytes", "upgrade_invalid head_too_large", Upgrade, |peer| {
            peer.answer("HTTP/1.1 101 Switching Protocols\r\n")?;
            peer.flood("yyyyyyyyyyyyyyyy")
        }),
        behaviour("a reason phrase of megabytes", "upgrade_invalid head_too_large", Upgrade, |peer| {
            peer.answer("HTTP/1.1 101 ")?;
            peer.flood("Switching ")
        }),
        behaviour("empty lines for ever", "upgrade_invalid head_too_large", Upgrade, |peer| {
            peer.flood("\r\n")
        }),
        behaviour("100 Continue for ever", "upgrade_invalid not_http", Upgrade, |peer| {
            peer.head()?;
            peer.flood("HTTP/1.1 100 Continue\r\n\r\n")
        }),
        behaviour("103 Early Hints, then the right 101", "passed", Upgrade, |peer| {
            peer.answer(
                "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nRIGHT\r\n",
            )?;
            peer.hold()
        }),
        behaviour("a minute after 103", "upgrade_timeout", Upgrade, |peer| {
            peer.answer_and_hold("HTTP/1.1 103 Early Hints\r\n\r\n")
        }),
        behaviour("a folded header (obs-fold)", "upgrade_invalid not_http", Upgrade, |peer| {
            peer.answer_and_hold("RIGHTX: one\r\n two\r\n\r\n")
        }),
        behaviour("NUL in a header", "upgrade_invalid not_http", Upgrade, |peer| {
            peer.answer_and_hold("RIGHTX: a\0b\r\n\r\n")
        }),
        behaviour("a space before the colon", "upgrade_invalid not_http", Upgrade, |peer| {
            peer.answer_and_hold("RIGHTX : a\r\n\r\n")
        }),
        behaviour("a header without a colon", "upgrade_invalid not_http", Upgrade, |peer| {
            peer.answer_and_hold("RIGHTnonsense\r\n\r\n")
        }),
        behaviour("bytes before the answer", "upgrade_invalid not_http", Upgrade, |peer| {
            peer.answer_and_hold("xyRIGHT\r\n")
        }),
        behaviour("line feeds alone", "passed", Upgrade, |peer| {
            peer.answer(
                "HTTP/1.1 101 x\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: DIGEST\n\n",
            )?;
            peer.hold()
        }),
    ]
}

/// Whole answers that are no upgrade.
pub(crate) fn answers() -> Vec<Behaviour> {
    vec![
        behaviour("a wrong digest", "upgrade_invalid accept_mismatch", Upgrade, |peer| {
            peer.answer_and_hold(
                "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            )
        }),
        behaviour("no digest", "upgrade_invalid accept_missing", Upgrade, |peer| {
            peer.answer_and_hold("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        }),
        behaviour("the digest twice", "upgrade_invalid accept_mismatch", Upgrade, |peer| {
            peer.answer_and_hold("RIGHTSec-WebSocket-Accept: DIGEST\r\n\r\n")
        }),
        behaviour("no Upgrade header", "upgrade_invalid upgrade_header", Upgrade, |peer| {
            peer.answer_and_hold(
                "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: DIGEST\r\n\r\n",
            )
        }),
        behaviour("no Connection header", "upgrade_invalid connection_header", Upgrade, |peer| {
            peer.answer_and_hold(
                "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: DIGEST\r\n\r\n",
            )
        }),
        behaviour("an extension that nobody asked for", "upgrade_invalid extension", Upgrade, |peer| {
            peer.answer_and_hold("RIGHTSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
        }),
        behaviour("a subprotocol that nobody offered", "upgrade_invalid subprotocol", Upgrade, |peer| {
            peer.answer_and_hold("RIGHTSec-WebSocket-Protocol: v9\r\n\r\n")
        }),
        behaviour("HTTP/1.0 101", "upgrade_invalid http_version", Upgrade, |peer| {
            peer.answer_and_hold(
                "HTTP/1.0 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: DIGEST\r\n\r\n",
            )
        }),
        behaviour("HTTP/2 101", "upgrade_invalid http_version", Upgrade, |peer| {
            peer.answer_and_hold("HTTP/2 101\r\n\r\n")
        }),
        behaviour("a status of five digits", "upgrade_invalid not_http", Upgrade, |peer| {
            peer.answer_and_hold("HTTP/1.1 10101 x\r\n\r\n")
        }),
        behaviour("redirect 301", "upgrade_status 301", Upgrade, |peer| {
            peer.answer("HTTP/1.1 301 Moved Permanently\r\nLocation: ws://127.0.0.1:1/\r\n\r\n")
        }),
        behaviour("redirect 302 to itself", "upgrade_status 302", Upgrade, |peer| {
            peer.answer("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")
        }),
        behaviour("redirect 307 to a file", "upgrade_status 307", Upgrade, |peer| {
            peer.answer("HTTP/1.1 307 x\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n")
        }),
        behaviour("redirect 308 to metadata", "upgrade_status 308", Upgrade, |peer| {
            peer.answer("HTTP/1.1 308 x\r\nLocation: ws://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")
        }),
        behaviour("200 whose chunks never end", "upgrade_status 200", Upgrade, |peer| {
            peer.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            peer.flood("400\r\n0123456789abcdef\r\n")
        }),
        behaviour("400 whose chunk has no end", "upgrade_status 400", Upgrade, |peer| {
            peer.answer("HTTP/1.1 400 x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n")?;
            peer.flood("x")
        }),
        behaviour("400 whose chunk size has no end", "upgrade_status 400", Upgrade, |peer| {
            peer.answer("HTTP/1.1 400 x\r\nTransfer-Encoding: chunked\r\n\r\n5;")?;
            peer.flood("extension=")
        }),
        behaviour("503 with megabytes of body", "upgrade_status 503", Upgrade, |peer| {
            peer.answer("HTTP/1.1 503 x\r\nContent-Length: 67108864\r\n\r\n")?;
            peer.flood("sorry")
        }),
        behaviour("502 whose body never comes", "upgrade_status 502", Upgrade, |peer| {
            peer.answer_and_hold(
                "HTTP/1.1 502 Bad Gateway\r\nServer: nginx\r\nContent-Length: 150\r\n\r\n<html>",
            )
        }),
        behaviour("429 whose body drips", "upgrade_status 429", Upgrade, |peer| {
            peer.answer("HTTP/1.1 429 x\r\nRetry-After: 60\r\n\r\n")?;
            peer.drip("slow down ")
        }),
        behaviour("401 with an absurd length", "upgrade_status 401", Upgrade, |peer| {
            peer.answer_and_hold("HTTP/1.1 401 x\r\nContent-Length: 99999999999999999999999\r\n\r\n")
        }),
        behaviour("400 that is noise in gzip's name", "upgrade_status 400", Upgrade, |peer| {
            peer.answer("HTTP/1.1 400 x\r\nContent-Encoding: gzip\r\n\r\n")?;
            peer.flood([0x1f, 0x8b, 0xff, 0xfe])
        }),
        behaviour("a broken frame glued to the 101", "protocol_violation", Exchange, |peer| {
            peer.answer("RIGHT\r\n\u{7f}\u{7f}")?;
            peer.hold()
        })
        .wants(Wants::Never),
        behaviour("a reply glued to the 101", "passed", Exchange, |peer| {
            peer.answer("RIGHT\r\n\u{1}\u{1}h")?;
            peer.say(b"\x80\x04ello")?;
            peer.hold()
        })
        .wants(Wants::Hello),
        behaviour("a forbidden close glued to the 101", "closed 1006", Exchange, |peer| {
            peer.head()?;
            peer.say_with_upgrade(&close(1006, "gone"))?;
            peer.hold()
        })
        .wants(Wants::Never),
        behaviour("another HTTP answer behind the 101", "protocol_violation", Exchange, |peer| {
            peer.answer_and_hold("RIGHT\r\nHTTP/1.1 200 OK\r\n\r\n")
        })
        .wants(Wants::Never),
    ]
}

/// TLS that does not come about.
pub(crate) fn handshakes() -> Vec<Behaviour> {
    vec![
        behaviour("TLS: noise", "tls_handshake", Tls, |peer| {
            peer.hear()?;
            peer.flood([0xfb; 1024])
        }),
        behaviour("TLS: plain HTTP", "tls_handshake", Tls, |peer| {
            peer.hear()?;
            peer.say("HTTP/1.1 400 Bad Request\r\n\r\n")?;
            peer.hold()
        }),
        behaviour("TLS: an alert", "tls_handshake", Tls, |peer| {
            peer.hear()?;
            peer.say(b"\x15\x03\x03\x00\x02\x02\x28")?;
            peer.hold()
        }),
        behaviour("TLS: warnings for ever", "tls_handshake", Tls, |peer| {
            peer.hear()?;
            peer.flood(b"\x15\x03\x03\x00\x02\x01\x5a")
        }),
        behaviour("TLS: a record of 64 KiB", "tls_handshake", Tls, |peer| {
            peer.hear()?;
            peer.say(b"\x16\x03\x03\xff\xff")?;
            peer.flood([0; 1024])
        }),
        behaviour("TLS: a hello of 16 MiB", "tls_handshake", Tls, |peer| {
            peer.hear()?;
            peer.say(b"\x16\x03\x03\x40\x00\x02\xff\xff\xff")?;
            peer.say([0; 0x4000 - 4])?;
            peer.flood([&b"\x16\x03\x03\x40\x00"[..], &[0; 0x4000]].concat())
        }),
        behaviour("TLS: silent", "tls_timeout", Tls, |peer| peer.hold()),
        behaviour("TLS: never reads", "tls_timeout", Tls, |peer| peer.sit()),
        behaviour("TLS: drips its hello", "tls_timeout", Tls, |peer| {
            let flight = first_flight(peer, authority().tls13.clone())?;
            peer.drip(flight)
        }),
        behaviour("TLS: stops within the handshake", "tls_timeout", Tls, |peer| {
            let flight = first_flight(peer, authority().tls13.clone())?;
            peer.say(flight.split_at(flight.len() / 2).0)?;
            peer.hold()
        }),
        behaviour("TLS: closes within the handshake", "tls_handshake", Tls, |peer| {
            let flight = first_flight(peer, authority().tls13.clone())?;
            peer.say(flight.split_at(flight.len() / 2).0)
        }),
        behaviour("TLS: resets within the handshake", "connection_reset", Tls, |peer| {
            peer.hear()?;
            peer.reset()
        }),
        behaviour("TLS: a chain of 400 certificates", "tls_handshake", Tls, |peer| peer.hold())
            .behind(|authority| authority.huge.clone()),
        behaviour("TLS: a maze of false issuers", "certificate_untrusted", Tls, |peer| peer.hold())
            .behind(|authority| authority.maze.clone()),
    ]
    .into_iter()
    .map(Behaviour::secure)
    .collect()
}

/// TLS that goes wrong after its handshake.
pub(crate) fn records() -> Vec<Behaviour> {
    let tls13 = |behaviour: Behaviour| behaviour.behind(|authority| authority.tls13.clone());
    let tls12 = |behaviour: Behaviour| behaviour.behind(|authority| authority.tls12.clone());
    vec![
        tls13(behaviour("TLS: ends without close_notify", "dropped", Exchange, |peer| {
            peer.upgrade()?;
            peer.half_close()?;
            peer.hold()
        }))
        .wants(Wants::Never),
        tls12(behaviour("TLS 1.2: asks for renegotiation", "upgrade_timeout", Upgrade, |peer| {
            peer.head()?;
            Records::take_over(peer)?.handshake(&[0, 0, 0, 0])?;
            peer.hold()
        })),
        tls12(behaviour("TLS 1.2: asks for it for ever", "tls_handshake", Upgrade, |peer| {
            peer.head()?;
            let mut records = Records::take_over(peer)?;
            loop {
                records.handshake(&[0, 0, 0, 0])?;
            }
        })),
        tls13(behaviour("TLS 1.3: new keys for ever", "tls_handshake", Upgrade, |peer| {
            peer.head()?;
            let mut records = Records::take_over(peer)?;
            // Each under the keys that the one before has ended: it is broken by the second at the latest.
            loop {
                records.handshake(&[24, 0, 0, 1, 1])?;
            }
        })),
        tls13(behaviour("TLS 1.3: tickets for ever", "upgrade_timeout", Upgrade, |peer| {
            peer.head()?;
            let mut records = Records::take_over(peer)?;
            // RFC 8446 section 4.6.1: lifetime, age, nonce, ticket, extensions.
            let ticket = b"\x04\x00\x00\x11\x00\x00\x0e\x10\x00\x00\x00\x00\x01\x07\x00\x03abc\x00\x00";
            loop {
                records.handshake(ticket)?;
            }
        })),
        tls13(behaviour("TLS 1.3: empty records for ever", "tls_handshake", Upgrade, |peer| {
            peer.head()?;
            let mut records = Records::take_over(peer)?;
            loop {
                records.data(&[])?;
            }
        })),
        tls13(behaviour("TLS 1.3: a forged record", "tls_handshake", Upgrade, |peer| {
            peer.head()?;
            Records::take_over(peer)?.forged()?;
            peer.hold()
        })),
        tls13(behaviour("TLS 1.3: an alert instead of an answer", "tls_alert 80", Upgrade, |peer| {
            peer.head()?;
            Records::take_over(peer)?.alert(2, 80)?;
            peer.hold()
        })),
        tls13(behaviour("TLS: noise after the handshake", "tls_handshake", Upgrade, |peer| {
            peer.head()?;
            let (_, mut tcp) = peer.finish_tls()?;
            tcp.write_all(&[0xfb; 1024])?;
            peer.hold()
        })),
        tls13(behaviour("TLS: pings for ever", "reply_mismatch", Exchange, |peer| {
            peer.upgrade_and_flood(frame(0x89, ""))
        }))
        .wants(Wants::Never)
        .patient(),
    ]
}
