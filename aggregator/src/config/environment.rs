//! Where a configuration takes secrets from: `${NAME}` out of the environment, and `file:PATH`.
//!
//! The world comes in as three functions, so that parsing stays a function of its arguments.

use std::{
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

use crate::limits::CONFIG_BYTES_MAX;

/// How a variable is looked up.
pub type Variables<'a> = dyn Fn(&str) -> Option<String> + 'a;
/// How a file is read.
pub type Files<'a> = dyn Fn(&Path) -> io::Result<Vec<u8>> + 'a;
/// How a folder is listed.
pub type Folders<'a> = dyn Fn(&Path) -> io::Result<Vec<PathBuf>> + 'a;

/// The world as a configuration sees it.
pub struct Environment<'a> {
    /// The value of an environment variable.
    pub variable: Box<Variables<'a>>,
    /// The bytes of a file.
    pub file: Box<Files<'a>>,
    /// The paths of what is in a folder.
    pub folder: Box<Folders<'a>>,
}

impl Environment<'_> {
    /// The environment and the files of this process.
    pub fn of_process() -> Self {
        Self {
            variable: Box::new(|name| std::env::var(name).ok()),
            file: Box::new(read_bounded),
            folder: Box::new(|path| fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect()),
        }
    }
}

/// Reads a file, and one byte more than any configuration may have: enough to see that it is too large.
///
/// # Errors
/// The system's own.
pub fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(CONFIG_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why a text could not be completed from the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ExpandError {
    /// `${` without `}`.
    Unclosed,
    /// The variable is not set.
    Missing(String),
}

/// Puts the environment's values in place of `${NAME}`; `$${` stands for a literal `${`.
pub(super) fn expand(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, ExpandError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(escaped) = before.strip_suffix('$') {
            out.push_str(escaped);
            out.push_str("${");
            rest = after;
            continue;
        }
        let (name, after) = after.split_once('}').ok_or(ExpandError::Unclosed)?;
        out.push_str(before);
        out.push_str(&variable(name).ok_or_else(|| ExpandError::Missing(name.to_owned()))?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_place_once() {
        let variable = |name: &str| match name {
            "HOST" => Some("example.org".to_owned()),
            "TRICK" => Some("${HOST}".to_owned()),
            _ => None,
        };
        for (text, wanted) in [
            ("plain $ text {}", Ok("plain $ text {}")),
            ("wss://${HOST}/x", Ok("wss://example.org/x")),
            ("${HOST}${HOST}", Ok("example.orgexample.org")),
            ("a$${HOST}", Ok("a${HOST}")),
            ("${TRICK}", Ok("${HOST}")),
            ("${NOPE}", Err(ExpandError::Missing("NOPE".into()))),
            ("${HOST", Err(ExpandError::Unclosed)),
        ] {
            assert_eq!(expand(text, &variable), wanted.map(str::to_owned), "{text}");
        }
    }
}
