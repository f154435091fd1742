//! The word that was probably meant.

/// The known word nearest to a misspelt one, where one is near enough that it was probably meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let edits_max = word.chars().count().div_ceil(3);
    known
        .into_iter()
        .map(|candidate| (edits(word, candidate), candidate))
        .filter(|(edits, _)| *edits <= edits_max)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, row by row.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.chars().enumerate() {
        let mut next = vec![index + 1];
        let mut left = index + 1;
        for (window, candidate) in row.windows(2).zip(&to) {
            let &[diagonal, above] = window else { continue };
            let replaced = diagonal + usize::from(letter != *candidate);
            left = replaced.min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word() {
        let known = ["id", "interval", "timeout", "url"];
        for (word, wanted) in [
            ("intervall", Some("interval")),
            ("time_out", Some("timeout")),
            ("uri", Some("url")),
            ("headers", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), wanted, "{word}");
        }
    }
}
