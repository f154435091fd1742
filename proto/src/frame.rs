//! Wire frames: what agent and aggregator say to each other over QUIC.
//!
//! A frame is its payload's length (`u32`, big endian) and the payload (see `codec.rs`). The reader knows the bound of
//! what it waits for and refuses a longer one before it reads or allocates anything.
//!
//! | stream | opened by | agent says | aggregator says |
//! |---|---|---|---|
//! | control, the first of a connection | agent | [`AgentControl`]: one `Hello`, then `Health` | [`AggregatorControl`] |
//! | upload, one per unit | agent | one [`Upload`], end | one [`Ack`], end |
//! | join, the only one of a `quorate-join/1` connection | agent | one [`JoinRequest`], end | one [`JoinReply`], end |

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    codec::{self, CodecError},
    doubt::{Controls, Doubt, DoubtReport},
    id::{AgentName, MonitorId, Region},
    limits,
    monitor::Assignment,
    time::{Micros, WallMicros},
    unit::{BootEpoch, Sequence},
};

/// The ALPN protocol of enrolled agents.
pub const ALPN: &[u8] = b"quorate/1";
/// The ALPN protocol of an agent that joins.
pub const ALPN_JOIN: &[u8] = b"quorate-join/1";
/// Bytes of a frame's length prefix.
pub const PREFIX_BYTES: usize = 4;

/// Why the aggregator ended a connection, as the QUIC application close code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// Going away; come back.
    GoingAway,
    /// The agent's key was revoked; do not come back.
    Revoked,
    /// The agent broke the protocol or sent what it must not.
    Hostile,
    /// The same agent connected again; the older connection ends.
    Superseded,
    /// A part of the dialogue did not come in time.
    TooSlow,
}

impl CloseCode {
    /// The number on the wire.
    pub const fn number(self) -> u32 {
        match self {
            Self::GoingAway => 0,
            Self::Revoked => 1,
            Self::Hostile => 2,
            Self::Superseded => 3,
            Self::TooSlow => 4,
        }
    }

    /// The code of a number from the wire.
    pub const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::GoingAway,
            1 => Self::Revoked,
            2 => Self::Hostile,
            3 => Self::Superseded,
            4 => Self::TooSlow,
            _ => return None,
        })
    }
}

/// What an agent says on its control stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AgentControl {
    /// The first frame.
    Hello(Hello),
    /// Every [`crate::limits::HEALTH_INTERVAL`], and at once when something changes.
    Health(Health),
}

/// An agent's first words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The program and its version, such as `quorate-agent 0.1.0`.
    pub software: String,
    /// This start of the agent.
    pub epoch: BootEpoch,
    /// The revision of the assignments it still has, or 0.
    pub revision: u64,
}

/// How an agent fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The revision of the assignments in force.
    pub revision: u64,
    /// Monitors in its schedule.
    pub monitors: u32,
    /// Checks made since its start.
    pub checks: u64,
    /// The largest delay of its event loop since the last report.
    pub event_loop_lag_max: Micros,
    /// The largest delay of a scheduled check's start since the last report.
    pub schedule_lag_max: Micros,
    /// Units in the spool.
    pub spool_units: u64,
    /// Bytes of the spool on disk.
    pub spool_bytes: u64,
    /// Results dropped since its start because the spool was full.
    pub results_dropped: u64,
    /// Damaged or torn spool records found since its start.
    pub records_torn: u64,
    /// Whether the spool can be written.
    pub spool_failing: bool,
    /// Canaries that are open.
    pub canaries: u32,
    /// Monitors that want a canary and have none, because the system gives the agent too few file descriptors.
    pub canaries_without: u32,
    /// Why it cannot be trusted at present, in order of [`Doubt`], each once. While there is any, its vote abstains.
    pub doubts: Vec<DoubtReport>,
}

impl Health {
    /// The gravest reason not to trust the agent at present.
    pub fn gravest_doubt(&self) -> Option<Doubt> {
        self.doubts.iter().map(|report| report.doubt).min()
    }

    /// Whether every list and text is within its bound.
    pub fn is_within_limits(&self) -> bool {
        self.doubts.is_sorted_by(|one, next| one.doubt < next.doubt)
            && self.doubts.iter().all(|report| report.detail.len() <= limits::DETAIL_BYTES_MAX)
    }
}

/// What the aggregator says on the control stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AggregatorControl {
    /// The answer to `Hello`: the agent is admitted.
    Welcome(Welcome),
    /// A part of a full set of assignments. The set takes effect with its last part.
    Assign {
        /// The revision of the set.
        revision: u64,
        /// Monitors of this part.
        assignments: Vec<Assignment>,
        /// Whether this is the first part: what came before is forgotten.
        first: bool,
        /// Whether this is the last part.
        last: bool,
    },
    /// A change to the set: takes effect at once.
    Change {
        /// The revision that results.
        revision: u64,
        /// Monitors that are new or different.
        changed: Vec<Assignment>,
        /// Monitors that are gone.
        removed: Vec<MonitorId>,
        /// Whether this is the last part of the change; the revision is in force with it.
        last: bool,
    },
    /// Check this monitor now.
    Confirm {
        /// Which monitor.
        monitor: MonitorId,
        /// The number of the request.
        request: u64,
    },
    /// The agent's key is revoked; the connection ends.
    Revoke,
    /// What the agent is to look at to see whether it is the fault itself; replaces what was said before.
    Controls(Controls),
}

/// What the aggregator knows of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The name under which it was enrolled.
    pub name: AgentName,
    /// The region under which it was enrolled.
    pub region: Region,
    /// The aggregator's wall clock, so that an agent can say that its own is wrong.
    pub wall: WallMicros,
}

/// One unit on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// The signed unit.
    pub unit: Vec<u8>,
    /// From signing to sending, by a clock that also runs in suspend; none where the agent restarted in between and
    /// cannot tell.
    pub held: Option<Micros>,
}

/// What became of a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The unit's epoch.
    pub epoch: BootEpoch,
    /// The unit's place in it.
    pub sequence: Sequence,
    /// What became of it.
    pub verdict: AckVerdict,
}

/// What became of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AckVerdict {
    /// It is on the aggregator's disk, since this upload or an earlier one: forget it.
    Stored,
    /// It cannot be stored at present: keep it and send it again later.
    Busy,
    /// It is refused for good: do not send it again.
    Refused,
}

/// What an agent says to join.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Which token.
    pub token: [u8; 8],
    /// Its secret.
    pub secret: [u8; 16],
    /// The program and its version.
    pub software: String,
}

impl std::fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JoinRequest {{ token: {:02x?}, secret: ***, software: {:?} }}", self.token, self.software)
    }
}

/// The answer to [`JoinRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinReply {
    /// The agent's key is enrolled.
    Enrolled {
        /// Under this name.
        name: AgentName,
        /// In this region.
        region: Region,
    },
    /// The token is unknown, used, or too old. Which of them is told to the operator, not to the stranger.
    Refused,
}

/// Encodes a whole frame, prefix included.
///
/// # Errors
/// [`CodecError::TooLarge`] above `bytes_max`.
pub fn encode<T: Serialize>(value: &T, bytes_max: usize) -> Result<Vec<u8>, CodecError> {
    let payload = codec::encode(value, bytes_max)?;
    let length = u32::try_from(payload.len())
        .map_err(|_| CodecError::TooLarge { bytes: payload.len(), bytes_max: u32::MAX as usize })?;
    Ok([length.to_be_bytes().as_slice(), &payload].concat())
}

/// Reads a frame's length prefix.
///
/// # Errors
/// [`CodecError::TooLarge`] above `bytes_max`; [`CodecError::Empty`] for no payload at all.
pub fn payload_bytes(prefix: [u8; PREFIX_BYTES], bytes_max: usize) -> Result<usize, CodecError> {
    match usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX) {
        0 => Err(CodecError::Empty),
        bytes if bytes > bytes_max => Err(CodecError::TooLarge { bytes, bytes_max }),
        bytes => Ok(bytes),
    }
}

/// Decodes a frame's payload.
///
/// # Errors
/// Any [`CodecError`].
pub fn decode<T: DeserializeOwned>(payload: &[u8], bytes_max: usize) -> Result<T, CodecError> {
    codec::decode(payload, bytes_max)
}
