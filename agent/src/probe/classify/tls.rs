//! What errors of the TLS handshake mean.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the errors of other crates are open-ended; the rest of them is one case here"
)]

use std::io;

use quorate_proto::{FailureKind, tls::alert_name};
use rustls::{AlertDescription, CertificateError, pki_types::UnixTime};

use super::{Seen, socket::stream};
use crate::probe::quote::quote;

/// An error of the TLS handshake.
pub(crate) fn tls_handshake(error: &io::Error) -> Seen {
    if let Some(error) = inner(error) {
        return tls(error);
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => (
            FailureKind::TlsHandshake,
            "the server closed the connection within the TLS handshake".to_owned(),
        ),
        _ => match stream(error) {
            (kind @ FailureKind::ConnectionReset, _) => (kind, "reset within the TLS handshake".to_owned()),
            seen => seen,
        },
    }
}

/// The TLS library's error within an I/O error.
pub(super) fn inner(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// The TLS library's error on a connection that is open: an alert is the server's last word (RFC 8446 section 6).
pub(super) fn open(error: &rustls::Error) -> Seen {
    if let rustls::Error::AlertReceived(alert) = error {
        let description = u8::from(*alert);
        let detail = format!("TLS ended with the alert {}{}", alert_name(description), hint(*alert));
        return (FailureKind::TlsAlert(description), detail);
    }
    (FailureKind::TlsHandshake, format!("TLS broke on the open connection: {error}"))
}

/// What an alert is mostly about, where it is about what this side has shown: in TLS 1.3 a server judges the client's
/// certificate when for the client the handshake is over.
fn hint(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::CertificateRequired => ": it wants a client certificate",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => ": it does not take the client certificate",
        AlertDescription::UnrecognisedName => ": it knows no host of this name",
        AlertDescription::NoApplicationProtocol => ": it does not offer HTTP/1.1 there",
        _ => "",
    }
}

fn tls(error: &rustls::Error) -> Seen {
    if let rustls::Error::InvalidCertificate(fault) = error {
        return certificate(fault);
    }
    let detail = match error {
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => {
            "the server's answer is not TLS: does it speak plain ws:// on this port?".to_owned()
        }
        rustls::Error::AlertReceived(alert) => {
            let name = alert_name(u8::from(*alert));
            format!("the server refused the TLS handshake with the alert {name}{}", hint(*alert))
        }
        other => other.to_string(),
    };
    (FailureKind::TlsHandshake, detail)
}

fn certificate(fault: &CertificateError) -> Seen {
    if let CertificateError::ExpiredContext { time, not_after } = fault {
        let detail = format!("it was valid until {}, {}", date(*not_after), span(*not_after, *time));
        return (FailureKind::CertificateExpired, detail + " ago");
    }
    if let CertificateError::NotValidYetContext { time, not_before } = fault {
        let detail = format!("it is valid from {}, in {}", date(*not_before), span(*time, *not_before));
        return (FailureKind::CertificateExpired, detail);
    }
    if let CertificateError::NotValidForNameContext { expected, presented } = fault {
        let names: Vec<_> = presented.iter().map(|name| bare_name(name)).collect();
        let names = if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") };
        let detail = format!("it is for {}, not for {}", quote(&names), expected.to_str());
        return (FailureKind::CertificateName, detail);
    }
    let kind = match fault {
        CertificateError::Expired | CertificateError::NotValidYet => FailureKind::CertificateExpired,
        CertificateError::NotValidForName => FailureKind::CertificateName,
        _ => FailureKind::CertificateUntrusted,
    };
    let detail = match fault {
        CertificateError::UnknownIssuer => "it was not issued by a trusted root".to_owned(),
        CertificateError::BadSignature => "its signature is not its issuer's".to_owned(),
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "it is an authority's own certificate in place of a server's".to_owned()
        }
        other => other.to_string(),
    };
    (kind, detail)
}

/// `DnsName("a.example")` and `IpAddress(…)`, as rustls writes them, without the wrapping.
fn bare_name(name: &str) -> &str {
    name.split_once('"').and_then(|(_, rest)| rest.split_once('"')).map_or(name, |(inner, _)| inner)
}

fn date(time: UnixTime) -> String {
    let timestamp =
        i64::try_from(time.as_secs()).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    timestamp.map_or_else(
        || "an absurd date".to_owned(),
        |timestamp| timestamp.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}

fn span(from: UnixTime, to: UnixTime) -> String {
    let seconds = to.as_secs().saturating_sub(from.as_secs());
    match (seconds / 86_400, seconds / 3_600) {
        (0, 0) => format!("{} minutes", seconds / 60),
        (0, hours) => format!("{hours} hours"),
        (1, _) => "1 day".to_owned(),
        (days, _) => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_tls_handshake() {
        let at = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let day = 86_400;
        let invalid = rustls::Error::InvalidCertificate;
        for (error, kind, words) in [
            (
                invalid(CertificateError::ExpiredContext {
                    time: at(20_003 * day),
                    not_after: at(20_000 * day),
                }),
                FailureKind::CertificateExpired,
                "was valid until 2024-10-04 00:00 UTC, 3 days ago",
            ),
            (
                invalid(CertificateError::NotValidYetContext { time: at(0), not_before: at(7_200) }),
                FailureKind::CertificateExpired,
                "is valid from 1970-01-01 02:00 UTC, in 2 hours",
            ),
            (
                invalid(CertificateError::NotValidForNameContext {
                    expected: "x.example".try_into().unwrap(),
                    presented: vec!["DnsName(\"a.example\")".into(), "DnsName(\"b.example\")".into()],
                }),
                FailureKind::CertificateName,
                "it is for a.example, b.example, not for x.example",
            ),
            (invalid(CertificateError::UnknownIssuer), FailureKind::CertificateUntrusted, "trusted root"),
            (invalid(CertificateError::BadSignature), FailureKind::CertificateUntrusted, ""),
            (invalid(CertificateError::Revoked), FailureKind::CertificateUntrusted, ""),
            (
                rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
                FailureKind::TlsHandshake,
                "plain ws://",
            ),
            (
                rustls::Error::AlertReceived(rustls::AlertDescription::HandshakeFailure),
                FailureKind::TlsHandshake,
                "alert handshake_failure",
            ),
            (
                rustls::Error::AlertReceived(rustls::AlertDescription::UnrecognisedName),
                FailureKind::TlsHandshake,
                "alert unrecognized_name: it knows no host of this name",
            ),
        ] {
            let (found, detail) = tls_handshake(&io::Error::new(io::ErrorKind::InvalidData, error));
            assert_eq!(found, kind, "{detail}");
            assert!(detail.contains(words), "{detail}");
        }
        for (error, kind, words) in [
            (
                rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired),
                FailureKind::TlsAlert(116),
                "alert certificate_required: it wants a client certificate",
            ),
            (
                rustls::Error::AlertReceived(rustls::AlertDescription::InternalError),
                FailureKind::TlsAlert(80),
                "alert internal_error",
            ),
            (
                rustls::Error::AlertReceived(rustls::AlertDescription::Unknown(200)),
                FailureKind::TlsAlert(200),
                "alert 200",
            ),
            (rustls::Error::DecryptError, FailureKind::TlsHandshake, "broke on the open connection"),
        ] {
            let (found, detail) = stream(&io::Error::new(io::ErrorKind::InvalidData, error));
            assert_eq!(found, kind, "{detail}");
            assert!(detail.contains(words), "{detail}");
        }
        assert_eq!(tls_handshake(&io::ErrorKind::UnexpectedEof.into()).0, FailureKind::TlsHandshake);
        assert_eq!(tls_handshake(&io::ErrorKind::ConnectionReset.into()).0, FailureKind::ConnectionReset);
    }
}
