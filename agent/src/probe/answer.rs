//! Whether an HTTP response completes the upgrade. Pure.

use quorate_proto::{limits as protocol, outcome::UpgradeFault};

use super::{classify, quote};
use crate::limits;

/// The head of a response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    minor_version: u8,
    headers: Vec<(String, Vec<u8>)>,
}

/// What a whole head says.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// Its end has not come yet.
    Partial,
    /// It takes this many bytes.
    Whole(Answer, usize),
}

/// What is wrong, and in words.
pub(crate) type Fault = (UpgradeFault, String);

/// Reads a response's head, as far as it has come.
pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed, Fault> {
    let mut headers = [httparse::EMPTY_HEADER; limits::UPGRADE_HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Err(error) => Err(classify::not_a_response(error, bytes)),
        Ok(httparse::Status::Partial) => Ok(Parsed::Partial),
        Ok(httparse::Status::Complete(length)) => {
            let answer = Answer {
                status: response.code.unwrap_or_default(),
                minor_version: response.version.unwrap_or_default(),
                headers: response
                    .headers
                    .iter()
                    .map(|header| (header.name.to_ascii_lowercase(), header.value.to_vec()))
                    .collect(),
            };
            Ok(Parsed::Whole(answer, length))
        }
    }
}

impl Answer {
    /// Checks a 101 as RFC 6455 section 4.1 asks of a client, and gives the subprotocol that the server chose.
    pub(crate) fn verify(&self, accept: &str, offered: &[String]) -> Result<Option<String>, Fault> {
        if self.minor_version != 1 {
            let version = self.minor_version;
            return fault(UpgradeFault::HttpVersion, format!("the answer is HTTP/1.{version} 101"));
        }
        if !self.has_token("upgrade", "websocket") {
            return fault(UpgradeFault::UpgradeHeader, self.lacks("upgrade", "websocket"));
        }
        if !self.has_token("connection", "upgrade") {
            return fault(UpgradeFault::ConnectionHeader, self.lacks("connection", "Upgrade"));
        }
        match self.lines("sec-websocket-accept").as_slice() {
            [] => return fault(UpgradeFault::AcceptMissing, "101 without Sec-WebSocket-Accept"),
            [value] if value.trim_ascii() == accept.as_bytes() => {}
            values => {
                let found = quote::line(&values.join(&b", "[..]), 64);
                let detail = format!("101 with Sec-WebSocket-Accept {found:?} where {accept:?} is due");
                return fault(UpgradeFault::AcceptMismatch, detail);
            }
        }
        if self.all("sec-websocket-extensions").any(|line| !line.trim_ascii().is_empty()) {
            let extensions = self.lines("sec-websocket-extensions").join(&b", "[..]);
            let extensions = quote::line(&extensions, limits::QUOTE_BYTES_MAX);
            let detail = format!("101 with the extension {extensions:?}, and none was asked for");
            return fault(UpgradeFault::Extension, detail);
        }
        self.subprotocol(offered)
    }

    fn subprotocol(&self, offered: &[String]) -> Result<Option<String>, Fault> {
        let values = self.lines("sec-websocket-protocol");
        if values.is_empty() {
            return Ok(None);
        }
        let chosen = values.join(&b", "[..]);
        if let Some(known) = offered.iter().find(|name| name.as_bytes() == chosen.trim_ascii()) {
            return Ok(Some(known.clone()));
        }
        let chosen = quote::line(&chosen, protocol::SUBPROTOCOL_BYTES_MAX);
        let offered = if offered.is_empty() { "none".to_owned() } else { quote::quote(&offered.join(", ")) };
        fault(
            UpgradeFault::Subprotocol,
            format!("101 with the subprotocol {chosen:?}, and offered was: {offered}"),
        )
    }

    /// The `Server` header, fit to be shown.
    pub(crate) fn server(&self) -> Option<String> {
        self.text("server", protocol::SERVER_HEADER_BYTES_MAX)
    }

    /// A header's first line, fit to be shown; none where it is empty.
    pub(crate) fn text(&self, name: &str, bytes_max: usize) -> Option<String> {
        let value = self.all(name).next()?;
        Some(quote::line(value, bytes_max)).filter(|text| !text.is_empty())
    }

    /// All headers: the names in lower case, the values as they came.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// How long the body is, where the head says so.
    pub(crate) fn body_bytes(&self) -> Option<usize> {
        if self.is_chunked() {
            return None;
        }
        std::str::from_utf8(self.all("content-length").next()?).ok()?.trim().parse().ok()
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.has_token("transfer-encoding", "chunked")
    }

    /// The values of a header, line by line.
    /// The values of a header, one for each of its lines.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let named = self.headers.iter().filter(move |(header, _)| header == name);
        named.map(|(_, value)| value.as_slice())
    }

    fn lines(&self, name: &str) -> Vec<&[u8]> {
        self.all(name).collect()
    }

    /// Whether a header, in one line or several, lists a token, in any case (`keep-alive, Upgrade` is legal).
    fn has_token(&self, name: &str, token: &str) -> bool {
        let mut tokens = self.all(name).flat_map(|value| value.split(|&byte| byte == b','));
        tokens.any(|found| found.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    fn lacks(&self, name: &str, token: &str) -> String {
        match self.lines(name).as_slice() {
            [] => format!("101 without the header {name}: {token}"),
            values => {
                let found = quote::line(&values.join(&b", "[..]), 64);
                format!("101 with {name}: {found:?} where {token} is due")
            }
        }
    }
}

fn fault<T>(fault: UpgradeFault, detail: impl Into<String>) -> Result<T, Fault> {
    Err((fault, detail.into()))
}

/// The first bytes of a chunked body without the chunks' sizes (RFC 9112 section 7.1), as far as it came.
pub(crate) fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(bytes) {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let rest = bytes.get(start..).unwrap_or_default();
        if size == 0 || rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at_checked(size).unwrap_or((rest, &[]));
        body.extend_from_slice(chunk);
        bytes = after.strip_prefix(b"\r\n").unwrap_or_default();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Accept: ACC=\r\n\r\n";

    fn verdict(head: &str, offered: &[&str]) -> Result<Option<String>, UpgradeFault> {
        let offered: Vec<_> = offered.iter().map(|&name| name.to_owned()).collect();
        match parse(head.as_bytes()) {
            Ok(Parsed::Whole(answer, length)) => {
                assert_eq!(length, head.len());
                assert_eq!(answer.status, 101);
                answer.verify("ACC=", &offered).map_err(|(fault, _)| fault)
            }
            Ok(Parsed::Partial) => panic!("{head:?} is not whole"),
            Err((fault, _)) => Err(fault),
        }
    }

    #[test]
    fn a_right_answer_is_taken_however_it_is_spelt() {
        for (from, to) in [
            ("", ""),
            ("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
            ("Connection: Upgrade", "connection: keep-alive\r\nCONNECTION: uPGRADE"),
            ("Upgrade: websocket", "Upgrade: WebSocket"),
            ("Accept: ACC=", "Accept:   ACC=  "),
            ("Switching Protocols", ""),
            ("ACC=", "ACC=\r\nServer: nginx\r\nSec-WebSocket-Extensions: "),
        ] {
            assert_eq!(verdict(&GOOD.replace(from, to), &["v1"]), Ok(None), "{to}");
        }
        let chosen = GOOD.replace("ACC=", "ACC=\r\nSec-WebSocket-Protocol: v1");
        assert_eq!(verdict(&chosen, &["v2", "v1"]), Ok(Some("v1".into())));
    }

    #[test]
    fn a_wrong_answer_is_named() {
        let with = |line: &str| GOOD.replace("ACC=", &format!("ACC=\r\n{line}"));
        for (head, offered, fault) in [
            (GOOD.replace("1.1", "1.0"), &[][..], UpgradeFault::HttpVersion),
            (GOOD.replace("Upgrade: websocket\r\n", ""), &[], UpgradeFault::UpgradeHeader),
            (GOOD.replace("websocket", "h2c"), &[], UpgradeFault::UpgradeHeader),
            (GOOD.replace("Connection: Upgrade\r\n", ""), &[], UpgradeFault::ConnectionHeader),
            (GOOD.replace("n: Upgrade", "n: close"), &[], UpgradeFault::ConnectionHeader),
            (GOOD.replace("Sec-WebSocket-Accept: ACC=\r\n", ""), &[], UpgradeFault::AcceptMissing),
            (GOOD.replace("ACC=", "acc="), &[], UpgradeFault::AcceptMismatch),
            (with("Sec-WebSocket-Accept: ACC="), &[], UpgradeFault::AcceptMismatch),
            (with("Sec-WebSocket-Extensions: permessage-deflate"), &[], UpgradeFault::Extension),
            (with("Sec-WebSocket-Protocol: v1"), &[], UpgradeFault::Subprotocol),
            (with("Sec-WebSocket-Protocol: V1"), &["v1"], UpgradeFault::Subprotocol),
            (with("Sec-WebSocket-Protocol: v1, v2"), &["v1", "v2"], UpgradeFault::Subprotocol),
        ] {
            assert_eq!(verdict(&head, offered), Err(fault), "{head}");
        }
    }

    #[test]
    fn what_is_not_http_is_named() {
        for (bytes, fault, words) in [
            (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], UpgradeFault::NotHttp, "\"SSH-2.0-OpenSSH_9.2\""),
            (b"\x15\x03\x01\x00\x02\x02\x46", UpgradeFault::NotHttp, "wss://"),
            (b"\x81\x05hello", UpgradeFault::NotHttp, "begins with"),
            (b"HTTP/2 101\r\n", UpgradeFault::HttpVersion, "HTTP/2 101"),
            (b"HTTP/1.1 abc\r\n\r\n", UpgradeFault::NotHttp, "broken HTTP"),
            (b"HTTP/1.1 101 x\r\nno colon\r\n\r\n", UpgradeFault::NotHttp, "broken HTTP"),
        ] {
            let (found, detail) = parse(bytes).unwrap_err();
            assert_eq!(found, fault, "{detail}");
            assert!(detail.contains(words), "{detail}");
        }
        let endless = format!("HTTP/1.1 101 x\r\n{}", "A: b\r\n".repeat(limits::UPGRADE_HEADERS_MAX + 1));
        assert_eq!(parse(endless.as_bytes()).unwrap_err().0, UpgradeFault::HeadTooLarge);
        assert!(matches!(parse(b""), Ok(Parsed::Partial)));
        assert!(matches!(parse(&GOOD.as_bytes()[..GOOD.len() - 1]), Ok(Parsed::Partial)));
    }

    #[test]
    fn chunks_are_joined() {
        for (bytes, body) in [
            (&b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"[..], "hello!"),
            (b"5\r\nhel", "hel"),
            (b"ffffffffffffffff\r\nhel", "hel"),
            (b"nonsense", ""),
            (b"", ""),
        ] {
            assert_eq!(unchunked(bytes), body.as_bytes());
        }
    }

    proptest::proptest! {
        /// Whatever a server sends is judged, and nothing panics.
        #[test]
        fn any_bytes_are_judged(mut bytes: Vec<u8>, at: usize, with: u8) {
            let _ = unchunked(&bytes);
            let _ = parse(&bytes);
            // And a right answer with one byte changed.
            bytes = GOOD.into();
            let at = at % bytes.len();
            bytes[at] = with;
            if let Ok(Parsed::Whole(answer, length)) = parse(&bytes) {
                proptest::prop_assert!(length <= bytes.len());
                let _ = answer.verify("ACC=", &["v1".to_owned()]);
                let _ = (answer.server(), answer.body_bytes());
            }
        }
    }
}
