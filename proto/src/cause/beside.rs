//! What a failure means while the same agent's canary lives: newcomers are kept out, and those inside stay.

use super::{Case, Row, STATUS, mended, row};
use crate::outcome::Failure;

/// The cause's name where the server takes no more connections.
pub const CONNECTION_LIMIT: &str = "connection_limit";

/// The cause's name where the server lets the old connections end and listens no more.
pub const DRAINING: &str = "draining";

const RAISE: &[&str] = &[
    "# on the server: how many connections are there, and how many may there be?",
    "ss -tn state established 'sport = :443' | wc -l",
    "grep -H 'open files' /proc/$(pidof -s chat)/limits",
    "# nginx: connections of all workers, and those of one address or server",
    "worker_rlimit_nofile 65536; events { worker_connections 32768; }",
    "limit_conn per_address 100;",
    "# systemd",
    "LimitNOFILE=65536",
];

const FULL: &str = "The server is at its limit: connections, open files, workers, or a limit of the proxy in front. Those \
    inside keep working, so that every other check stays green. Raise the limit, or find the clients that leave \
    connections behind.";

/// The first row that fits explains a failure beside a canary that lives.
pub(super) const BESIDE: &[(&str, Row)] = &[
    (CONNECTION_LIMIT, mended(Case::Status(429..=429), STATUS, FULL, RAISE)),
    (CONNECTION_LIMIT, mended(Case::Status(503..=503), STATUS, FULL, RAISE)),
    (
        CONNECTION_LIMIT,
        mended(Case::Closed(1013..=1013), "The server closed the new connection with {}", FULL, RAISE),
    ),
    (
        CONNECTION_LIMIT,
        mended(
            Case::Kind("connect_timeout"),
            "A new connection was not accepted in time",
            "The accept queue is full: the process takes no new connections, and those inside live. Raise its limits of \
             connections and open files, and look for what keeps it from calling accept.",
            RAISE,
        ),
    ),
    (
        CONNECTION_LIMIT,
        mended(
            Case::Kind("upgrade_timeout"),
            "The upgrade of a new connection was not answered in time",
            FULL,
            RAISE,
        ),
    ),
    (
        DRAINING,
        row(
            Case::Kind("connection_refused"),
            "New connections are refused, and old ones live",
            "The listener is closed and the old process waits for its connections to end, as after `nginx -s quit`. Where \
             that was a deployment, its successor did not start to listen; otherwise start it again.",
        ),
    ),
];

/// The cause's name and the row, where a failure is one that a living canary explains.
pub(super) fn of(failure: &Failure) -> Option<&'static (&'static str, Row)> {
    BESIDE.iter().find(|(_, row)| failure.canary_lives && row.case.fits(failure))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cause::explain,
        outcome::{FailureKind, Phase},
    };

    #[test]
    fn a_living_canary_tells_a_limit_from_an_outage() {
        let closed = |code| FailureKind::Closed { code, reason: String::new() };
        for (kind, cause) in [
            (FailureKind::UpgradeStatus(429), CONNECTION_LIMIT),
            (FailureKind::UpgradeStatus(503), CONNECTION_LIMIT),
            (closed(1013), CONNECTION_LIMIT),
            (FailureKind::ConnectTimeout, CONNECTION_LIMIT),
            (FailureKind::UpgradeTimeout, CONNECTION_LIMIT),
            (FailureKind::ConnectionRefused, DRAINING),
            (FailureKind::UpgradeStatus(502), "upgrade_status"),
            (closed(1011), "closed"),
            (FailureKind::Dropped, "dropped"),
        ] {
            let mut failure = Failure::new(kind.clone(), Phase::Upgrade, "as seen");
            assert_eq!(explain(&failure).kind, kind.name(), "without a canary");
            failure.canary_lives = true;
            let explained = explain(&failure);
            assert_eq!(explained.kind, cause, "{kind}");
            assert!(explained.summary.ends_with(" (as seen)") && !explained.summary.contains("{}"));
        }
    }

    #[test]
    fn texts_fit_an_alert() {
        for (_, row) in BESIDE {
            assert!(row.headline.len() <= 80 && !row.headline.ends_with('.'), "{}", row.headline);
            assert!((40..=320).contains(&row.hint.len()) && row.hint.ends_with('.'), "{}", row.hint.len());
        }
    }
}
