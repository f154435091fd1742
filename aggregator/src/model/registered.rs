//! The part of a name in DNS that its owner has registered: names below one such part have something in common.

/// Words by which registries divide a country's domain, so that people register below `co.uk` and not below `uk`. One of
/// them divides 194 of the 201 countries' domains that the Public Suffix List (publicsuffix.org, its ICANN part of
/// 2023-02-09) has divided in two. Regions (`tokyo.jp`, `on.ca`) are not told from owners: there are thousands, and to
/// take neighbours for related makes the engine the more careful.
const DIVISIONS: [&str; 13] =
    ["ac", "co", "com", "edu", "go", "gob", "gouv", "gov", "mil", "ne", "net", "or", "org"];

/// The last two labels of a name, or three where the second to last divides a country's domain. In lower case, without the dot
/// at the end. A name with fewer labels is given as it is.
pub fn registered_domain(name: &str) -> String {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let mut from_last = name.rsplit('.');
    let is_country = from_last.next().is_some_and(|top| top.len() == 2);
    let is_divided = is_country && from_last.next().is_some_and(|word| DIVISIONS.contains(&word));
    let labels = if is_divided { 3 } else { 2 };
    let start = name.rmatch_indices('.').nth(labels - 1).map_or(0, |(dot, _)| dot + 1);
    name.get(start..).unwrap_or(&name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divided_countries_are_known() {
        for (name, registered) in [
            ("chat.eu.example.org", "example.org"),
            ("example.org", "example.org"),
            ("A.Example.ORG.", "example.org"),
            ("chat.example.co.uk", "example.co.uk"),
            ("other.co.uk", "other.co.uk"),
            ("ws.example.com.au", "example.com.au"),
            ("a.b.example.or.jp", "example.or.jp"),
            // A word divides a country alone, and stands below it.
            ("feed.co.example.de", "example.de"),
            ("chat.go.com", "go.com"),
            ("co.uk", "co.uk"),
            ("chat.example.de", "example.de"),
            ("localhost", "localhost"),
            ("", ""),
        ] {
            assert_eq!(registered_domain(name), registered, "{name}");
        }
    }
}
