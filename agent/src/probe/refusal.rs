//! What of a refusal's headers is kept: those that tell who answered and why, out of a list. What could be a secret (a
//! cookie, a challenge's parameters, the query of a redirect) is left out, since a failure travels into alerts and onto
//! pages.

use quorate_proto::limits::{REFUSAL_HEADERS_MAX, SERVER_HEADER_BYTES_MAX};

use super::quote;

/// How much of a header is kept.
#[derive(Clone, Copy)]
enum Part {
    Whole,
    /// The first word: the scheme of a challenge.
    FirstWord,
    /// What stands before `?` or `#`.
    Path,
}

/// The headers that are kept, the most telling first. A name that ends in `*` stands for all that begin so. `Server` has a
/// place of its own in the refusal.
const KEPT: [(&str, Part); 33] = [
    // Why.
    ("retry-after", Part::Whole),
    ("location", Part::Path),
    ("www-authenticate", Part::FirstWord),
    ("proxy-authenticate", Part::FirstWord),
    ("sec-websocket-version", Part::Whole),
    ("upgrade", Part::Whole),
    ("allow", Part::Whole),
    ("x-proxy-error", Part::Whole),
    ("proxy-status", Part::Whole),
    ("x-squid-error", Part::Whole),
    ("x-amzn-errortype", Part::Whole),
    ("x-amz-apigw-id", Part::Whole),
    ("apigw-requestid", Part::Whole),
    ("cf-mitigated", Part::Whole),
    // Who.
    ("via", Part::Whole),
    ("cf-ray", Part::Whole),
    ("x-amz-cf-id", Part::Whole),
    ("x-amzn-trace-id", Part::Whole),
    ("x-amzn-requestid", Part::Whole),
    ("x-azure-ref", Part::Whole),
    ("x-vercel-id", Part::Whole),
    ("x-vercel-error", Part::Whole),
    ("fly-request-id", Part::Whole),
    ("x-render-origin-server", Part::Whole),
    ("x-envoy-*", Part::Whole),
    ("x-kong-*", Part::Whole),
    ("x-cache", Part::Whole),
    ("x-served-by", Part::Whole),
    ("x-varnish", Part::Whole),
    ("x-powered-by", Part::Whole),
    ("cf-cache-status", Part::Whole),
    ("x-request-id", Part::Whole),
    ("content-type", Part::Whole),
];

/// The telling ones of these headers (names in lower case), as `name: value`, within the protocol's bounds.
pub(crate) fn headers<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<String> {
    let mut kept: Vec<_> = headers
        .filter_map(|(name, value)| {
            let (rank, (_, part)) =
                KEPT.iter().enumerate().find(|(_, (pattern, _))| is_named(name, pattern))?;
            let value = part.of(&quote::line(value, SERVER_HEADER_BYTES_MAX));
            (!value.is_empty())
                .then(|| (rank, quote::line(format!("{name}: {value}").as_bytes(), SERVER_HEADER_BYTES_MAX)))
        })
        .collect();
    kept.sort_by_key(|(rank, _)| *rank);
    kept.into_iter().map(|(_, line)| line).take(REFUSAL_HEADERS_MAX).collect()
}

fn is_named(name: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}

impl Part {
    fn of(self, value: &str) -> String {
        let end = match self {
            Self::Whole => None,
            Self::FirstWord => value.find([' ', ',']),
            Self::Path => value.find(['?', '#']),
        };
        value.get(..end.unwrap_or(value.len())).unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telling_headers_are_kept_and_secrets_are_not() {
        for (came, kept) in [
            (&[("set-cookie", "session=1"), ("authorization", "Bearer x"), ("date", "today")][..], &[][..]),
            (
                &[("content-type", "text/html"), ("via", "1.1 varnish"), ("retry-after", "30")],
                &["retry-after: 30", "via: 1.1 varnish", "content-type: text/html"],
            ),
            (&[("www-authenticate", "Bearer realm=\"x\", nonce=\"y\"")], &["www-authenticate: Bearer"]),
            (
                &[("location", "https://login.example/in?token=secret#x")],
                &["location: https://login.example/in"],
            ),
            (&[("x-envoy-upstream-service-time", "3")], &["x-envoy-upstream-service-time: 3"]),
            (&[("x-powered-by", " \u{1b}[31mExpress\t")], &["x-powered-by: \u{fffd}[31mExpress"]),
            (&[("via", ""), ("server", "nginx")], &[]),
        ] {
            let came = came.iter().map(|(name, value)| (*name, value.as_bytes()));
            assert_eq!(headers(came), kept);
        }
    }

    #[test]
    fn the_bounds_of_the_protocol_hold() {
        let long = "ä".repeat(5_000);
        let came = (0..50).map(|_| ("via", long.as_bytes()));
        let kept = headers(came.chain([("x-served-by", b"\xff".repeat(1_000).leak() as &[u8])]));
        assert_eq!(kept.len(), REFUSAL_HEADERS_MAX);
        assert!(kept.iter().all(|line| line.len() <= SERVER_HEADER_BYTES_MAX), "{kept:?}");
    }
}
