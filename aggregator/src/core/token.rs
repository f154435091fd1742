//! The first token of the HTTP API: made once, for whoever can read the data folder.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use data_encoding::BASE64URL_NOPAD;
use quorate_proto::Digest;

use super::chance;
use crate::{
    clock,
    model::Secret,
    store::{Change, Commit, CommitError, Recovered, Store},
};

/// The file, in the data folder.
pub const FILE: &str = "admin.token";

/// What tokens start with, so that one is known when it turns up where it should not be.
pub const PREFIX: &str = "qat_";

/// Why there is no first token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The store cannot be written.
    #[error("the first API token was not stored: {0}")]
    Store(#[from] CommitError),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}

/// Makes a token of 256 random bits where none is stored, and writes it to a file that only its owner reads. The
/// database keeps its SHA-256 alone. Gives the file's path where a token was made.
///
/// # Errors
/// Any [`TokenError`].
pub async fn ensure_admin_token(
    store: &Store,
    recovered: &Recovered,
    data: &Path,
) -> Result<Option<PathBuf>, TokenError> {
    if recovered.has_api_token {
        return Ok(None);
    }
    let bytes = chance::secret::<32>().map_err(|_| TokenError::Random)?;
    let token = Secret::new(format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes)));
    let path = data.join(FILE);
    // First the file: a token that is stored and that nobody knows would lock everybody out.
    write_private(&path, &token).map_err(|error| TokenError::File { path: path.clone(), error })?;
    let sha256 = Digest::of(token.expose().as_bytes()).0;
    let change = Change::ApiToken { sha256, name: "admin".to_owned(), created_at: clock::wall() };
    store.commit(Commit { units: Vec::new(), changes: vec![change] }).await?;
    Ok(Some(path))
}

fn write_private(path: &Path, token: &Secret) -> io::Result<()> {
    let fresh = path.with_extension("token.new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    writeln!(file, "{}", token.expose())?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn the_first_token_is_made_once_and_only_its_hash_is_stored() {
        let folder = tempfile::tempdir().unwrap();
        let (store, reader, recovered) = Store::open(folder.path()).unwrap();
        let path = ensure_admin_token(&store, &recovered, folder.path()).await.unwrap().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let token = text.trim_end();
        assert!(token.starts_with("qat_") && token.len() == 4 + 43, "{token}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(reader.has_token(Digest::of(token.as_bytes()).0).await.unwrap());
        store.close();
        let (store, _, recovered) = Store::open(folder.path()).unwrap();
        assert!(ensure_admin_token(&store, &recovered, folder.path()).await.unwrap().is_none());
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}
