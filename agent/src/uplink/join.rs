//! Joining: an agent shows its key and a token, and is enrolled.

use quinn::Connection;
use quorate_proto::{
    AgentName, Region, SigningKey,
    frame::{ALPN_JOIN, CloseCode, JoinReply, JoinRequest},
    join::JoinString,
    limits::JOIN_FRAME_BYTES_MAX,
    outcome::cut,
};
use tokio::time::timeout;

use super::{
    dial::{DialError, Dialer},
    wire::{Meaning, Outgoing, WireFault, meaning, read},
};
use crate::limits;

/// Under what the aggregator enrolled this agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The name that the operator gave it.
    pub name: AgentName,
    /// The region that the operator put it in.
    pub region: Region,
}

/// Why joining failed, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// There is no connection with the right aggregator.
    #[error("cannot join: {0}")]
    Dial(#[from] DialError),
    /// The aggregator refused the token.
    #[error(
        "the aggregator refused the join string: it was used already, or it is too old (15 minutes); make a new one \
         with `quorate agents add` and try again"
    )]
    Refused,
    /// The aggregator is busy.
    #[error("the aggregator cannot take another agent at this moment; try again in a minute")]
    Busy,
    /// The dialogue ended without an answer.
    #[error(
        "the aggregator gave no answer to the join request ({0}); try again, the join string may still be good"
    )]
    NoAnswer(WireFault),
    /// The agent's key cannot be used for TLS.
    #[error("this agent's key cannot be used for TLS: {0}")]
    Key(rustls::Error),
}

/// Enrols `key` with the aggregator that made the join string. A server with another key learns nothing: it is left
/// within the TLS handshake. The same key may join again with the same string, in case an answer was lost.
///
/// # Errors
/// [`JoinError`], whose text says what to do.
pub async fn join(join: &JoinString, key: &SigningKey, software: &str) -> Result<Joined, JoinError> {
    let dialer =
        Dialer::new(join.aggregator, join.address.clone(), key, ALPN_JOIN).map_err(JoinError::Key)?;
    let line = dialer.dial().await?;
    let dialogue = timeout(limits::JOIN_DEADLINE.into(), dialogue(&line.connection, join, software));
    let answer = dialogue.await.unwrap_or(Err(WireFault::Slow));
    let joined = match answer {
        Ok(JoinReply::Enrolled { name, region }) => Ok(Joined { name, region }),
        Ok(JoinReply::Refused) => Err(JoinError::Refused),
        Err(fault) => Err(lost(&line.connection, fault)),
    };
    line.hang_up(limits::HANG_UP_DEADLINE).await;
    joined
}

async fn dialogue(
    connection: &Connection,
    join: &JoinString,
    software: &str,
) -> Result<JoinReply, WireFault> {
    let (send, mut receive) = connection.open_bi().await.map_err(|_| WireFault::Gone)?;
    let mut send = Outgoing::new(send);
    let software = cut(software.to_owned(), quorate_proto::limits::SOFTWARE_BYTES_MAX);
    let request = JoinRequest { token: join.token, secret: join.secret, software };
    send.send(&request, JOIN_FRAME_BYTES_MAX, limits::JOIN_DEADLINE).await?;
    send.finish();
    read(&mut receive, JOIN_FRAME_BYTES_MAX).await
}

fn lost(connection: &Connection, fault: WireFault) -> JoinError {
    match connection.close_reason().as_ref().map(meaning) {
        // Nobody may join at this moment: no token is open, so ours is not either.
        Some(Meaning::Refused) => JoinError::Refused,
        Some(Meaning::Closed(CloseCode::GoingAway)) => JoinError::Busy,
        Some(Meaning::Closed(_) | Meaning::Lost) | None => JoinError::NoAnswer(fault),
    }
}
