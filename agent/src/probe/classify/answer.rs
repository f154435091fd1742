//! What bytes mean that came in answer to the upgrade and are no HTTP response.

use quorate_proto::outcome::UpgradeFault;

use crate::{limits, probe::quote::quote};

/// Bytes that came in answer to the upgrade and are not an HTTP/1 response.
pub(crate) fn not_a_response(error: httparse::Error, bytes: &[u8]) -> (UpgradeFault, String) {
    if matches!(error, httparse::Error::TooManyHeaders) {
        let max = limits::UPGRADE_HEADERS_MAX;
        return (UpgradeFault::HeadTooLarge, format!("the answer has more than {max} header lines"));
    }
    let opening: String = String::from_utf8_lossy(bytes).chars().take(60).collect();
    let opening = quote(opening.lines().next().unwrap_or_default());
    if bytes.starts_with(b"HTTP/") && !bytes.starts_with(b"HTTP/1.") {
        return (UpgradeFault::HttpVersion, format!("the answer begins with \"{opening}\""));
    }
    let fault = UpgradeFault::NotHttp;
    if bytes.starts_with(&[0x15, 0x03]) || bytes.starts_with(&[0x16, 0x03]) {
        return (fault, "the answer is TLS: does this port want wss://?".to_owned());
    }
    if bytes.starts_with(b"HTTP/1.") {
        return (fault, format!("the answer begins with \"{opening}\" and is broken HTTP: {error}"));
    }
    (fault, format!("the answer begins with \"{opening}\""))
}
