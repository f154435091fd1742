//! Names that people choose: monitors, regions, agents. One alphabet for all, so that a name can stand in a URL,
//! a metric label, a file name and a terminal without quoting.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::limits;

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no characters.
    #[error("is empty")]
    Empty,
    /// It is longer than [`limits::NAME_BYTES_MAX`].
    #[error("has {0} bytes; at most {max} are allowed", max = limits::NAME_BYTES_MAX)]
    TooLong(usize),
    /// It has a character outside `a-z 0-9 . _ -`, or does not start with a letter or digit.
    #[error("may hold only a-z, 0-9, '.', '_' and '-', and starts with a letter or digit")]
    Alphabet,
}

fn checked(text: &str) -> Result<Arc<str>, NameError> {
    let mut bytes = text.bytes();
    let first = bytes.next().ok_or(NameError::Empty)?;
    if text.len() > limits::NAME_BYTES_MAX {
        return Err(NameError::TooLong(text.len()));
    }
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if alphanumeric(first) && bytes.all(|byte| alphanumeric(byte) || b"._-".contains(&byte)) {
        Ok(text.into())
    } else {
        Err(NameError::Alphabet)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// 1 to 64 bytes of `a-z 0-9 . _ -`, starting with a letter or digit. Cheap to clone.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                checked(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name! {
    /// A monitor's id: what configuration, API and alerts call it.
    MonitorId
}
name! {
    /// Where an agent stands, for instance `eu-west`. Votes are counted once per region.
    Region
}
name! {
    /// What the operator calls an agent. Its identity is its key.
    AgentName
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "eu-west.1_x", "0", &"x".repeat(64)] {
            assert_eq!(good.parse::<MonitorId>().map(String::from).as_deref(), Ok(good));
        }
        for (bad, why) in [
            ("", NameError::Empty),
            ("-a", NameError::Alphabet),
            ("A", NameError::Alphabet),
            ("a b", NameError::Alphabet),
            ("ä", NameError::Alphabet),
            (&"x".repeat(65), NameError::TooLong(65)),
        ] {
            assert_eq!(bad.parse::<Region>(), Err(why), "{bad}");
        }
    }
}
