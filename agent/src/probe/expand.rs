//! `{{nonce}}` and `{{now_ms}}` in the texts of a check's steps.

use data_encoding::HEXLOWER;

use crate::clock;

/// What the placeholders of one check stand for.
#[derive(Clone, Debug)]
pub(crate) struct Placeholders {
    nonce: String,
}

impl Placeholders {
    /// A fresh token for one check: 64 random bits, so that no other check's reply is taken for this one's.
    pub(crate) fn random() -> Option<Self> {
        let mut bytes = [0; 8];
        aws_lc_rs::rand::fill(&mut bytes).ok()?;
        Some(Self { nonce: HEXLOWER.encode(&bytes) })
    }

    /// The text with its placeholders filled. At most twice as long ([`crate::limits::EXPANDED_BYTES_MAX`]).
    pub(crate) fn fill(&self, text: &str) -> String {
        let filled = text.replace("{{nonce}}", &self.nonce);
        if !filled.contains("{{now_ms}}") {
            return filled;
        }
        filled.replace("{{now_ms}}", &(clock::wall().0 / 1_000).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    #[test]
    fn placeholders_are_filled_alike_everywhere() {
        let placeholders = Placeholders { nonce: "ab12".into() };
        assert_eq!(placeholders.fill("{{nonce}}-{{nonce}} {{other}} {nonce}"), "ab12-ab12 {{other}} {nonce}");
        let millis: i64 = placeholders.fill("{{now_ms}}").parse().unwrap();
        assert!(millis > 1_700_000_000_000);
    }

    #[test]
    fn a_filled_text_keeps_its_bound() {
        let max = quorate_proto::limits::STEP_TEXT_BYTES_MAX;
        let placeholders = Placeholders::random().unwrap();
        for placeholder in ["{{nonce}}", "{{now_ms}}"] {
            let text = placeholder.repeat(max / placeholder.len());
            assert!(placeholders.fill(&text).len() <= limits::EXPANDED_BYTES_MAX, "{placeholder}");
        }
        assert_ne!(placeholders.fill("{{nonce}}"), Placeholders::random().unwrap().fill("{{nonce}}"));
    }
}
