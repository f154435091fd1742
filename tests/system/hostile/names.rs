//! Nameservers that do everything wrong.

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    thread,
};

use quorate_proto::Phase::Dns;

use super::behaviour::{Behaviour, behaviour};

/// What a nameserver sends when it is asked.
pub(crate) type Answers = fn(&[u8]) -> Vec<Vec<u8>>;

/// Bytes of a header (RFC 1035 section 4.1.1).
const HEADER: usize = 12;

/// A name that every question is for, as it is written in a packet.
const POINTER_TO_QUESTION: [u8; 2] = [0xc0, 12];

/// The nameservers.
pub(crate) fn names() -> Vec<Behaviour> {
    let row = |name, found, answers: Answers| behaviour(name, found, Dns, |_| Ok(())).named_by(answers);
    vec![
        row("DNS: silent", "dns timeout", |_| vec![]),
        row("DNS: noise", "dns timeout", |_| vec![vec![0xfb; 512]; 10]),
        row("DNS: another question's answers", "dns timeout", |query| {
            let right = response(query, 0, &[record(1, &[127, 0, 0, 1])]);
            (1..=255).map(|step| with(&right, 0, |byte| byte.wrapping_add(step))).collect()
        }),
        row("DNS: cut off, and silent over TCP", "dns timeout", |query| {
            vec![with(&response(query, 0, &[]), 2, |flags| flags | 0x02)]
        }),
        row("DNS: a header and no more", "dns server_failure", |query| {
            vec![response(query, 0, &[]).into_iter().take(HEADER).collect()]
        }),
        row("DNS: an alias of itself", "dns no_address", |query| {
            vec![response(query, 0, &[record(5, &POINTER_TO_QUESTION)])]
        }),
        row("DNS: refused", "dns server_failure", |query| vec![response(query, 5, &[])]),
        // More than a packet of DNS may hold: what is read of it ends within a record.
        row("DNS: 1,000 addresses in one packet", "dns server_failure", |query| {
            vec![response(query, 0, &vec![record(1, &[127, 0, 0, 1]); 1000])]
        }),
    ]
}

/// Answers in UDP for as long as the process lives; takes connections at the same port, and says nothing there.
pub(crate) fn nameserver(answers: Answers) -> io::Result<SocketAddr> {
    let (udp, tcp) = both()?;
    let address = udp.local_addr()?;
    thread::spawn(move || {
        let connections: Vec<_> = tcp.incoming().collect();
        drop(connections);
    });
    thread::spawn(move || {
        let mut query = [0; 1500];
        while let Ok((count, client)) = udp.recv_from(&mut query) {
            for answer in answers(query.get(..count).unwrap_or_default()) {
                // A client that is gone wants no more.
                let _ = udp.send_to(&answer, client);
            }
        }
    });
    Ok(address)
}

/// One port for UDP and TCP; somebody else may have the first ones for one of them.
fn both() -> io::Result<(UdpSocket, TcpListener)> {
    let mut last = None;
    for _ in 0..100 {
        let udp = UdpSocket::bind("127.0.0.1:0")?;
        match TcpListener::bind(udp.local_addr()?) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}

/// A response of a code with records.
fn response(query: &[u8], code: u8, records: &[Vec<u8>]) -> Vec<u8> {
    let end = query.iter().skip(HEADER).position(|byte| *byte == 0).unwrap_or_default() + HEADER + 5;
    let question = query.get(HEADER..end).unwrap_or_default();
    let count = u16::try_from(records.len()).unwrap_or(u16::MAX).to_be_bytes();
    let id = query.get(..2).unwrap_or_default();
    let flags = [0x81, 0x80 | code, 0, 1, count[0], count[1], 0, 0, 0, 0];
    [id, &flags, question, &records.concat()].concat()
}

/// A packet with one byte changed.
fn with(packet: &[u8], at: usize, change: impl Fn(u8) -> u8) -> Vec<u8> {
    let mut changed = packet.to_vec();
    if let Some(byte) = changed.get_mut(at) {
        *byte = change(*byte);
    }
    changed
}

/// A record of the name that was asked for.
fn record(kind: u8, data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(data.len()).unwrap_or(u8::MAX);
    [&POINTER_TO_QUESTION[..], &[0, kind, 0, 1, 0, 0, 0, 60, 0, length], data].concat()
}
