//! What was probably meant by a URL that is none of a WebSocket.

/// The URL that was probably meant; none where it is good as it stands, or nobody can tell.
pub(super) fn meant(text: &str) -> Option<String> {
    let trimmed = text.trim();
    let (scheme, rest) = match trimmed.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        // One slash too few, or none: "wss:/x", "ws:x".
        None => match trimmed.split_once(':') {
            Some((scheme, rest))
                if ["ws", "wss", "http", "https"].contains(&&*scheme.to_ascii_lowercase()) =>
            {
                (scheme.to_ascii_lowercase(), rest.trim_start_matches('/'))
            }
            _ => (String::new(), trimmed.trim_start_matches('/')),
        },
    };
    let scheme = match scheme.as_str() {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        "" if is_local(rest) => "ws",
        "" => "wss",
        _ => return None,
    };
    let rest = rest.split('#').next().unwrap_or_default().trim();
    let rest = rest.replace(' ', "%20");
    let meant = format!("{scheme}://{rest}");
    let is_good = meant.parse::<url::Url>().is_ok_and(|url| url.host().is_some());
    (is_good && meant != text).then_some(meant)
}

/// Whether a host without a scheme is one of this machine or network, where TLS is rare.
fn is_local(rest: &str) -> bool {
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let bare = host.rsplit_once(':').map_or(host, |(host, _)| host);
    bare == "localhost" || host.starts_with('[') || bare.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_seen_through() {
        for (text, wanted) in [
            ("http://x.example/ws", Some("ws://x.example/ws")),
            ("https://x.example/ws", Some("wss://x.example/ws")),
            ("x.example/ws", Some("wss://x.example/ws")),
            ("x.example:8443/ws", Some("wss://x.example:8443/ws")),
            ("localhost:8080", Some("ws://localhost:8080")),
            ("127.0.0.1:8080/a", Some("ws://127.0.0.1:8080/a")),
            ("//x.example", Some("wss://x.example")),
            ("wss:/x.example", Some("wss://x.example")),
            ("WSS:x.example", Some("wss://x.example")),
            (" wss://x.example ", Some("wss://x.example")),
            ("wss://x.example/a b", Some("wss://x.example/a%20b")),
            ("wss://x.example/#top", Some("wss://x.example/")),
            ("wss://x.example/ws", None),
            ("ftp://x.example", None),
            ("", None),
            ("wss://", None),
        ] {
            assert_eq!(meant(text).as_deref(), wanted, "{text}");
        }
    }
}
