//! Every failure is explained, every row is reached, and every text fits where it is shown.

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

/// Everything by which a row could know who answered: no refusal at all, and one for each product.
fn refusals() -> Vec<Option<UpgradeRefusal>> {
    let refusal = |server: Option<&str>, header: &str, body: &str| {
        Some(UpgradeRefusal {
            status: 0,
            server: server.map(str::to_owned),
            headers: vec![header.to_owned()],
            body: body.to_owned(),
        })
    };
    vec![
        None,
        refusal(Some("nginx/1.24.0"), "", ""),
        refusal(Some("nginx"), "", "The plain HTTP request was sent to HTTPS port"),
        refusal(None, "", "No server is available to handle this request."),
        refusal(Some("Caddy"), "", ""),
        refusal(Some("envoy"), "", ""),
        refusal(Some("Apache/2.4.71 (Debian)"), "", ""),
        refusal(None, "", "404 page not found"),
        refusal(Some("awselb/2.0"), "", ""),
        refusal(None, "x-amzn-ErrorType: ForbiddenException", ""),
        refusal(Some("CloudFront"), "", ""),
        refusal(Some("Google Frontend"), "", ""),
        refusal(Some("Microsoft-Azure-Application-Gateway/v2"), "", ""),
        refusal(None, "x-azure-ref: 20260511T024344Z", ""),
        refusal(Some("cloudflare"), "", ""),
        refusal(Some("Heroku"), "", ""),
        refusal(Some("Microsoft-IIS/10.0"), "", ""),
    ]
}

/// A row that an earlier one hides is never read by anyone.
#[test]
fn every_row_is_reached() {
    let mut reached = vec![false; rows().count()];
    for kind in every_kind() {
        let is_refused = matches!(kind, FailureKind::UpgradeStatus(_));
        let refusals = if is_refused { refusals() } else { vec![None] };
        for refusal in refusals {
            for phase in [Phase::Upgrade, Phase::Exchange] {
                let mut failure = Failure::new(kind.clone(), phase, "");
                failure.refusal.clone_from(&refusal);
                let row = rows().position(|row| row.case.fits(&failure)).unwrap();
                reached[row] = true;
            }
        }
    }
    let hidden: Vec<_> = reached.iter().enumerate().filter(|(_, reached)| !**reached).collect();
    assert_eq!(hidden, [], "rows counted from zero");
}

/// Every row about a product is for one that can be recognised, and the product that it is for has a name.
#[test]
fn products_are_recognised() {
    let products: Vec<_> =
        refusals().into_iter().flatten().filter_map(|refusal| Product::of(&refusal)).collect();
    for row in PROXIES {
        let (Case::By(product, _) | Case::Saying(product, ..)) = &row.case else {
            panic!("{} is not about a product", row.hint)
        };
        assert!(products.contains(product), "{product}");
    }
    for (server, headers, body, product) in [
        (Some("nginx"), &["CF-RAY: 8f"][..], "", Some(Product::Nginx)),
        (Some("nginx"), &["cf-mitigated: challenge"], "", Some(Product::Cloudflare)),
        (None, &["Via: 1.1 google"], "404 page not found", Some(Product::GoogleLoadBalancer)),
        (None, &[], "upstream connect error or disconnect/reset before headers", Some(Product::Envoy)),
        (Some("Werkzeug"), &[], "No server is available to handle this request.", None),
        (None, &[], "", None),
    ] {
        let refusal = UpgradeRefusal {
            status: 502,
            server: server.map(str::to_owned),
            headers: headers.iter().map(|&header| header.to_owned()).collect(),
            body: body.to_owned(),
        };
        assert_eq!(Product::of(&refusal), product, "{refusal:?}");
    }
}

#[test]
fn texts_fit_an_alert() {
    for row in rows() {
        assert!(row.headline.len() <= 80 && !row.headline.ends_with('.'), "{}", row.headline);
        assert!((40..=320).contains(&row.hint.len()) && row.hint.ends_with('.'), "{}", row.hint);
        assert!(!row.hint.contains("  "), "{}", row.hint);
    }
}

/// A mend is copied into a shell or a file: short lines, as they are, and comments that say where they belong.
#[test]
fn mends_can_be_copied() {
    for row in rows() {
        assert!(row.mend.len() <= 12, "{}", row.hint);
        for line in row.mend {
            assert!(
                line.chars().count() <= 76 && line.trim_end() == *line && !line.contains('\t'),
                "{line:?}"
            );
        }
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
