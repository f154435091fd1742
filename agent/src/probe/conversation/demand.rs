//! What must be true of a message beyond its being the one. Pure: a message and what is remembered in, a fault out.

use std::{borrow::Cow, cmp::Ordering};

use quorate_proto::{Micros, outcome::ContentFault};

use super::{
    super::{pointer, quote::quote, script::Rule},
    memory::Memory,
    number::{Number, NumberError},
};
use crate::{clock::Now, limits};

/// What is wrong with a message, in a word and in words.
pub(crate) type Fault = (ContentFault, String);

/// What is remembered for a demand.
pub(crate) struct Remembered<'a> {
    /// Over all connections.
    pub(crate) memory: &'a Memory,
    /// Of this connection.
    pub(crate) followed: &'a mut [Option<i128>],
}

/// Holds the value at a pointer of a message to a rule.
pub(crate) fn judge(
    message: &[u8],
    pointer: &str,
    rule: Rule,
    now: Now,
    remembered: Remembered<'_>,
) -> Result<(), Fault> {
    let at = if pointer.is_empty() { "the message".to_owned() } else { quote(pointer) };
    let text = value(message, pointer, &at)?;
    match rule {
        Rule::Grow { within, place } => {
            let number = number(&text, &at)?;
            let Err(stuck) = remembered.memory.observe(place, number, within, now.tick) else {
                return Ok(());
            };
            let highest = stuck.highest;
            let came = if number == highest { "still" } else { "now" };
            let due = match within {
                Micros::ZERO => "with every message".to_owned(),
                within => format!("within {within}"),
            };
            let detail = format!(
                "{at} must grow {due}, and is {came} {} after {highest} came {} ago",
                quote(&text),
                stuck.for_span
            );
            Err((ContentFault::NotGrowing, detail))
        }
        Rule::Follow { place } => follow(&text, &at, remembered.followed.get_mut(place)),
        Rule::BeFresh { age } => be_fresh(&text, &at, age, now),
    }
}

fn follow(text: &str, at: &str, last: Option<&mut Option<i128>>) -> Result<(), Fault> {
    let number = number(text, at)?.as_i128().ok_or_else(|| {
        (ContentFault::Unreadable, format!("{at} is {}, and not a whole number", quote(text)))
    })?;
    let Some(last) = last else { return Ok(()) };
    let Some(before) = last.replace(number) else { return Ok(()) };
    let due = before.saturating_add(1);
    match number.cmp(&due) {
        Ordering::Equal => Ok(()),
        Ordering::Greater => {
            let missing = number.saturating_sub(due);
            let are = if missing == 1 { "1 is".to_owned() } else { format!("{missing} are") };
            Err((ContentFault::SequenceGap, format!("{at} is {number} after {before}: {are} missing")))
        }
        Ordering::Less if number == before => {
            Err((ContentFault::SequenceRepeat, format!("{at} is {number} once more")))
        }
        Ordering::Less => {
            Err((ContentFault::SequenceRepeat, format!("{at} goes back to {number} after {before}")))
        }
    }
}

fn be_fresh(text: &str, at: &str, age_max: Micros, now: Now) -> Result<(), Fault> {
    let published = timestamp(text).ok_or_else(|| {
        let wanted =
            "a time in seconds, milliseconds, microseconds or nanoseconds since 1970, or as RFC 3339";
        (ContentFault::Unreadable, format!("{at} is {}, and not {wanted}", quote(text)))
    })?;
    let difference = Micros(now.wall.0.abs_diff(published));
    if published > now.wall.0 {
        if difference <= limits::FUTURE_MAX {
            return Ok(());
        }
        let detail = format!(
            "{at} is {}, which is {difference} ahead of this agent's clock: one of the two clocks is wrong",
            quote(text)
        );
        return Err((ContentFault::Unreadable, detail));
    }
    if difference <= age_max {
        return Ok(());
    }
    let detail = format!("{at} is {}, which is {difference} old; at most {age_max} are allowed", quote(text));
    Err((ContentFault::TooOld, detail))
}

/// Microseconds since 1970. The unit is told by the magnitude: until the year 5138 no number of one unit is a number of
/// the next.
fn timestamp(text: &str) -> Option<i64> {
    const SECONDS_MAX: u128 = 100_000_000_000;
    let Ok(number) = Number::read(text) else {
        return text.parse().ok().map(jiff::Timestamp::as_microsecond);
    };
    let power = match number.scaled(0)? {
        whole if whole < SECONDS_MAX => 6,
        whole if whole < SECONDS_MAX * 1_000 => 3,
        whole if whole < SECONDS_MAX * 1_000_000 => 0,
        whole if whole < SECONDS_MAX * 1_000_000_000 => -3,
        _ => return None,
    };
    i64::try_from(number.scaled(power)?).ok()
}

fn number(text: &str, at: &str) -> Result<Number, Fault> {
    Number::read(text).map_err(|error| {
        let why = match error {
            NumberError::NotANumber => "not a number (JSON, decimal, or 0x and hexadecimal digits)",
            NumberError::TooLarge => "above 128 bits",
        };
        (ContentFault::Unreadable, format!("{at} is {}, which is {why}", quote(text)))
    })
}

/// The text of a value: a JSON string without its quotes, anything else as it is written. A message that is not JSON as a
/// whole is a text itself.
fn value<'message>(message: &'message [u8], pointer: &str, at: &str) -> Result<Cow<'message, str>, Fault> {
    let unreadable = |detail: String| (ContentFault::Unreadable, detail);
    let written = match pointer::text(message, pointer) {
        Some(written) => written,
        None => match std::str::from_utf8(message) {
            Ok(text) if pointer.is_empty() => return Ok(Cow::Borrowed(text.trim())),
            Ok(_) if pointer::text(message, "").is_some() => {
                return Err(unreadable(format!("the message has no {at}")));
            }
            Ok(_) | Err(_) => return Err(unreadable(format!("the message is not JSON, and has no {at}"))),
        },
    };
    let written = written.trim();
    if written.starts_with('"') {
        // What is quoted of it is cut; what is longer is no number and no time.
        let string =
            (written.len() <= limits::JSON_VALUE_BYTES_MAX).then(|| serde_json::from_str(written).ok());
        return string.flatten().map(Cow::Owned).ok_or_else(|| {
            unreadable(format!("{at} is a text of {} bytes, which nothing is to be read from", written.len()))
        });
    }
    Ok(Cow::Borrowed(written))
}

#[cfg(test)]
mod tests {
    use quorate_proto::WallMicros;

    use super::*;
    use crate::clock::Tick;

    const NOW: Now = Now { tick: Tick(Micros::from_secs(1_000)), wall: WallMicros(1_700_000_000_000_000) };

    /// What is said of the last message, after those before it have passed.
    fn said(pointer: &str, rule: Rule, messages: &[&str]) -> Option<Fault> {
        let (memory, mut followed) = (Memory::new(1), [None]);
        let mut found = None;
        for message in messages {
            assert_eq!(found, None, "{messages:?}");
            let remembered = Remembered { memory: &memory, followed: &mut followed };
            found = judge(message.as_bytes(), pointer, rule, NOW, remembered).err();
        }
        found
    }

    #[test]
    fn sequences_have_neither_gap_nor_repeat() {
        use ContentFault::{SequenceGap, SequenceRepeat, Unreadable};
        let rule = Rule::Follow { place: 0 };
        for (messages, fault) in [
            (&[r#"{"n":-1}"#, r#"{"n":0}"#, r#"{"n":"1"}"#, r#"{"n":"0x2"}"#][..], None),
            (&[r#"{"n":1}"#, r#"{"n":3}"#], Some((SequenceGap, "/n is 3 after 1: 1 is missing"))),
            (&[r#"{"n":1}"#, r#"{"n":9}"#], Some((SequenceGap, "/n is 9 after 1: 7 are missing"))),
            (&[r#"{"n":7}"#, r#"{"n":7}"#], Some((SequenceRepeat, "/n is 7 once more"))),
            (&[r#"{"n":7}"#, r#"{"n":5}"#], Some((SequenceRepeat, "/n goes back to 5 after 7"))),
            (&[r#"{"n":1.5}"#], Some((Unreadable, "/n is 1.5, and not a whole number"))),
            (&[r#"{"m":1}"#], Some((Unreadable, "the message has no /n"))),
            (&["n=1"], Some((Unreadable, "the message is not JSON, and has no /n"))),
            (
                &[r#"{"n":[1]}"#],
                Some((
                    Unreadable,
                    "/n is [1], which is not a number (JSON, decimal, or 0x and hexadecimal digits)",
                )),
            ),
            (&[r#"{"n":1e99}"#], Some((Unreadable, "/n is 1e99, which is above 128 bits"))),
        ] {
            let found = said("/n", rule, messages);
            assert_eq!(found.as_ref().map(|(fault, words)| (*fault, words.as_str())), fault, "{messages:?}");
        }
        assert_eq!(said("", rule, &["41", "42"]), None);
        assert_eq!(said("", rule, &["0x1", " 0x2\n"]), None);
        assert_eq!(said("", rule, &["1", "4"]).unwrap().1, "the message is 4 after 1: 2 are missing");
    }

    #[test]
    fn what_must_grow_grows() {
        let rule = |secs| Rule::Grow { within: Micros::from_secs(secs), place: 0 };
        assert_eq!(said("/r", rule(0), &[r#"{"r":"0x9"}"#, r#"{"r":"0xa"}"#]), None);
        assert_eq!(said("/r", rule(9), &[r#"{"r":"0x9"}"#, r#"{"r":"0x9"}"#]), None);
        for (second, words) in [
            ("9", "/r must grow with every message, and is still 9 after 9 came 0us ago"),
            ("8.5", "/r must grow with every message, and is now 8.5 after 9 came 0us ago"),
        ] {
            let second = format!(r#"{{"r":{second}}}"#);
            let found = said("/r", rule(0), &[r#"{"r":"0x9"}"#, &second]);
            assert_eq!(found, Some((ContentFault::NotGrowing, words.to_owned())));
        }
    }

    #[test]
    fn published_times_are_read_whatever_their_unit() {
        let rule = Rule::BeFresh { age: Micros::from_secs(5) };
        for fresh in [
            "1699999995",
            "1699999996.5",
            "\"1699999996\"",
            "1699999996000",
            "1699999996000000",
            "1699999996000000000",
            "\"2023-11-14T22:13:16Z\"",
            "\"2023-11-14T23:13:16.250+01:00\"",
            "\"0x6553f0fc\"",
            "1.7e9",
            // A little ahead.
            "1700000030",
        ] {
            assert_eq!(said("/t", rule, &[&format!(r#"{{"t":{fresh}}}"#)]), None, "{fresh}");
        }
        use ContentFault::{TooOld, Unreadable};
        for (value, fault, words) in [
            ("1699999990", TooOld, "/t is 1699999990, which is 10s old; at most 5s are allowed"),
            ("0", TooOld, "old; at most 5s are allowed"),
            ("\"2023-11-14T22:13:14Z\"", TooOld, "which is 6s old"),
            ("1700003600", Unreadable, "ahead of this agent's clock: one of the two clocks is wrong"),
            ("-5", Unreadable, "/t is -5, and not a time in seconds"),
            ("\"yesterday\"", Unreadable, "/t is yesterday, and not a time"),
            ("null", Unreadable, "/t is null, and not a time"),
            ("1e30", Unreadable, "not a time"),
        ] {
            let (found, said) = said("/t", rule, &[&format!(r#"{{"t":{value}}}"#)]).unwrap();
            assert_eq!(found, fault, "{value}: {said}");
            assert!(said.contains(words), "{said}");
        }
    }

    proptest::proptest! {
        /// Whatever a server says, nothing panics.
        #[test]
        fn any_message_is_judged(message: Vec<u8>, text: String, pointer in "(/[a-z]?)?") {
            let json = serde_json::json!({"a": text, "": text}).to_string();
            for rule in [
                Rule::Grow { within: Micros::ZERO, place: 0 },
                Rule::Follow { place: 0 },
                Rule::BeFresh { age: Micros::ZERO },
            ] {
                for message in [&message[..], json.as_bytes(), text.as_bytes()] {
                    let remembered = Remembered { memory: &Memory::new(1), followed: &mut [Some(i128::MAX)] };
                    let _ = judge(message, &pointer, rule, NOW, remembered);
                }
            }
        }
    }
}
