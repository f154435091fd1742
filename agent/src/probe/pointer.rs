//! One value of a JSON document (RFC 6901), found without building the rest of it: a document of a few hundred KiB takes
//! many times that as a tree, and the server chooses the document.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, value::RawValue};

use crate::limits;

/// The value at a pointer. None where the bytes are not JSON, have no such value, or one above
/// [`limits::JSON_VALUE_BYTES_MAX`].
pub(crate) fn value(json: &[u8], pointer: &str) -> Option<Value> {
    let text = text(json, pointer)?;
    if text.len() > limits::JSON_VALUE_BYTES_MAX {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// The value at a pointer as it is written in the document.
pub(crate) fn text<'json>(json: &'json [u8], pointer: &str) -> Option<&'json str> {
    let whole: &RawValue = serde_json::from_slice(json).ok()?;
    let mut found = whole.get();
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let step = match found.as_bytes().first()? {
            b'{' => Step::Member(&token),
            b'[' => Step::Element(index(&token)?),
            _ => return None,
        };
        found = step.deserialize(&mut serde_json::Deserializer::from_str(found)).ok()??;
    }
    Some(found)
}

/// An array's index has neither sign nor leading zeros (RFC 6901 section 4).
fn index(token: &str) -> Option<usize> {
    let is_plain = token == "0" || !token.starts_with(['0', '+']);
    token.parse().ok().filter(|_| is_plain)
}

/// One step down into an object or array.
enum Step<'token> {
    Member(&'token str),
    Element(usize),
}

impl<'json> DeserializeSeed<'json> for Step<'_> {
    type Value = Option<&'json str>;

    fn deserialize<D: Deserializer<'json>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'json> Visitor<'json> for Step<'_> {
    type Value = Option<&'json str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    /// Of members of one name the last counts, as in most parsers.
    fn visit_map<A: MapAccess<'json>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self::Member(name) = self else { return Ok(None) };
        let mut found = None;
        while let Some(is_it) = map.next_key_seed(Named(name))? {
            if is_it {
                found = Some(map.next_value::<&RawValue>()?.get());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'json>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let Self::Element(index) = self else { return Ok(None) };
        let mut found = None;
        let mut at = 0_usize;
        while let Some(element) = sequence.next_element::<&RawValue>()? {
            if at == index {
                found = Some(element.get());
            }
            at += 1;
        }
        Ok(found)
    }
}

/// Whether a member's name is the one.
struct Named<'token>(&'token str);

impl<'json> DeserializeSeed<'json> for Named<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'json>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Named<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_as_the_tree_would_find_them() {
        let document = r#" {"a":{"b":[1, {"c":"x"}, null]}, "":0, "a/b":1, "m~n":2, "\u00e9":3, "d":1, "d": 2 ,
            "01":5, "big":[[[]]]} "#;
        let tree: Value = serde_json::from_str(document).unwrap();
        for pointer in [
            "",
            "/",
            "/a",
            "/a/b",
            "/a/b/0",
            "/a/b/1/c",
            "/a/b/2",
            "/a/b/3",
            "/a/b/01",
            "/a/b/+1",
            "/a/b/-",
            "/a/b/x",
            "/a~1b",
            "/m~0n",
            "/é",
            "/d",
            "/d/e",
            "/01",
            "/none",
            "/big/0/0",
            "/big/0/0/0",
            "//",
        ] {
            assert_eq!(value(document.as_bytes(), pointer).as_ref(), tree.pointer(pointer), "{pointer:?}");
        }
        assert_eq!(text(document.as_bytes(), "/a/b/1"), Some(r#"{"c":"x"}"#));
    }

    #[test]
    fn what_is_not_json_has_no_value() {
        for bytes in [&b""[..], b"{", b"[1,]", b"{\"a\":1} x", b"\xff", b"{\"a\":\"\xff\"}", b"nul"] {
            assert_eq!(value(bytes, ""), None);
            assert_eq!(value(bytes, "/a"), None);
        }
        let large = format!("[{}0]", "0,".repeat(limits::JSON_VALUE_BYTES_MAX));
        assert_eq!(value(large.as_bytes(), ""), None);
        assert_eq!(value(large.as_bytes(), "/3"), Some(0.into()));
    }

    proptest::proptest! {
        /// Whatever a server sends, nothing panics.
        #[test]
        fn any_bytes_are_searched(bytes: Vec<u8>, pointer: String) {
            let _ = value(&bytes, &pointer);
            let _ = value(&bytes, &format!("/{pointer}"));
        }
    }
}
