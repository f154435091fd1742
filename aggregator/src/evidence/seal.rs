//! The seal: the aggregator's signature over everything before it, and what finds the place where something was altered.
//!
//! The signature alone refuses a file of which one byte is not as it was. To name the place, the seal also holds a few bytes
//! of each line's digest: whoever alters a line and not these is found by its line, and whoever alters both still has no
//! signature. They are no proof by themselves.

use data_encoding::BASE64;
use quorate_proto::{AggregatorKey, Digest, SigningKey};
use serde::{Deserialize, Serialize};

/// Separates this signature from every other use of the same key.
const DOMAIN: &[u8] = b"quorate evidence v1\0";
/// Bytes kept of each line's digest. They find places; four miss one alteration in four billion.
const MARK_BYTES: usize = 4;

/// The end of an evidence file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// The first four bytes of the SHA-256 of each line before the seal (its number from 1 as four bytes, big endian, and then
    /// its text), one after the other, in base64.
    pub lines: String,
    /// Ed25519 by the aggregator's key over `quorate evidence v1`, a zero byte, and the file without its seal, in base64.
    pub signature: String,
}

impl Seal {
    /// Seals a body.
    pub fn of(body: &str, key: &SigningKey) -> Self {
        Self { lines: marks(body), signature: BASE64.encode(&key.sign(&message(body))) }
    }

    /// Whether the aggregator signed a body.
    pub fn is_signed(&self, body: &str, by: &AggregatorKey) -> bool {
        let signature = BASE64.decode(self.signature.as_bytes());
        signature.is_ok_and(|signature| by.has_signed(&message(body), &signature))
    }

    /// Lines of a body that are not as they were when it was sealed, from 1; at most `most`.
    pub fn altered(&self, body: &str, most: usize) -> Vec<usize> {
        let sealed = BASE64.decode(self.lines.as_bytes()).unwrap_or_default();
        let mut sealed = sealed.chunks(MARK_BYTES);
        let differs = |(line, number): (&str, u32)| {
            // Where marks are missing they tell nothing.
            let is_other = sealed.next().is_some_and(|sealed| sealed != mark(number, line).as_slice());
            is_other.then(|| usize::try_from(number).unwrap_or(usize::MAX))
        };
        body.lines().zip(1..).filter_map(differs).take(most).collect()
    }

    /// Whether the marks are those of a body.
    pub fn is_marked(&self, body: &str) -> bool {
        self.lines == marks(body)
    }
}

/// The first line of a file that is not as it was when it was sealed, as far as the text alone can tell: also of one that is
/// no JSON any more.
pub fn first_altered(text: &str) -> Option<usize> {
    let (before, seal) = text.rsplit_once(",\n  \"seal\": {")?;
    let (_, lines) = seal.split_once("\"lines\": \"")?;
    let seal = Seal { lines: lines.split('"').next()?.to_owned(), signature: String::new() };
    seal.altered(&format!("{before}\n}}"), 1).first().copied()
}

/// Where a line of a file stands: `decisions[0].regions[2].vote`. Read from the text alone, so that it works for a file
/// that is no JSON any more, as far as the lines before are whole.
pub fn path(text: &str, line: usize) -> String {
    // For each open brace its name, and for a list the number of elements begun.
    let mut open: Vec<(String, Option<usize>)> = Vec::new();
    for (text, number) in text.lines().zip(1..=line) {
        let text = text.trim();
        let name = text.strip_prefix('"').and_then(|rest| rest.split_once("\":")).map(|(name, _)| name);
        let mut part = String::new();
        if let Some((_, Some(count))) = open.last_mut()
            && !text.starts_with([']', '}'])
        {
            part = format!("[{count}]");
            *count += 1;
        } else if let Some(name) = name {
            name.clone_into(&mut part);
        }
        if number == line {
            return joined(open.iter().map(|(part, _)| part.as_str()).chain([part.as_str()]));
        }
        match text.trim_end_matches(',').chars().last() {
            Some('{') => open.push((part, None)),
            Some('[') => open.push((part, Some(0))),
            _ if text.starts_with(['}', ']']) => drop(open.pop()),
            _ => {}
        }
    }
    String::new()
}

/// The index in a list of a path: 2 for `regions` in `decisions[0].regions[2].vote`.
pub fn index(path: &str, list: &str) -> Option<usize> {
    let start = path.split('.').find_map(|part| part.strip_prefix(list)?.strip_prefix('['))?;
    start.split(']').next()?.parse().ok()
}

fn joined<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let mut path = String::new();
    for part in parts.filter(|part| !part.is_empty()) {
        if !path.is_empty() && !part.starts_with('[') {
            path.push('.');
        }
        path.push_str(part);
    }
    path
}

fn message(body: &str) -> Vec<u8> {
    [DOMAIN, body.as_bytes()].concat()
}

fn marks(body: &str) -> String {
    let marks: Vec<u8> = body.lines().zip(1..).flat_map(|(line, number)| mark(number, line)).collect();
    BASE64.encode(&marks)
}

fn mark(number: u32, line: &str) -> Vec<u8> {
    let digest = Digest::of(&[number.to_be_bytes().as_slice(), line.as_bytes()].concat());
    digest.0.into_iter().take(MARK_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "{\n  \"a\": 1,\n  \"list\": [\n    {\n      \"x\": \"y\",\n      \"in\": [\n        7,\n        8\n      ]\n    },\n    {\n      \"x\": {}\n    }\n  ],\n  \"none\": [],\n  \"z\": null\n}";

    #[test]
    fn lines_have_their_paths() {
        let paths: Vec<String> = (1..=17).map(|line| path(TEXT, line)).collect();
        assert_eq!(
            paths,
            [
                "",
                "a",
                "list",
                "list[0]",
                "list[0].x",
                "list[0].in",
                "list[0].in[0]",
                "list[0].in[1]",
                "list[0].in",
                "list[0]",
                "list[1]",
                "list[1].x",
                "list[1]",
                "list",
                "none",
                "z",
                ""
            ]
        );
        assert_eq!((index("a[3].list[12].x", "list"), index("a[3].x", "list")), (Some(12), None));
    }

    #[test]
    fn an_altered_line_is_found_and_the_signature_fails() {
        let key = SigningKey::generate().unwrap();
        let seal = Seal::of(TEXT, &key);
        assert!(seal.is_signed(TEXT, &key.aggregator_key()) && seal.altered(TEXT, 9).is_empty());
        let other = TEXT.replace("\"y\"", "\"Y\"");
        assert!(!seal.is_signed(&other, &key.aggregator_key()));
        assert_eq!(seal.altered(&other, 9), [5]);
        assert!(seal.is_marked(TEXT) && !seal.is_marked(&other));
    }
}
