//! Numbers, moments and reasons as people read them.

use std::borrow::Cow;

use quorate_proto::{Micros, MonitorId, WallMicros};
use quorate_quorum::{Abstention, Vote};

use crate::model::{RegionView, rfc3339};

/// A span with at most two units, such as `45 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`.
pub(super) fn span(span: Micros) -> String {
    let whole = span.as_secs_f64().round() as u64;
    let (big, big_unit, small, small_unit) = match whole {
        0..120 => return format!("{whole} s"),
        120..7_200 => (whole / 60, "min", whole % 60, "s"),
        7_200..172_800 => (whole / 3_600, "h", whole % 3_600 / 60, "min"),
        _ => (whole / 86_400, "d", whole % 86_400 / 3_600, "h"),
    };
    // Beyond ten minutes nobody wants the seconds.
    if small == 0 || (big_unit == "min" && big >= 10) {
        return format!("{big} {big_unit}");
    }
    format!("{big} {big_unit} {small} {small_unit}")
}

/// A span to the tenth of a second where that still tells something: how quickly a page goes out.
pub(super) fn fine_span(fine: Micros) -> String {
    let seconds = fine.as_secs_f64();
    if seconds < 99.95 { format!("{seconds:.1} s") } else { span(fine) }
}

/// A share as per cent with three decimals at most, and never more than it is: `99.987 %`, `100 %`.
pub(super) fn percent(share: f64) -> String {
    trimmed((share * 1e5 + 1e-6).floor() / 1e3)
}

/// The same, never less than it is, with one decimal: `0.1 %`.
pub(super) fn percent_raised(share: f64) -> String {
    trimmed((share * 1e3 - 1e-6).ceil() / 10.0)
}

fn trimmed(per_cent: f64) -> String {
    // A zero below zero would have its sign shown.
    let text = format!("{:.3}", per_cent.max(0.0) + 0.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A day, such as `22 Nov 2026`.
pub(super) fn day(at: WallMicros) -> String {
    let at = jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime("%-d %b %Y").to_string()
}

/// A latency, such as `0.4 ms`, `23 ms`, `1.2 s`.
pub(super) fn latency(latency: Micros) -> String {
    match latency.0 {
        0..9_950 => format!("{:.1} ms", latency.as_millis_f64()),
        9_950..999_500 => format!("{:.0} ms", latency.as_millis_f64()),
        _ => format!("{:.1} s", latency.as_secs_f64()),
    }
}

/// A moment and its forms for a `<time>` element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct When {
    /// For programs: RFC 3339.
    pub(super) exact: String,
    /// For people, in full: `2026-11-22 18:12:00 UTC`.
    pub(super) full: String,
    /// For people, as short as it is clear beside the present: `18:12:00 UTC`, or with the date.
    pub(super) short: String,
    /// For people, where date and zone stand beside it: `18:12:00`.
    pub(super) clock: String,
}

/// A moment as seen at another one.
pub(super) fn when(at: WallMicros, now: WallMicros) -> When {
    let form = |format: &str| {
        jiff::Timestamp::from_microsecond(at.0)
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
            .strftime(format)
            .to_string()
    };
    let is_recent = now.since(at) < Micros::from_secs(12 * 3_600) && at.since(now) < Micros::from_secs(60);
    let short = if is_recent { form("%H:%M:%S UTC") } else { form("%-d %b %Y, %H:%M UTC") };
    When { exact: rfc3339::text(at), full: form("%F %T UTC"), short, clock: form("%T") }
}

/// The end of a stretch whose start is shown before it: without the date where that is the same.
pub(super) fn end(start: &When, at: WallMicros, now: WallMicros) -> When {
    let mut end = when(at, now);
    let date = |when: &When| when.exact.split('T').next().map(str::to_owned);
    if date(start) == date(&end) {
        end.short = format!("{} UTC", end.clock);
    }
    end
}

/// Why a region has no say.
pub(super) fn abstention(reason: Abstention) -> Cow<'static, str> {
    let words = match reason {
        Abstention::Silent => "its agents are silent",
        Abstention::Outdated => "its agents do not have the latest configuration yet",
        Abstention::Sick(doubt) => return format!("its agent doubts itself: {}", doubt.words()).into(),
        Abstention::NoResult => "not checked yet",
        Abstention::Stale => "its latest check is too old",
        Abstention::AgentsOwnFault => "its agent could not check",
        Abstention::Tied => "its agents contradict each other",
        Abstention::Outlier => "its agent contradicts the other regions on most of what it watches",
        Abstention::Noisy => "the path from there fails by itself too often to tell",
    };
    words.into()
}

/// What a region saw, where it does not say ok: the failure, or why it has no say.
pub(super) fn failure(region: &RegionView) -> Option<String> {
    match region.vote {
        Vote::Ok => None,
        Vote::Fail => region.failure.clone(),
        Vote::Abstain(reason) => {
            let why = abstention(reason);
            // Only an agent's own fault is a failure of the latest check.
            let detail = region
                .failure
                .as_deref()
                .filter(|failure| reason == Abstention::AgentsOwnFault && *failure != reason.name());
            Some(match detail {
                None => why.into_owned(),
                Some(detail) => format!("{why}: {detail}"),
            })
        }
    }
}

/// A URL as the public may see it: without user information, query and fragment, any of which may hold a secret.
pub(super) fn public_url(url: &str) -> String {
    let Ok(mut parsed) = url::Url::parse(url) else { return String::new() };
    parsed.set_query(None);
    parsed.set_fragment(None);
    // Only a URL that cannot have user information refuses this, and then there is none.
    let _ = parsed.set_username("");
    let _ = parsed.set_password(None);
    parsed.into()
}

/// Why an incident is not paged on its own; none where it is.
pub(super) fn unpaged(held_by: &[MonitorId], flapping: bool, grouped: bool) -> Option<String> {
    let parents = held_by.iter().map(MonitorId::as_str).collect::<Vec<_>>().join(", ");
    match (held_by.is_empty(), flapping, grouped) {
        (false, _, _) => Some(format!("Held: depends on {parents}")),
        (true, true, _) => Some("Flapping: told of in a digest".to_owned()),
        (true, false, true) => Some("One of many at once: told of as a group".to_owned()),
        (true, false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units_at_most() {
        for (seconds, text) in [
            (0.04, "0 s"),
            (8.24, "8 s"),
            (119.0, "119 s"),
            (185.0, "3 min 5 s"),
            (180.0, "3 min"),
            (3_000.0, "50 min"),
            (7_800.0, "2 h 10 min"),
            (356_400.0, "4 d 3 h"),
        ] {
            assert_eq!(span(Micros((seconds * 1e6) as u64)), text);
        }
        assert_eq!(fine_span(Micros(11_640_000)), "11.6 s");
        assert_eq!(fine_span(Micros::from_secs(185)), "3 min 5 s");
    }

    #[test]
    fn shares_are_not_flattered() {
        for (share, text) in [(1.0, "100 %"), (0.999_999, "99.999 %"), (0.9, "90 %"), (0.0, "0 %")] {
            assert_eq!(percent(share), text);
        }
        for (share, text) in [(0.000_01, "0.1 %"), (0.25, "25 %"), (0.0, "0 %")] {
            assert_eq!(percent_raised(share), text);
        }
    }

    #[test]
    fn latencies_are_short() {
        for (us, text) in [(420, "0.4 ms"), (23_400, "23 ms"), (999_400, "999 ms"), (1_240_000, "1.2 s")] {
            assert_eq!(latency(Micros(us)), text);
        }
    }

    #[test]
    fn moments_carry_the_date_only_where_it_is_needed() {
        let at = WallMicros(1_795_371_120_123_456);
        assert_eq!(when(at, at).short, "18:12:00 UTC");
        assert_eq!(when(at, at.after(Micros::from_secs(86_400))).short, "22 Nov 2026, 18:12 UTC");
        assert_eq!(when(at, at).full, "2026-11-22 18:12:00 UTC");
        assert_eq!(when(at, at).exact, "2026-11-22T18:12:00.123456Z");
        let now = at.after(Micros::from_secs(900_000));
        let end_after = |seconds| end(&when(at, now), at.after(Micros::from_secs(seconds)), now).short;
        assert_eq!(end_after(60), "18:13:00 UTC");
        assert_eq!(end_after(86_400), "23 Nov 2026, 18:12 UTC");
    }

    #[test]
    fn the_public_sees_no_secret_of_a_url() {
        for (url, public) in [
            ("wss://u:p@example.org/x?token=1#f", "wss://example.org/x"),
            ("ws://127.0.0.1:9000", "ws://127.0.0.1:9000/"),
            ("not a url", ""),
        ] {
            assert_eq!(public_url(url), public);
        }
    }
}
