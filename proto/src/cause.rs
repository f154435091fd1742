//! What a failure likely means, and what to do about it.
//!
//! All of it is one table, read from the top: the first row that fits a failure explains it. What was seen comes from the
//! failure, what it means comes from the table: from the WebSocket standard (RFC 6455), and from how real servers and
//! proxies behave when they break.

mod table;

use std::ops::RangeInclusive;

use self::table::{CLOSE_CODE_NAMES, STATUS_NAMES, TABLE, UNKNOWN};
use crate::outcome::{ContentFault, DnsFault, Failure, FailureKind, Phase, SilentDrop, UpgradeFault};

/// The likely cause of a failure, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// [`crate::FailureKind::name`].
    pub kind: &'static str,
    /// One sentence: what was seen.
    pub summary: String,
    /// One or two sentences: what is the likely cause and what to do.
    pub hint: &'static str,
}

/// Explains a failure.
pub fn explain(failure: &Failure) -> Cause {
    let row = TABLE.iter().find(|row| row.case.fits(failure)).unwrap_or(&UNKNOWN);
    let number = if let FailureKind::UpgradeStatus(status) = &failure.kind {
        named(*status, STATUS_NAMES)
    } else if let FailureKind::Closed { code, .. } = &failure.kind {
        named(*code, CLOSE_CODE_NAMES)
    } else {
        String::new()
    };
    let headline = row.headline.replace("{}", &number);
    let summary = match failure.detail.as_str() {
        "" => headline,
        detail => format!("{headline} ({detail})"),
    };
    Cause { kind: failure.kind.name(), summary, hint: row.hint }
}

/// One line of the table.
struct Row {
    case: Case,
    /// What was seen, before the failure's own detail. `{}` stands for the status or close code with its name.
    headline: &'static str,
    hint: &'static str,
}

/// Which failures a row explains.
enum Case {
    /// Those of this name.
    Kind(&'static str),
    /// Those of this name in this phase.
    KindIn(&'static str, Phase),
    Dns(DnsFault),
    Upgrade(UpgradeFault),
    SilentDrop(SilentDrop),
    Content(ContentFault),
    /// A status in the range.
    Status(RangeInclusive<u16>),
    /// A status in the range from a server that names itself so.
    StatusFrom(RangeInclusive<u16>, &'static str),
    /// A close code in the range.
    Closed(RangeInclusive<u16>),
}

impl Case {
    fn fits(&self, failure: &Failure) -> bool {
        match (self, &failure.kind) {
            (Self::Dns(wanted), FailureKind::Dns(fault)) => wanted == fault,
            (Self::Upgrade(wanted), FailureKind::UpgradeInvalid(fault)) => wanted == fault,
            (Self::SilentDrop(wanted), FailureKind::SilentDrop(at)) => wanted == at,
            (Self::Content(wanted), FailureKind::Content(fault)) => wanted == fault,
            (Self::Status(range), FailureKind::UpgradeStatus(status)) => range.contains(status),
            (Self::StatusFrom(range, name), FailureKind::UpgradeStatus(status)) => {
                let server = failure.refusal.as_ref().and_then(|refusal| refusal.server.as_ref());
                range.contains(status) && server.is_some_and(|server| server.to_lowercase().contains(name))
            }
            (Self::Closed(range), FailureKind::Closed { code, .. }) => range.contains(code),
            (Self::KindIn(name, phase), kind) => *name == kind.name() && *phase == failure.phase,
            (Self::Kind(name), kind) => *name == kind.name(),
            _ => false,
        }
    }
}

fn named(number: u16, names: &[(u16, &str)]) -> String {
    match names.iter().find(|(known, _)| *known == number) {
        Some((_, name)) => format!("{number} {name}"),
        None => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::UpgradeRefusal;

    fn every_kind() -> Vec<FailureKind> {
        use FailureKind as Kind;
        let dns = [DnsFault::NotFound, DnsFault::NoAddress, DnsFault::ServerFailure, DnsFault::Timeout];
        let upgrade = [
            UpgradeFault::NotHttp,
            UpgradeFault::HttpVersion,
            UpgradeFault::HeadTooLarge,
            UpgradeFault::UpgradeHeader,
            UpgradeFault::ConnectionHeader,
            UpgradeFault::AcceptMissing,
            UpgradeFault::AcceptMismatch,
            UpgradeFault::Subprotocol,
            UpgradeFault::Extension,
        ];
        let closed = |code| Kind::Closed { code, reason: String::new() };
        let plain = [
            Kind::ConnectionRefused,
            Kind::Unreachable,
            Kind::ConnectTimeout,
            Kind::ConnectionReset,
            Kind::TlsHandshake,
            Kind::TlsTimeout,
            Kind::CertificateExpired,
            Kind::CertificateName,
            Kind::CertificateUntrusted,
            Kind::UpgradeTimeout,
            Kind::ReplyTimeout,
            Kind::ReplyMismatch,
            Kind::Dropped,
            Kind::ProtocolViolation,
            Kind::TooLarge,
            Kind::EgressBlocked,
            Kind::AgentFault,
            Kind::TlsAlert(40),
            Kind::SilentDrop(SilentDrop::Stuck),
            Kind::SilentDrop(SilentDrop::PathDead),
            Kind::SilentDrop(SilentDrop::Unknown),
            Kind::StreamStale,
            Kind::Content(ContentFault::NotGrowing),
            Kind::Content(ContentFault::SequenceGap),
            Kind::Content(ContentFault::SequenceRepeat),
            Kind::Content(ContentFault::TooOld),
            Kind::Content(ContentFault::Unreadable),
            Kind::Proxy,
        ];
        dns.into_iter()
            .map(Kind::Dns)
            .chain(upgrade.into_iter().map(Kind::UpgradeInvalid))
            .chain((0..1000).map(Kind::UpgradeStatus))
            .chain(
                [0, 999, 1004, 1016, 2000, 5000, u16::MAX]
                    .into_iter()
                    .chain(1000..1016)
                    .chain(3000..4500)
                    .map(closed),
            )
            .chain(plain)
            .collect()
    }

    #[test]
    fn every_failure_is_explained() {
        let mut names: Vec<_> = Vec::new();
        for kind in every_kind() {
            let cause = explain(&Failure::new(kind.clone(), Phase::Exchange, "what was seen"));
            assert_eq!(cause.kind, kind.name());
            assert_ne!(cause.hint, UNKNOWN.hint, "{kind}");
            assert!(cause.summary.ends_with(" (what was seen)"), "{}", cause.summary);
            assert!(!cause.summary.contains("{}"), "{}", cause.summary);
            names.push(kind.name());
        }
        for name in FailureKind::NAMES {
            assert!(names.contains(&name), "{name} is not in the test");
        }
    }

    /// A row that an earlier one hides is never read by anyone.
    #[test]
    fn every_row_is_reached() {
        let servers = [None, Some("nginx/1.24.0"), Some("cloudflare")];
        let mut reached = vec![false; TABLE.len()];
        for kind in every_kind() {
            for server in servers {
                for phase in [Phase::Upgrade, Phase::Exchange] {
                    let mut failure = Failure::new(kind.clone(), phase, "");
                    failure.refusal = server.map(|server| UpgradeRefusal {
                        status: 0,
                        server: Some(server.to_owned()),
                        headers: Vec::new(),
                        body: String::new(),
                    });
                    let row = TABLE.iter().position(|row| row.case.fits(&failure)).unwrap();
                    reached[row] = true;
                }
            }
        }
        let hidden: Vec<_> = reached.iter().enumerate().filter(|(_, reached)| !**reached).collect();
        assert_eq!(hidden, [], "rows counted from zero");
    }

    #[test]
    fn texts_fit_an_alert() {
        for row in TABLE {
            assert!(row.headline.len() <= 80 && !row.headline.ends_with('.'), "{}", row.headline);
            assert!((40..=320).contains(&row.hint.len()) && row.hint.ends_with('.'), "{}", row.hint);
            assert!(!row.hint.contains("  "), "{}", row.hint);
        }
    }

    #[test]
    fn summaries_read_well() {
        let refusal = |server: &str| UpgradeRefusal {
            status: 0,
            server: Some(server.into()),
            headers: Vec::new(),
            body: String::new(),
        };
        let closed = FailureKind::Closed { code: 1011, reason: "oops".into() };
        for (kind, detail, server, summary, hint) in [
            (
                FailureKind::ConnectionRefused,
                "nothing listens on 127.0.0.1:9000",
                None,
                "The server refused the TCP connection (nothing listens on 127.0.0.1:9000)",
                "process is not running",
            ),
            (
                FailureKind::UpgradeStatus(502),
                "Server: nginx/1.24.0",
                Some("nginx/1.24.0"),
                "The upgrade was answered with 502 Bad Gateway instead of 101 (Server: nginx/1.24.0)",
                "server behind it is not",
            ),
            (
                FailureKind::UpgradeStatus(426),
                "Server: nginx",
                Some("nginx"),
                "The upgrade was answered with 426 Upgrade Required instead of 101 (Server: nginx)",
                "proxy_http_version 1.1",
            ),
            (
                FailureKind::UpgradeStatus(418),
                "",
                None,
                "The upgrade was answered with 418 instead of 101",
                "refused this request",
            ),
            (
                closed,
                "the close frame says: oops",
                None,
                "The server closed the connection with 1011 internal error (the close frame says: oops)",
                "error log",
            ),
        ] {
            let mut failure = Failure::new(kind, Phase::Upgrade, detail);
            failure.refusal = server.map(refusal);
            let cause = explain(&failure);
            assert_eq!(cause.summary, summary);
            assert!(cause.hint.contains(hint), "{}", cause.hint);
        }
    }
}
