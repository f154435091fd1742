//! What makes an aggregator itself: the key that agents pin, and the first token of its operator. Both are files that
//! only their owner reads, made on the first start.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use data_encoding::BASE64URL_NOPAD;
use quorate_proto::{AggregatorKey, Digest, SigningKey};

use crate::config::read_bounded;

const KEY_FILE: &str = "aggregator.key";
const TOKEN_FILE: &str = "admin.token";
/// What tokens of the HTTP API start with.
const TOKEN_PREFIX: &str = "qat_";

/// Why the key or the token cannot be had. Nothing was changed that a second start does not mend.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read or written.
    #[error("{path} cannot be used: {error}", path = path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// The system's own words.
        error: io::Error,
    },
    /// The key file holds something else.
    #[error("{path} holds no Ed25519 key: restore it from a backup; without it every agent must be enrolled again", path = path.display())]
    Key {
        /// Which file.
        path: PathBuf,
    },
    /// The database was written under another key.
    #[error(
        "{path} is not the key that the agents of this data folder pin ({pinned}): restore it from a backup, or move \
         the whole folder away to start anew",
        path = path.display()
    )]
    OtherKey {
        /// Which file.
        path: PathBuf,
        /// The key that the database knows.
        pinned: AggregatorKey,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}

/// The aggregator's key, made where there is none. `pinned` is the key that the database knows.
pub(super) fn key(data: &Path, pinned: Option<AggregatorKey>) -> Result<SigningKey, IdentityError> {
    let path = data.join(KEY_FILE);
    let key = match read_bounded(&path) {
        Ok(bytes) => SigningKey::from_pkcs8(&bytes).map_err(|_| IdentityError::Key { path: path.clone() })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound && pinned.is_none() => {
            let key = SigningKey::generate().map_err(|_| IdentityError::Random)?;
            write_private(&path, key.pkcs8())?;
            key
        }
        Err(error) => return Err(IdentityError::File { path, error }),
    };
    match pinned {
        Some(pinned) if pinned != key.aggregator_key() => Err(IdentityError::OtherKey { path, pinned }),
        Some(_) | None => Ok(key),
    }
}

/// Where the first token is kept.
pub(super) fn token_file(data: &Path) -> PathBuf {
    data.join(TOKEN_FILE)
}

/// Makes the first token and writes it down; returns its SHA-256, which is all that the store learns. To be called
/// before that is stored: a token without its file would lock the operator out, a file without its token is written
/// again by the next start.
pub(super) fn first_token(data: &Path) -> Result<Digest, IdentityError> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| IdentityError::Random)?;
    let token = format!("{TOKEN_PREFIX}{}", BASE64URL_NOPAD.encode(&bytes));
    write_private(&token_file(data), format!("{token}\n").as_bytes())?;
    Ok(Digest::of(token.as_bytes()))
}

/// Writes a file that only its owner reads, whole or not at all, and on disk before this returns.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    let wrong = |error| IdentityError::File { path: path.to_owned(), error };
    let unfinished = path.with_extension("new");
    // One left over by a start that was killed is ours, since the data folder is locked.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(wrong(error)),
        Ok(()) | Err(_) => {}
    }
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished);
    let written = file.and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let folder = path.parent().unwrap_or(Path::new("."));
    written
        .and_then(|()| fs::rename(&unfinished, path))
        .and_then(|()| fs::File::open(folder)?.sync_all())
        .map_err(wrong)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_key_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let made = key(folder.path(), None).unwrap().aggregator_key();
        assert_eq!(mode(&folder.path().join(KEY_FILE)), 0o600);
        assert_eq!(key(folder.path(), None).unwrap().aggregator_key(), made);
        assert_eq!(key(folder.path(), Some(made)).unwrap().aggregator_key(), made);
    }

    #[test]
    fn a_key_that_agents_do_not_pin_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pinned = AggregatorKey([7; 32]);
        assert!(matches!(key(folder.path(), Some(pinned)), Err(IdentityError::File { .. })), "it is gone");
        assert!(!folder.path().join(KEY_FILE).exists(), "and no other one was made");
        key(folder.path(), None).unwrap();
        assert!(matches!(key(folder.path(), Some(pinned)), Err(IdentityError::OtherKey { .. })));
        fs::write(folder.path().join(KEY_FILE), b"hello").unwrap();
        assert!(matches!(key(folder.path(), None), Err(IdentityError::Key { .. })));
    }

    #[test]
    fn a_token_is_256_random_bits_in_a_file_of_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let first = first_token(folder.path()).unwrap();
        let text = fs::read_to_string(token_file(folder.path())).unwrap();
        let token = text.strip_suffix('\n').unwrap();
        assert_eq!(Digest::of(token.as_bytes()), first);
        assert_eq!(BASE64URL_NOPAD.decode(&token.as_bytes()[4..]).unwrap().len(), 32);
        assert_eq!(mode(&token_file(folder.path())), 0o600);
        assert_ne!(first_token(folder.path()).unwrap(), first);
    }
}
