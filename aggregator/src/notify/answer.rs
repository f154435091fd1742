//! What a receiver's answer means. Pure.

use quorate_proto::{Micros, WallMicros};
use reqwest::{StatusCode, Url};

use crate::limits::DELIVERY_EXCERPT_CHARS_MAX;

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) outcome: Outcome,
    /// The HTTP status, where one came.
    pub(super) status: Option<u16>,
    /// What went wrong, in words that may be shown: no secret, no path of the receiver's URL.
    pub(super) error: Option<String>,
    /// How long the receiver asks to be left alone.
    pub(super) retry_after: Option<Micros>,
}

/// The kinds of answers that make a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The receiver took it.
    Taken,
    /// The receiver, or the way to it, is in trouble: any other delivery would fail alike.
    Trouble,
    /// The receiver refused this request, or the channel's settings are wrong.
    Refused,
    /// The receiver wants no more deliveries (410).
    Gone,
}

/// The parts of an HTTP answer that matter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Response<'a> {
    pub(super) status: StatusCode,
    pub(super) location: Option<&'a str>,
    pub(super) retry_after: Option<&'a str>,
    /// The first bytes of the body.
    pub(super) body: &'a [u8],
}

impl Answer {
    /// No answer came, because of the receiver or the way to it.
    pub(super) fn trouble(error: impl Into<String>) -> Self {
        Self { outcome: Outcome::Trouble, status: None, error: Some(error.into()), retry_after: None }
    }

    /// The request could not be made.
    pub(super) fn refused(error: impl Into<String>) -> Self {
        Self { outcome: Outcome::Refused, status: None, error: Some(error.into()), retry_after: None }
    }
}

/// Judges an answer of the receiver at `url`, read when the wall clock showed `wall`.
pub(super) fn judge(response: Response<'_>, url: &Url, wall: WallMicros) -> Answer {
    let status = response.status;
    let outcome = match status.as_u16() {
        200..=299 => Outcome::Taken,
        410 => Outcome::Gone,
        408 | 425 | 429 | 500..=599 => Outcome::Trouble,
        _ => Outcome::Refused,
    };
    let error = match outcome {
        Outcome::Taken => None,
        Outcome::Gone => Some(format!("the receiver says that it is gone ({})", words(status))),
        Outcome::Trouble | Outcome::Refused if status.is_redirection() => Some(redirection(&response, url)),
        Outcome::Trouble | Outcome::Refused => {
            let excerpt = excerpt(response.body, url);
            let colon = if excerpt.is_empty() { "" } else { ": " };
            Some(format!("the receiver answered {}{colon}{excerpt}", words(status)))
        }
    };
    let retry_after = response.retry_after.and_then(|text| retry_after(text, wall));
    Answer { outcome, status: Some(status.as_u16()), error, retry_after }
}

/// An address as it may be shown: scheme, host and port. Path, query and user information may hold secrets.
pub(super) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn words(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

fn redirection(response: &Response<'_>, url: &Url) -> String {
    let words = words(response.status);
    match response.location.map(|location| url.join(location)) {
        Some(Ok(target)) if target.origin() == url.origin() => {
            format!(
                "the receiver answered {words} and points to another path of its own; redirects are not followed"
            )
        }
        Some(Ok(target)) => {
            format!(
                "the receiver answered {words} and points to {}; redirects are not followed",
                origin(&target)
            )
        }
        Some(Err(_)) | None => format!("the receiver answered {words} and points nowhere"),
    }
}

/// Seconds, or an HTTP date (RFC 9110 section 10.2.3). A date that has passed asks for no wait.
fn retry_after(text: &str, wall: WallMicros) -> Option<Micros> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text.parse().map_or(Micros::MAX, Micros::from_secs));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(WallMicros(date.timestamp().as_microsecond()).since(wall))
}

/// The start of a body as one line, without what the receiver's URL keeps secret: error pages like to repeat it.
fn excerpt(body: &[u8], url: &Url) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    for secret in secrets(url) {
        text = text.replace(&secret, "***");
    }
    let line = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = line.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(DELIVERY_EXCERPT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// The parts of a URL that may be secret and are long enough to be recognised, longest first.
fn secrets(url: &Url) -> Vec<String> {
    let path = url.path();
    let values = url.query_pairs().map(|(_, value)| value.into_owned());
    let parts = path.split('/').map(str::to_owned).chain(values);
    let whole = [path, url.query().unwrap_or_default(), url.password().unwrap_or_default(), url.username()];
    let mut secrets: Vec<String> = whole.map(str::to_owned).into_iter().chain(parts).collect();
    secrets.retain(|secret| secret.len() >= 6);
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: WallMicros = WallMicros(784_111_777_000_000); // Sun, 06 Nov 1994 08:49:37 GMT

    fn judged(status: u16, headers: [Option<&str>; 2], body: &str) -> Answer {
        let url =
            Url::parse("https://user:hunter2@hooks.example.com/services/T0001/B0001/s3cr3t-t0k3n?key=abcdef")
                .unwrap();
        let [location, retry_after] = headers;
        let status = StatusCode::from_u16(status).unwrap();
        judge(Response { status, location, retry_after, body: body.as_bytes() }, &url, WALL)
    }

    #[test]
    fn statuses_are_told_apart() {
        for (status, outcome, error) in [
            (200, Outcome::Taken, None),
            (204, Outcome::Taken, None),
            (299, Outcome::Taken, None),
            (304, Outcome::Refused, Some("the receiver answered 304 Not Modified and points nowhere")),
            (400, Outcome::Refused, Some("the receiver answered 400 Bad Request: no")),
            (404, Outcome::Refused, Some("the receiver answered 404 Not Found: no")),
            (410, Outcome::Gone, Some("the receiver says that it is gone (410 Gone)")),
            (429, Outcome::Trouble, Some("the receiver answered 429 Too Many Requests: no")),
            (502, Outcome::Trouble, Some("the receiver answered 502 Bad Gateway: no")),
            (599, Outcome::Trouble, Some("the receiver answered 599: no")),
            (999, Outcome::Refused, Some("the receiver answered 999: no")),
        ] {
            let answer = judged(status, [None, None], "no");
            assert_eq!((answer.outcome, answer.status), (outcome, Some(status)));
            assert_eq!(answer.error.as_deref(), error);
        }
    }

    #[test]
    fn a_redirect_says_where_to_without_the_path() {
        for (location, wanted) in [
            (Some("https://login.example.net/s3cr3t?next=1"), "points to https://login.example.net;"),
            (Some("http://hooks.example.com/services/T0001"), "points to http://hooks.example.com;"),
            (Some("/elsewhere"), "points to another path of its own;"),
            (Some("https://"), "points nowhere"),
            (None, "points nowhere"),
        ] {
            let error = judged(302, [location, None], "").error.unwrap();
            assert!(
                error.starts_with("the receiver answered 302 Found and ") && error.contains(wanted),
                "{error}"
            );
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        for (text, wanted) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("-5", None),
            ("soon", None),
            ("", None),
        ] {
            let answer = judged(503, [None, Some(text)], "");
            assert_eq!(answer.retry_after, wanted.map(Micros::from_secs), "{text}");
        }
        assert_eq!(judged(503, [None, Some("99999999999999999999999")], "").retry_after, Some(Micros::MAX));
    }

    #[test]
    fn what_the_receiver_says_is_shown_as_one_short_line_without_secrets() {
        let page = "<h1>Not\tfound</h1>\r\n\u{7}The URL /services/T0001/B0001/s3cr3t-t0k3n was\n not found (abcdef, hunter2)";
        let error = judged(404, [None, None], page).error.unwrap();
        assert_eq!(
            error,
            "the receiver answered 404 Not Found: <h1>Not found</h1> The URL *** was not found (***, ***)"
        );
        let long = judged(500, [None, None], &"ä".repeat(9000)).error.unwrap();
        assert_eq!(long.matches('ä').count(), DELIVERY_EXCERPT_CHARS_MAX);
        assert!(long.ends_with('…'));
    }
}
