//! What errors of the WebSocket library mean.

use std::io;

use quorate_proto::{FailureKind, limits as protocol, outcome::cut};
use tokio_tungstenite::tungstenite::{
    self,
    error::{CapacityError, ProtocolError},
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::{Seen, socket::stream};
use crate::probe::{framing::FrameFault, quote::quote};

/// An error of the WebSocket library.
pub(crate) fn websocket(error: &tungstenite::Error) -> Seen {
    use tungstenite::Error;
    match error {
        Error::Io(error) => match frame_fault(error) {
            Some(fault) if fault.kind() == FailureKind::TooLarge => {
                (FailureKind::TooLarge, format!("{fault} came"))
            }
            Some(fault) => violation(&fault.to_string()),
            None => stream(error),
        },
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

/// A close frame of the server. `received` is the code that it bears: the library puts 1002 in place of a code that must
/// not be sent.
pub(crate) fn closed(frame: Option<&CloseFrame>, received: Option<u16>) -> Seen {
    let (code, reason) =
        frame.map_or((1005, String::new()), |frame| (u16::from(frame.code), quote(&frame.reason)));
    let sent = received.filter(|_| code == 1002).unwrap_or(code);
    let reason = if sent == code { cut(reason, protocol::CLOSE_REASON_BYTES_MAX) } else { String::new() };
    let said = match (frame.is_some(), reason.is_empty()) {
        (false, _) => "the close frame has no code".to_owned(),
        (true, true) => "the close frame gives no reason".to_owned(),
        (true, false) => format!("the close frame says: {reason}"),
    };
    (FailureKind::Closed { code: sent, reason }, said)
}

/// What a server is told whose frames made this error (RFC 6455 section 7.4.1).
pub(crate) fn close_code(error: &tungstenite::Error) -> CloseCode {
    use tungstenite::Error;
    match error {
        Error::Io(error) => frame_fault(error).map_or(CloseCode::Normal, FrameFault::close_code),
        Error::Utf8(_) => CloseCode::Invalid,
        Error::Capacity(_) => CloseCode::Size,
        Error::Protocol(_) => CloseCode::Protocol,
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Tls(_)
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => CloseCode::Normal,
    }
}

/// A fault of framing, which the transport finds.
fn frame_fault(error: &io::Error) -> Option<FrameFault> {
    error.get_ref()?.downcast_ref().copied()
}

fn violation(what: &str) -> Seen {
    (FailureKind::ProtocolViolation, format!("it sent {what} of RFC 6455"))
}

#[cfg(test)]
mod tests {
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
