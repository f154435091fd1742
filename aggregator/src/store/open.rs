//! Opening the database: which file, which SQLite, which settings, and what is refused.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema;
use crate::limits;

/// The database, in the data folder.
pub const FILE: &str = "quorate.db";
const LOCK_FILE: &str = "quorate.lock";

/// The oldest SQLite that is trusted: 3.51.3 repairs a corruption that a checkpoint racing a writer's reset of the WAL
/// could cause.
const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// Why the store was not opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The SQLite that this program is linked with has known faults.
    #[error("SQLite {0} is too old: 3.51.3 is the oldest that is safe; build with the bundled one")]
    SqliteTooOld(String),
    /// The data folder cannot be made or written.
    #[error("{}: {error}; the data folder must be writable for the user that runs Quorate", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// There is nothing to read.
    #[error("{}: there is no database; an aggregator makes one in its data folder when it first runs", file.display())]
    Missing {
        /// Where it would be.
        file: PathBuf,
    },
    /// Another process has it.
    #[error("{}: is in use by another Quorate process; stop that one, or choose another data folder", file.display())]
    InUse {
        /// The lock file.
        file: PathBuf,
    },
    /// A newer Quorate wrote it.
    #[error(
        "{}: has schema version {found}, and this program knows up to {known}; run the newer Quorate that wrote it",
        file.display()
    )]
    Newer {
        /// The database.
        file: PathBuf,
        /// Its version.
        found: i32,
        /// The latest that is known here.
        known: i32,
    },
    /// An older Quorate wrote it, and it is only to be read.
    #[error(
        "{}: has schema version {found}, and this program reads {known}; start the aggregator once, which brings it up",
        file.display()
    )]
    Older {
        /// The database.
        file: PathBuf,
        /// Its version.
        found: i32,
        /// The one that is known here.
        known: i32,
    },
    /// It is a database of another program.
    #[error("{}: is a database, but not one of Quorate's; choose another data folder", file.display())]
    OtherProgram {
        /// The database.
        file: PathBuf,
    },
    /// It is no database, or its pages or rows contradict themselves.
    #[error(
        "{}: is damaged ({detail}); restore it from a backup, or move it away to start empty: agents then enrol anew",
        file.display()
    )]
    Damaged {
        /// The database.
        file: PathBuf,
        /// What was found.
        detail: String,
    },
    /// SQLite says no for another reason.
    #[error("{}: {error}", file.display())]
    Sqlite {
        /// The database.
        file: PathBuf,
        /// What it says.
        error: rusqlite::Error,
    },
}

impl OpenError {
    pub(super) fn sqlite(file: &Path, error: rusqlite::Error) -> Self {
        let file = file.to_owned();
        let damaged =
            matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
                || matches!(
                    error,
                    rusqlite::Error::FromSqlConversionFailure(..)
                        | rusqlite::Error::InvalidColumnType(..)
                        | rusqlite::Error::IntegralValueOutOfRange(..)
                );
        match damaged {
            true => Self::Damaged { file, detail: error.to_string() },
            false => Self::Sqlite { file, error },
        }
    }
}

/// The writing connection, and the lock that keeps other processes away for as long as it lives.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) file: PathBuf,
    pub(super) lock: File,
}

/// Opens the database in a folder for writing, and makes both where they are missing.
pub(super) fn open(folder: &Path) -> Result<Opened, OpenError> {
    check_version(rusqlite::version_number(), rusqlite::version())?;
    let of = |path: &Path| {
        let path = path.to_owned();
        move |error| OpenError::Folder { path, error }
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(of(folder))?;
    let lock_path = folder.join(LOCK_FILE);
    let private = || {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true).mode(0o600);
        options
    };
    let lock = private().open(&lock_path).map_err(of(&lock_path))?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::InUse { file: lock_path.clone() },
        TryLockError::Error(error) => OpenError::Folder { path: lock_path.clone(), error },
    })?;
    let file = folder.join(FILE);
    // SQLite gives its side files the mode of the database, so this makes all of them private.
    drop(private().open(&file).map_err(of(&file))?);
    let mut connection = Connection::open_with_flags(
        &file,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(|error| OpenError::sqlite(&file, error))?;
    schema::check(&connection, &file)?;
    set_up(&connection).map_err(|error| OpenError::sqlite(&file, error))?;
    schema::migrate(&mut connection, &file)?;
    Ok(Opened { connection, file, lock })
}

/// The database of a folder, to be read whether or not an aggregator runs on it; and which file that is.
///
/// # Errors
/// Where there is none, or its schema is not this program's.
pub(super) fn open_to_read(folder: &Path) -> Result<(Connection, PathBuf), OpenError> {
    let file = folder.join(FILE);
    match fs::metadata(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(OpenError::Missing { file });
        }
        Err(error) => return Err(OpenError::Folder { path: file, error }),
        Ok(_) => {}
    }
    let connection = open_reader(&file).map_err(|error| OpenError::sqlite(&file, error))?;
    let version = schema::check(&connection, &file)?;
    match version < schema::VERSION {
        true => Err(OpenError::Older { file, found: version, known: schema::VERSION }),
        false => Ok((connection, file)),
    }
}

/// A connection that can only read.
pub(super) fn open_reader(file: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(limits::READ_TIME_MAX)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -limits::READ_CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(limits::STATEMENTS_CACHED_MAX);
    Ok(connection)
}

fn set_up(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(limits::WRITE_BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(limits::STATEMENTS_CACHED_MAX);
    // A WAL reader never waits for the writer; FULL makes a commit survive a power cut, not only a crash.
    connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))?;
    connection.pragma_update(None, "synchronous", "full")?;
    // The writer checkpoints between commits itself, so that no commit pays for it.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |row| row.get::<_, i64>(0))?;
    connection.pragma_update_and_check(None, "journal_size_limit", limits::WAL_BYTES_KEPT_MAX, |row| {
        row.get::<_, i64>(0)
    })?;
    connection.pragma_update(None, "cache_size", -limits::WRITE_CACHE_KIB)?;
    Ok(())
}

fn check_version(number: i32, text: &str) -> Result<(), OpenError> {
    match number < SQLITE_VERSION_MIN {
        true => Err(OpenError::SqliteTooOld(text.to_owned())),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(folder: &Path) -> String {
        open(folder).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn an_old_sqlite_is_refused() {
        assert!(check_version(3_051_002, "3.51.2").is_err());
        assert!(check_version(3_051_003, "3.51.3").is_ok());
        assert!(check_version(rusqlite::version_number(), rusqlite::version()).is_ok());
    }

    #[test]
    fn opening_twice_is_migrating_once() {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path()).unwrap());
        let opened = open(folder.path()).unwrap();
        let mode: String =
            opened.connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
        let version: i32 =
            opened.connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, schema::VERSION);
    }

    #[test]
    fn a_start_writes_nothing_so_that_a_full_disk_does_not_prevent_it() {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path()).unwrap());
        let read = |name: &str| fs::read(folder.path().join(name)).unwrap_or_default();
        let before = read(FILE);
        let _opened = open(folder.path()).unwrap();
        assert_eq!(read("quorate.db-wal").len(), 0);
        assert!(read(FILE) == before);
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let opened = open(folder.path()).unwrap();
        opened.connection.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
        drop(opened);
        let told = format!("quorate.db: has schema version {}", schema::VERSION + 1);
        let text = refusal(folder.path());
        assert!(text.contains(&told), "{text}");
        assert!(refusal(folder.path()).contains(&told), "the refusal changed it");
    }

    #[test]
    fn what_is_only_read_has_to_be_there_and_of_this_schema() {
        let folder = tempfile::tempdir().unwrap();
        let told = || open_to_read(folder.path()).map(drop).unwrap_err().to_string();
        assert!(told().contains("there is no database"), "{}", told());
        fs::write(folder.path().join(FILE), "").unwrap();
        assert!(told().contains("has schema version 0, and this program reads"), "{}", told());
        drop(open(folder.path()).unwrap());
        assert!(open_to_read(folder.path()).is_ok());
    }

    #[test]
    fn another_programs_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let other = Connection::open(folder.path().join(FILE)).unwrap();
        other.execute_batch("CREATE TABLE theirs (x)").unwrap();
        assert!(refusal(folder.path()).contains("not one of Quorate's"));
        let mode: String = other.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "delete", "it was changed all the same");
    }

    #[test]
    fn rubbish_is_damage_and_the_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), vec![b'x'; 8192]).unwrap();
        let text = refusal(folder.path());
        assert!(text.contains("quorate.db: is damaged") && text.contains("backup"), "{text}");
    }

    #[test]
    fn a_second_process_is_kept_out() {
        let folder = tempfile::tempdir().unwrap();
        let _first = open(folder.path()).unwrap();
        assert!(refusal(folder.path()).contains("in use"));
    }

    #[test]
    fn files_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let _opened = open(&folder.path().join("data")).unwrap();
        for name in ["", FILE, "quorate.db-wal"] {
            let path = folder.path().join("data").join(name);
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
        }
    }
}
