//! What errors of the WebSocket library mean.

use quorate_proto::FailureKind;
use tokio_tungstenite::tungstenite::{
    self,
    error::{CapacityError, ProtocolError},
};

use super::{Seen, socket::stream};
use crate::probe::quote::quote;

/// An error of the WebSocket library.
pub(crate) fn websocket(error: &tungstenite::Error) -> Seen {
    use tungstenite::Error;
    match error {
        Error::Io(error) => stream(error),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            (FailureKind::Dropped, "the connection just ended".to_owned())
        }
        Error::Protocol(ProtocolError::MaskedFrameFromServer) => {
            violation("a masked frame, against section 5.1")
        }
        Error::Protocol(ProtocolError::NonZeroReservedBits) => {
            violation("a frame with reserved bits set and no extension agreed on, against section 5.2")
        }
        Error::Protocol(ProtocolError::InvalidOpcode(opcode)) => {
            violation(&format!("a frame of the unknown opcode {opcode}, against section 5.2"))
        }
        Error::Protocol(error) => (FailureKind::ProtocolViolation, quote(&error.to_string())),
        Error::Utf8(_) => violation("a text that is not UTF-8, against section 5.6"),
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            (FailureKind::TooLarge, format!("a message of {size} bytes came; the agent takes {max_size}"))
        }
        Error::Capacity(CapacityError::TooManyHeaders)
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Tls(_)
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => (FailureKind::AgentFault, format!("the WebSocket library: {error}")),
    }
}

fn violation(what: &str) -> Seen {
    (FailureKind::ProtocolViolation, format!("it sent {what} of RFC 6455"))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn errors_of_the_websocket_library() {
        use tungstenite::Error;
        for (error, kind) in [
            (Error::ConnectionClosed, FailureKind::Dropped),
            (Error::Protocol(ProtocolError::ResetWithoutClosingHandshake), FailureKind::Dropped),
            (Error::Io(io::ErrorKind::ConnectionReset.into()), FailureKind::ConnectionReset),
            (Error::Protocol(ProtocolError::MaskedFrameFromServer), FailureKind::ProtocolViolation),
            (Error::Protocol(ProtocolError::NonZeroReservedBits), FailureKind::ProtocolViolation),
            (Error::Protocol(ProtocolError::InvalidOpcode(3)), FailureKind::ProtocolViolation),
            (Error::Protocol(ProtocolError::FragmentedControlFrame), FailureKind::ProtocolViolation),
            (Error::Utf8("bad".into()), FailureKind::ProtocolViolation),
            (Error::Capacity(CapacityError::MessageTooLong { size: 9, max_size: 8 }), FailureKind::TooLarge),
            (Error::AttackAttempt, FailureKind::AgentFault),
        ] {
            assert_eq!(websocket(&error).0, kind, "{error}");
        }
    }
}
