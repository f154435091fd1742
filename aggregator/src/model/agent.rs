//! Agents as the aggregator enrolled them.

use std::collections::BTreeMap;

use quorate_proto::{AgentKey, AgentName, Region, WallMicros};

/// One enrolled agent. Region and labels are what the operator said when adding it, never what the agent claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRecord {
    /// Its identity.
    pub key: AgentKey,
    /// What the operator calls it.
    pub name: AgentName,
    /// Where it stands.
    pub region: Region,
    /// Labels that form domains, such as `provider=aws`.
    pub labels: BTreeMap<String, String>,
    /// When it joined.
    pub enrolled_at: WallMicros,
    /// When it was revoked.
    pub revoked_at: Option<WallMicros>,
}

/// A join token as it is stored: the hash of its secret, and what the agent that uses it will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinToken {
    /// Which token.
    pub id: [u8; 8],
    /// SHA-256 of its secret.
    pub secret_hash: [u8; 32],
    /// The name for the agent.
    pub name: AgentName,
    /// The region for the agent.
    pub region: Region,
    /// The labels for the agent.
    pub labels: BTreeMap<String, String>,
    /// Until when it may be used.
    pub expires_at: WallMicros,
    /// The key that used it: the same key may ask again, in case the answer was lost.
    pub used_by: Option<AgentKey>,
}

/// Who may connect: what `ingest` looks at during a handshake. Replaced as a whole by the core.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// Enrolled agents that are not revoked.
    pub agents: BTreeMap<AgentKey, AgentRecord>,
    /// Unknown keys may connect until then, only to join: the latest expiry of an open join token.
    pub joining_until: Option<WallMicros>,
}
