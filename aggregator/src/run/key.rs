//! The aggregator's key: what agents pin. A file that only its owner reads, made on the first start.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use quorate_proto::SigningKey;

use crate::config::read_bounded;

const FILE: &str = "aggregator.key";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read or written.
    #[error("{path} cannot be used: {error}", path = path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// The system's own words.
        error: io::Error,
    },
    /// The file is gone, and the database has agents that pin it.
    #[error(
        "{path} is gone, and the agents of this data folder pin that key: restore it from a backup, or move the whole \
         folder away to start anew",
        path = path.display()
    )]
    Gone {
        /// Which file.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error(
        "{path} holds no Ed25519 key: restore it from a backup; without it every agent must be enrolled again",
        path = path.display()
    )]
    NoKey {
        /// Which file.
        path: PathBuf,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}

/// Reads the key of a data folder. In one that has none yet (`is_new`) it is made.
pub(super) fn key(data: &Path, is_new: bool) -> Result<SigningKey, KeyFileError> {
    let path = data.join(FILE);
    match read_bounded(&path) {
        Ok(bytes) => SigningKey::from_pkcs8(&bytes).map_err(|_| KeyFileError::NoKey { path }),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(KeyFileError::File { path, error }),
        Err(_) if !is_new => Err(KeyFileError::Gone { path }),
        Err(_) => {
            let key = SigningKey::generate().map_err(|_| KeyFileError::Random)?;
            match write_private(&path, key.pkcs8()) {
                Ok(()) => Ok(key),
                Err(error) => Err(KeyFileError::File { path, error }),
            }
        }
    }
}

/// Reads the key of a data folder that has one.
///
/// # Errors
/// [`KeyFileError`].
pub fn existing_key(data: &Path) -> Result<SigningKey, KeyFileError> {
    key(data, false)
}

/// Writes a file that only its owner reads, whole or not at all, and on disk before this returns.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("key.new");
    // One left over by a start that was killed is ours, since the data folder is locked.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let made = key(folder.path(), true).unwrap().aggregator_key();
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(key(folder.path(), true).unwrap().aggregator_key(), made);
        assert_eq!(key(folder.path(), false).unwrap().aggregator_key(), made);
    }

    #[test]
    fn a_lost_or_damaged_key_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(key(folder.path(), false), Err(KeyFileError::Gone { .. })));
        assert!(!folder.path().join(FILE).exists());
        fs::write(folder.path().join(FILE), b"hello").unwrap();
        assert!(matches!(key(folder.path(), true), Err(KeyFileError::NoKey { .. })));
        assert_eq!(fs::read(folder.path().join(FILE)).unwrap(), b"hello");
    }
}
