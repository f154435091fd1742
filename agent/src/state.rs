//! The state folder: what an agent keeps from one start to the next.
//!
//! ```text
//! lock              held while an agent runs, so that two never share a key and an epoch
//! agent.key         the private key, PKCS #8, mode 0600: the agent's identity
//! aggregator.json   who the aggregator is, where it is, and what it calls this agent; written by joining
//! epoch             the number of the last start
//! assignments.json  what was last assigned, so that a start without the aggregator still probes; mode 0600
//! revoked           there when the aggregator did not admit this agent: a join string is used although one was before
//! spool/            signed results that are not acknowledged
//! ```
//!
//! Every file is written beside its place, synced, and renamed, so that a crash leaves the old one or the new one.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use quorate_proto::{
    AgentName, AggregatorKey, Assignment, BootEpoch, Region, SigningKey, WallMicros, key::KeyError,
    limits::MONITORS_PER_AGENT_MAX,
};
use serde::{Deserialize, Serialize};

use crate::limits;

/// Why the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file cannot be read or written.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another agent runs with this folder.
    #[error("{folder} is in use by another agent: each agent needs a state folder of its own", folder = folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// Others may read the private key.
    #[error(
        "{path} has mode {mode:03o}, so that others may read the agent's private key. If nobody did, mend it with \
         `chmod 600 {path}`; otherwise revoke the agent, delete the folder, and join anew",
        path = path.display()
    )]
    KeyIsOpen {
        /// The key's file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key's file has no key.
    #[error("{path} {error}; restore it, or delete the folder and join anew", path = path.display())]
    Key {
        /// The key's file.
        path: PathBuf,
        /// What is wrong with it.
        error: KeyError,
    },
    /// `aggregator.json` cannot be understood.
    #[error("{path} cannot be understood ({error}); restore it, or delete the folder and join anew", path = path.display())]
    Enrolment {
        /// The file.
        path: PathBuf,
        /// Where and why.
        error: serde_json::Error,
    },
}

/// An open state folder. No other process opens it while this is there.
#[derive(Debug)]
pub struct State {
    folder: PathBuf,
    key: Arc<SigningKey>,
    enrolment: Option<Enrolment>,
    _lock: File,
}

/// What joining an aggregator gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// The key that the aggregator must have.
    pub aggregator: AggregatorKey,
    /// Where it listens: `host:port`.
    pub address: String,
    /// What it calls this agent.
    pub name: AgentName,
    /// Where it thinks that this agent stands.
    pub region: Region,
}

/// What was assigned when it was last written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assigned {
    /// The revision of the set.
    pub revision: u64,
    /// The set.
    pub assignments: Vec<Assignment>,
}

/// Where assignments are kept. Apart from [`State`], so that they can be written while that is elsewhere.
#[derive(Clone, Debug)]
pub struct AssignmentsFile(PathBuf);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnrolmentFile {
    key: String,
    address: String,
    name: AgentName,
    region: Region,
}

impl State {
    /// Whether a folder holds an agent's state, so that a first start can be told from a later one.
    pub fn is_there(folder: &Path) -> bool {
        folder.join("agent.key").exists()
    }

    /// Opens a folder, and makes it, and a key in it, where there is none.
    ///
    /// # Errors
    /// Any [`StateError`].
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder).map_err(at(folder))?;
        let lock = lock(folder)?;
        let key = Arc::new(key(folder)?);
        let enrolment = enrolment(&folder.join("aggregator.json"))?;
        Ok(Self { folder: folder.to_owned(), key, enrolment, _lock: lock })
    }

    /// The agent's key.
    pub fn key(&self) -> &Arc<SigningKey> {
        &self.key
    }

    /// What joining gave; none before.
    pub fn enrolment(&self) -> Option<&Enrolment> {
        self.enrolment.as_ref()
    }

    /// Whether the aggregator refused this agent, and it did not join anew since.
    pub fn is_revoked(&self) -> bool {
        self.folder.join("revoked").exists()
    }

    /// Notes that the aggregator does not admit this agent, and forgets what was assigned: it probes nothing.
    ///
    /// # Errors
    /// [`StateError::File`].
    pub fn revoke(&self) -> Result<(), StateError> {
        replace(&self.folder.join("revoked"), b"")?;
        remove(&self.assignments_file().0)
    }

    /// Keeps what joining gave.
    ///
    /// # Errors
    /// [`StateError::File`].
    pub fn enrol(&mut self, enrolment: Enrolment) -> Result<(), StateError> {
        let Enrolment { aggregator, address, name, region } = enrolment.clone();
        let file = EnrolmentFile { key: aggregator.to_string(), address, name, region };
        let path = self.folder.join("aggregator.json");
        let json = json(&path, &file)?;
        replace(&path, &json)?;
        self.enrolment = Some(enrolment);
        remove(&self.folder.join("revoked"))
    }

    /// The number of this start: larger than every earlier one, even if the wall clock went back or an older copy of the
    /// folder was restored. Where it cannot be written down, the agent starts all the same.
    ///
    /// # Errors
    /// [`StateError::File`] where the number of the last start cannot be read.
    pub fn next_epoch(&self, wall: WallMicros) -> Result<BootEpoch, StateError> {
        let path = self.folder.join("epoch");
        let last = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(StateError::File { path, error }),
        };
        let epoch = u64::try_from(wall.0).unwrap_or(0).max(u64::saturating_add(last, 1));
        if let Err(error) = replace(&path, format!("{epoch}\n").as_bytes()) {
            tracing::warn!(%error, "the number of this start cannot be written down");
        }
        Ok(BootEpoch(epoch))
    }

    /// What was last assigned. A file that cannot be used is as good as none: the aggregator sends all of it again.
    pub fn assigned(&self) -> Assigned {
        let AssignmentsFile(path) = self.assignments_file();
        let read = match fs::metadata(&path) {
            Ok(meta) if meta.len() > limits::ASSIGNMENTS_FILE_BYTES_MAX => Err("too large".to_owned()),
            Ok(_) => fs::read(&path).map_err(|error| error.to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Assigned::default(),
            Err(error) => Err(error.to_string()),
        };
        let assigned = read.and_then(|bytes| {
            let assigned: Assigned = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
            let fits = assigned.assignments.len() <= MONITORS_PER_AGENT_MAX
                && assigned.assignments.iter().all(|assignment| assignment.spec.is_within_limits());
            if fits { Ok(assigned) } else { Err("above its bounds".to_owned()) }
        });
        assigned.unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "the last assignments are passed over");
            Assigned::default()
        })
    }

    /// Where assignments are kept.
    pub fn assignments_file(&self) -> AssignmentsFile {
        AssignmentsFile(self.folder.join("assignments.json"))
    }

    /// Where the spool is.
    pub fn spool_folder(&self) -> PathBuf {
        self.folder.join("spool")
    }
}

impl AssignmentsFile {
    /// Keeps a set. Blocks.
    ///
    /// # Errors
    /// [`StateError::File`]; the former set is there still.
    pub fn keep(&self, assigned: &Assigned) -> Result<(), StateError> {
        replace(&self.0, &json(&self.0, assigned)?)
    }
}

fn lock(folder: &Path) -> Result<File, StateError> {
    let path = folder.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StateError::InUse { folder: folder.to_owned() }),
        Err(TryLockError::Error(error)) => Err(StateError::File { path, error }),
    }
}

fn key(folder: &Path) -> Result<SigningKey, StateError> {
    let path = folder.join("agent.key");
    let broken = |error| StateError::Key { path: path.clone(), error };
    match fs::metadata(&path) {
        Ok(meta) => {
            let mode = meta.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(StateError::KeyIsOpen { path, mode });
            }
            SigningKey::from_pkcs8(&fs::read(&path).map_err(at(&path))?).map_err(broken)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = SigningKey::generate().map_err(broken)?;
            replace(&path, key.pkcs8())?;
            Ok(key)
        }
        Err(error) => Err(StateError::File { path, error }),
    }
}

fn enrolment(path: &Path) -> Result<Option<Enrolment>, StateError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StateError::File { path: path.to_owned(), error }),
    };
    let broken = |error| StateError::Enrolment { path: path.to_owned(), error };
    let file: EnrolmentFile = serde_json::from_slice(&bytes).map_err(broken)?;
    let EnrolmentFile { key, address, name, region } = file;
    let aggregator =
        key.parse().map_err(|error| broken(serde::de::Error::custom(format_args!("key {error}"))))?;
    Ok(Some(Enrolment { aggregator, address, name, region }))
}

fn json<T: Serialize>(path: &Path, value: &T) -> Result<Vec<u8>, StateError> {
    serde_json::to_vec_pretty(value).map_err(|error| at(path)(error.into()))
}

/// Puts a file in its place, whole or not at all, readable by its owner alone.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    let beside = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&beside);
        StateError::File { path: path.to_owned(), error }
    })
}

fn remove(path: &Path) -> Result<(), StateError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> StateError + use<> {
    let path = path.to_owned();
    move |error| StateError::File { path, error }
}

#[cfg(test)]
mod tests;
