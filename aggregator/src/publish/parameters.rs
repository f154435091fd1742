//! Query parameters, read strictly: a misspelt one is refused by name instead of being ignored.

use url::form_urlencoded;

use super::error::Error;
use crate::{limits, store::Cursor};

/// The parameters of one request. Take those that the route knows, then [`Parameters::finish`].
#[derive(Debug)]
pub(super) struct Parameters {
    rest: Vec<(String, String)>,
    taken: Vec<&'static str>,
}

impl Parameters {
    /// Reads a query string.
    pub(super) fn read(query: Option<&str>) -> Self {
        let rest = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
        Self { rest, taken: Vec::new() }
    }

    /// Takes a parameter, where it is given.
    ///
    /// # Errors
    /// [`Error::Parameter`] where it is given twice.
    pub(super) fn take(&mut self, name: &'static str) -> Result<Option<String>, Error> {
        self.taken.push(name);
        let mut found = self.rest.extract_if(.., |(key, _)| key == name).map(|(_, value)| value);
        match (found.next(), found.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(bad(name, "is given twice")),
        }
    }

    /// Takes a parameter as another type.
    ///
    /// # Errors
    /// [`Error::Parameter`] where it is given twice or is not such a value; `wanted` says what one looks like.
    pub(super) fn take_as<T: std::str::FromStr>(
        &mut self,
        name: &'static str,
        wanted: &str,
    ) -> Result<Option<T>, Error> {
        let Some(text) = self.take(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| bad(name, format!("wanted {wanted}, found {text:?}")))
    }

    /// Takes `limit` and `before`.
    ///
    /// # Errors
    /// [`Error::Parameter`] for a limit outside 1 to [`limits::PAGE_ROWS_MAX`].
    pub(super) fn take_cursor(&mut self) -> Result<Cursor, Error> {
        let wanted = format!("a number from 1 to {}", limits::PAGE_ROWS_MAX);
        let limit = self.take_as("limit", &wanted)?.unwrap_or(limits::PAGE_ROWS_DEFAULT);
        if !(1..=limits::PAGE_ROWS_MAX).contains(&limit) {
            return Err(bad("limit", format!("wanted {wanted}, found {limit}")));
        }
        Ok(Cursor { before: self.take("before")?, limit })
    }

    /// The cursor of a query string in which nothing else may stand.
    ///
    /// # Errors
    /// [`Error::Parameter`] as of [`Parameters::take_cursor`] and [`Parameters::finish`].
    pub(super) fn cursor_alone(query: Option<&str>) -> Result<Cursor, Error> {
        let mut parameters = Self::read(query);
        let cursor = parameters.take_cursor()?;
        parameters.finish()?;
        Ok(cursor)
    }

    /// Refuses what was not taken.
    ///
    /// # Errors
    /// [`Error::Parameter`] that names the first of them and those that the route knows.
    pub(super) fn finish(self) -> Result<(), Error> {
        let Some((name, _)) = self.rest.first() else { return Ok(()) };
        let known = if self.taken.is_empty() { "none".to_owned() } else { self.taken.join(", ") };
        Err(bad(name, format!("is not known here; known parameters: {known}")))
    }
}

/// A refusal of one parameter.
pub(super) fn bad(name: &str, problem: impl Into<String>) -> Error {
    Error::Parameter { name: name.to_owned(), problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<(Cursor, Option<bool>), String> {
        let mut parameters = Parameters::read(Some(query));
        (|| {
            let cursor = parameters.take_cursor()?;
            let open = parameters.take_as("open", "true or false")?;
            parameters.finish()?;
            Ok((cursor, open))
        })()
        .map_err(|error: Error| error.to_string())
    }

    #[test]
    fn parameters_are_read_strictly() {
        let cursor = |before: Option<&str>, limit| Cursor { before: before.map(str::to_owned), limit };
        for (query, wanted) in [
            ("", Ok((cursor(None, limits::PAGE_ROWS_DEFAULT), None))),
            ("limit=7&before=a%2Fb&open=true", Ok((cursor(Some("a/b"), 7), Some(true)))),
            ("limit=500", Ok((cursor(None, 500), None))),
            ("limit=0", Err("parameter limit: wanted a number from 1 to 500, found 0")),
            ("limit=501", Err("parameter limit: wanted a number from 1 to 500, found 501")),
            ("limit=many", Err("parameter limit: wanted a number from 1 to 500, found \"many\"")),
            ("limit=1&limit=2", Err("parameter limit: is given twice")),
            ("open=yes", Err("parameter open: wanted true or false, found \"yes\"")),
            ("opne=true", Err("parameter opne: is not known here; known parameters: limit, before, open")),
        ] {
            assert_eq!(read(query), wanted.map_err(str::to_owned), "{query}");
        }
    }
}
