//! `{{name}}` in the texts of a preset: what the operator may set, put in place when the preset is read.

use std::collections::BTreeMap;

/// Puts the values of these parameters in place of their `{{name}}`, once; every other placeholder stays for the agent.
pub(super) fn fill(text: &str, parameters: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let value = after.split_once("}}").and_then(|(name, end)| Some((parameters.get(name)?, end)));
        out.push_str(before);
        match value {
            Some((value, end)) => {
                out.push_str(value);
                rest = end;
            }
            None => {
                // One brace only: the second may belong to a placeholder of its own, as in `{{{name}}}`.
                out.push('{');
                let (_, second) = rest.split_at(before.len() + 1);
                rest = second;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_put_in_place_once_and_other_placeholders_stay() {
        let parameters = BTreeMap::from([
            ("topic".to_owned(), "room:1".to_owned()),
            ("trick".to_owned(), "{{topic}}".to_owned()),
        ]);
        for (text, wanted) in [
            ("{{topic}}", "room:1"),
            ("a{{topic}}b{{topic}}", "aroom:1broom:1"),
            ("{{nonce}} {{topic}} {{", "{{nonce}} room:1 {{"),
            ("{{trick}}", "{{topic}}"),
            ("{{{topic}}}", "{room:1}"),
            ("{{topic", "{{topic"),
            ("{{Topic}}", "{{Topic}}"),
        ] {
            assert_eq!(fill(text, &parameters), wanted, "{text}");
        }
    }
}
