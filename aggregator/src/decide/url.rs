//! URLs as people may see them.

use crate::model::registered_domain;

/// A URL without user information, and with its query only hinted at: both may be secrets. What is no URL is not shown
/// at all.
pub fn shown_url(url: &str) -> String {
    let Ok(mut parsed) = url::Url::parse(url) else { return String::new() };
    let had_query = parsed.query().is_some();
    parsed.set_query(None);
    parsed.set_fragment(None);
    // Both fail only for URLs that cannot have user information at all.
    let _ = parsed.set_username("");
    let _ = parsed.set_password(None);
    match had_query {
        true => format!("{parsed}?…"),
        false => parsed.to_string(),
    }
}

/// What a monitor's failing may have in common with that of others: the registered domain of its host; an address as it is.
pub fn target(url: &str) -> String {
    let Ok(parsed) = url::Url::parse(url) else { return String::new() };
    match parsed.host() {
        Some(url::Host::Domain(name)) => registered_domain(name),
        Some(address @ (url::Host::Ipv4(_) | url::Host::Ipv6(_))) => address.to_string(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_registrable_domains() {
        for (url, name) in [
            ("wss://chat.eu.example.org/socket", "example.org"),
            ("wss://example.org:8443", "example.org"),
            ("wss://a.example.org./", "example.org"),
            ("wss://chat.example.co.uk/", "example.co.uk"),
            ("ws://localhost:9001/", "localhost"),
            ("ws://192.0.2.7:9001/", "192.0.2.7"),
            ("ws://[2001:db8::1]/", "[2001:db8::1]"),
            ("nonsense", ""),
        ] {
            assert_eq!(target(url), name, "{url}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        for (url, shown) in [
            ("wss://chat.example.org/socket", "wss://chat.example.org/socket"),
            ("wss://user:hunter2@chat.example.org:8443/x", "wss://chat.example.org:8443/x"),
            ("ws://chat.example.org/?token=hunter2#y", "ws://chat.example.org/?…"),
            ("hunter2", ""),
        ] {
            assert_eq!(shown_url(url), shown);
        }
    }
}
