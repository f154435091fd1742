//! Where a page starts: the place of the last row of the page before, as a text that means nothing to its holder.

use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;

use super::{Cursor, Paged, StoreError};
use crate::limits;

/// The place of a row in its list: the time that it is ordered by, and what tells rows of one time apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place<I> {
    pub(super) at: i64,
    pub(super) id: I,
}

/// A page that is asked for: rows below a place, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page<I> {
    pub(super) before: Option<Place<I>>,
    pub(super) rows: u32,
}

impl<I: FromStr + ToString> Page<I> {
    /// The page that a cursor asks for.
    pub(super) fn of(cursor: &Cursor) -> Result<Self, StoreError> {
        let before = match &cursor.before {
            Some(text) => Some(Place::read(text).ok_or(StoreError::Cursor)?),
            None => None,
        };
        let rows = match cursor.limit {
            0 => limits::PAGE_ROWS_DEFAULT,
            rows => rows.min(limits::PAGE_ROWS_MAX),
        };
        Ok(Self { before, rows })
    }

    /// How many rows to ask for: one more than are shown, which tells whether there is a next page.
    pub(super) fn rows_asked(&self) -> u32 {
        self.rows.saturating_add(1)
    }

    /// Makes the answer of the rows that came.
    pub(super) fn answer<T>(&self, mut rows: Vec<(Place<I>, T)>) -> Paged<T> {
        let shown = usize::try_from(self.rows).unwrap_or(usize::MAX);
        let more = rows.len() > shown;
        rows.truncate(shown);
        let next = if more { rows.last().map(|(place, _)| place.write()) } else { None };
        Paged { items: rows.into_iter().map(|(_, row)| row).collect(), next }
    }
}

impl<I: FromStr + ToString> Place<I> {
    fn write(&self) -> String {
        BASE64URL_NOPAD.encode(format!("{} {}", self.at, self.id.to_string()).as_bytes())
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (at, id) = std::str::from_utf8(&bytes).ok()?.split_once(' ')?;
        Some(Self { at: at.parse().ok()?, id: id.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(before: Option<&str>, limit: u32) -> Result<Page<i64>, StoreError> {
        Page::of(&Cursor { before: before.map(str::to_owned), limit })
    }

    #[test]
    fn a_page_leads_to_the_next() {
        let first = page(None, 2).unwrap();
        assert_eq!(first.rows_asked(), 3);
        let rows = |ids: &[i64]| ids.iter().map(|id| (Place { at: -5, id: *id }, *id)).collect::<Vec<_>>();
        let answer = first.answer(rows(&[9, 8, 7]));
        assert_eq!(answer.items, [9, 8]);
        let next = page(answer.next.as_deref(), 2).unwrap();
        assert_eq!(next.before, Some(Place { at: -5, id: 8 }));
        assert_eq!(next.answer(rows(&[7])), Paged { items: vec![7], next: None });
    }

    #[test]
    fn strangers_cursors_and_large_limits() {
        for text in ["", "x", "AAAA", &BASE64URL_NOPAD.encode(b"1 x"), &BASE64URL_NOPAD.encode(b"12")] {
            assert!(matches!(page(Some(text), 1), Err(StoreError::Cursor)), "{text}");
        }
        assert_eq!(page(None, 0).unwrap().rows, limits::PAGE_ROWS_DEFAULT);
        assert_eq!(page(None, u32::MAX).unwrap().rows, limits::PAGE_ROWS_MAX);
    }
}
