//! Every behaviour of a server, met on a real socket.

use quorate_proto::{Micros, MonitorSpec};

/// A monitor that asks for nothing but the upgrade.
pub(crate) fn spec(url: &str) -> MonitorSpec {
    MonitorSpec {
        id: "m".parse().unwrap(),
        url: url.to_owned(),
        interval: Micros::from_secs(60),
        timeout: Micros::from_secs(5),
        steps: Vec::new(),
        headers: Vec::new(),
        subprotocols: Vec::new(),
        origin: None,
        sni: None,
        connect_to: None,
        ca_pem: None,
        verify_tls: true,
    }
}
