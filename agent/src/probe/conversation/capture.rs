//! What is taken from a message for later texts. Pure: a message in, a value or words out. None of the words quote the
//! message: what is taken from it is often a secret.

use std::borrow::Cow;

use quorate_proto::WallMicros;

use super::super::{
    expand::{Role, Values},
    matcher::{regex, searchable},
    pointer,
    quote::quote,
    script::{TakenFrom, Taking},
};
use crate::limits;

/// The value that a message gives for a name.
pub(super) fn take<'message>(
    Taking { name, from }: &Taking,
    message: &'message [u8],
    values: &Values,
    wall: WallMicros,
) -> Result<Cow<'message, str>, String> {
    let found = match from {
        TakenFrom::Json(text) => {
            let pointer = values.fill(text, Role::Pointer, wall).map_err(|error| unfit(&error))?;
            let value = pointer::text(message, &pointer).and_then(unquoted);
            value.ok_or_else(|| format!("that has no {}", quote(&values.shown(text))))
        }
        TakenFrom::Regex { pattern, compiled } => {
            let made = match compiled {
                Some(_) => None,
                None => {
                    let filled = values.fill(pattern, Role::Regex, wall).map_err(|error| unfit(&error))?;
                    Some(regex(pattern, &filled).map_err(|error| unfit(&error))?)
                }
            };
            let text = searchable(message);
            let found = compiled.as_ref().or(made.as_ref()).and_then(|regex| regex.captures(&text));
            let value = found.and_then(|found| found.get(1).or_else(|| found.get(0)));
            let value = value.map(|value| Cow::Owned(value.as_str().to_owned()));
            value.ok_or_else(|| format!("without a match of /{}/", quote(&values.shown(pattern))))
        }
    };
    found.map_err(|lacking| {
        format!("a message of {} bytes came {lacking}, which {{{{{name}}}}} is taken from", message.len())
    })
}

/// What a server gave makes no sense where a later text wants it.
pub(super) fn unfit(error: &dyn std::error::Error) -> String {
    format!("what was captured does not fit: {error}")
}

/// A JSON string without its quotes, anything else as it is written. One that is too long to be kept stays as it is.
fn unquoted(written: &str) -> Option<Cow<'_, str>> {
    if written.starts_with('"') && written.len() <= limits::CAPTURED_BYTES_MAX {
        serde_json::from_str(written).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(written))
    }
}

#[cfg(test)]
mod tests {
    use quorate_proto::step::{Capture, CaptureFrom};

    use super::{
        super::super::{expand::tests::values, script},
        *,
    };

    #[test]
    fn values_are_taken_as_later_texts_want_them() {
        let json = |pointer: &str| CaptureFrom::Json(pointer.into());
        let regex = |pattern: &str| CaptureFrom::Regex(pattern.into());
        let message = r#"{"text":"a\"b","number":1.50,"list":[1, {"x":null}],"id-7":true}"#;
        let mut values = values();
        values.capture("n", "7").unwrap();
        for (from, wanted) in [
            (json("/text"), Some("a\"b")),
            (json("/number"), Some("1.50")),
            (json("/list"), Some(r#"[1, {"x":null}]"#)),
            (json("/list/1/x"), Some("null")),
            (json("/id-{{n}}"), Some("true")),
            (json("/none"), None),
            (json(""), Some(message)),
            (regex("\"number\":([0-9.]+),"), Some("1.50")),
            (regex("id-[0-9]"), Some("id-7")),
            (regex("id-({{n}})"), Some("7")),
            (regex("id-8"), None),
            // The group may have no part in the match.
            (regex("(never)?list"), Some("list")),
        ] {
            let taking = script::taking(&Capture { name: "x".into(), from: from.clone() }).unwrap();
            let taken = take(&taking, message.as_bytes(), &values, WallMicros(0)).ok();
            assert_eq!(taken.as_deref(), wanted, "{from:?}");
        }
    }
}
