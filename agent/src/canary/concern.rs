//! Which changes of a monitor concern a connection that is open. Pure.

use quorate_proto::{MonitorSpec, canary::CanaryMode};

/// Whether a connection that was opened for one specification is not what the other asks for. How often a monitor is
/// checked, and what is said on checks' connections alone, is no reason to close one.
pub(crate) fn concerns_connection(one: &MonitorSpec, other: &MonitorSpec) -> bool {
    // By name, so that a new field is thought about here.
    let MonitorSpec {
        id,
        url,
        interval: _,
        timeout: _,
        hello,
        steps,
        samples: _,
        replies,
        headers,
        subprotocols,
        origin,
        sni,
        connect_to,
        ca_pem,
        verify_tls,
        client_certificate,
        proxy,
        addresses: _,
        family,
        canary,
        idle_search: _,
    } = one;
    let uses_steps = canary.is_some_and(|canary| match canary.mode {
        CanaryMode::Ping => false,
        CanaryMode::Steps | CanaryMode::Listen => true,
    });
    *id != other.id
        || *url != other.url
        || *hello != other.hello
        || (uses_steps && *steps != other.steps)
        || *replies != other.replies
        || *headers != other.headers
        || *subprotocols != other.subprotocols
        || *origin != other.origin
        || *sni != other.sni
        || *connect_to != other.connect_to
        || *ca_pem != other.ca_pem
        || *verify_tls != other.verify_tls
        || *client_certificate != other.client_certificate
        || *proxy != other.proxy
        || *family != other.family
        || *canary != other.canary
}
