//! URLs as people may see them.

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

#[cfg(test)]
mod tests {
    use super::*;

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
