//! The frame headers of RFC 6455, watched as the bytes come in.
//!
//! The WebSocket library judges a frame once all of it is there, and overlooks some of what section 5.2 forbids. A probe
//! wants to name a broken rule when the header breaks it: the rest of that frame may never come, and a message made of
//! endless empty fragments has no end. Pure: bytes in, the first fault out, wherever the bytes are cut.

use quorate_proto::FailureKind;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Bytes of the longest header that a server may send: two, and a length of 64 bits.
const HEADER_BYTES_MAX: usize = 10;

/// Bytes of the payload that a control frame may have (RFC 6455 section 5.5).
const CONTROL_BYTES_MAX: u64 = 125;

/// The frames of one connection, as far as they have come.
#[derive(Debug)]
pub(crate) struct Framing {
    fragments_max: u32,
    header: [u8; HEADER_BYTES_MAX],
    header_bytes: usize,
    /// Bytes of the payload that are still to come; none within a header.
    payload: Option<u64>,
    /// The first bytes of a close frame's payload, which are its code.
    code: Vec<u8>,
    is_close: bool,
    /// Frames of the message that has begun and not ended.
    fragments: u32,
    fault: Option<FrameFault>,
}

/// Which rule of framing a server broke, or which bound of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameFault {
    #[error("a frame with reserved bits set and no extension agreed on, against section 5.2")]
    ReservedBits,
    #[error("a frame of the unknown opcode {0}, against section 5.2")]
    Opcode(u8),
    #[error("a masked frame, against section 5.1")]
    Masked,
    #[error("a fragmented control frame, against section 5.5")]
    ControlFragmented,
    #[error("a control frame of more than 125 bytes, against section 5.5")]
    ControlTooLong,
    #[error("a length that is not in its shortest form, against section 5.2")]
    LengthNotShortest,
    #[error("a length with its highest bit set, against section 5.2")]
    LengthHighestBit,
    #[error("a continuation of no message, against section 5.4")]
    ContinuationOfNothing,
    #[error("a new message before the end of the one before, against section 5.4")]
    MessageWithinMessage,
    #[error("a message of more than {0} fragments")]
    Fragments(u32),
}

impl FrameFault {
    /// The failure that it is.
    pub(crate) fn kind(self) -> FailureKind {
        match self {
            Self::Fragments(_) => FailureKind::TooLarge,
            Self::ReservedBits
            | Self::Opcode(_)
            | Self::Masked
            | Self::ControlFragmented
            | Self::ControlTooLong
            | Self::LengthNotShortest
            | Self::LengthHighestBit
            | Self::ContinuationOfNothing
            | Self::MessageWithinMessage => FailureKind::ProtocolViolation,
        }
    }

    /// What the server is told (RFC 6455 section 7.4.1).
    pub(crate) fn close_code(self) -> CloseCode {
        if let Self::Fragments(_) = self { CloseCode::Size } else { CloseCode::Protocol }
    }
}

impl Framing {
    /// Before the first frame. `fragments_max` bounds one message.
    pub(crate) fn new(fragments_max: u32) -> Self {
        Self {
            fragments_max,
            header: [0; HEADER_BYTES_MAX],
            header_bytes: 0,
            payload: None,
            code: Vec::new(),
            is_close: false,
            fragments: 0,
            fault: None,
        }
    }

    /// Watches bytes go by, and says how many of them come before a fault: all of them, where there is none.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while let (None, Some((byte, behind))) = (self.fault, rest.split_first()) {
            match self.payload {
                Some(left) => rest = self.payload(rest, left),
                None => {
                    rest = behind;
                    if let Err(fault) = self.header(*byte) {
                        self.fault = Some(fault);
                        // Some of the header may be gone already; what is left of it makes no frame.
                        return bytes.len() - behind.len() - 1;
                    }
                }
            }
        }
        bytes.len() - rest.len()
    }

    /// The fault that ended the connection's good frames.
    pub(crate) fn fault(&self) -> Option<FrameFault> {
        self.fault
    }

    /// The code in the latest close frame.
    pub(crate) fn close_code(&self) -> Option<u16> {
        self.code.first_chunk().map(|code| u16::from_be_bytes(*code))
    }

    fn payload<'bytes>(&mut self, bytes: &'bytes [u8], left: u64) -> &'bytes [u8] {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let (payload, rest) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
        if self.is_close {
            let wanted = 2_usize.saturating_sub(self.code.len());
            self.code.extend(payload.iter().take(wanted));
        }
        let left = left.saturating_sub(count as u64);
        self.payload = Some(left).filter(|left| *left > 0);
        rest
    }

    fn header(&mut self, byte: u8) -> Result<(), FrameFault> {
        if let Some(place) = self.header.get_mut(self.header_bytes) {
            *place = byte;
        }
        self.header_bytes += 1;
        let [first, second, extended @ ..] = self.header;
        match self.header_bytes {
            1 => return first_byte(first),
            2 if second & 0x80 != 0 => return Err(FrameFault::Masked),
            2 if is_control(first) && u64::from(second) > CONTROL_BYTES_MAX => {
                return Err(FrameFault::ControlTooLong);
            }
            _ => {}
        }
        let (length_bytes, shortest) = match second {
            126 => (2, 126),
            127 => (8, 1 << 16),
            _ => (0, 0),
        };
        if self.header_bytes < 2 + length_bytes {
            return Ok(());
        }
        let extended = extended.iter().take(length_bytes);
        let length = match length_bytes {
            0 => u64::from(second),
            _ => extended.fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        if length >> 63 != 0 {
            return Err(FrameFault::LengthHighestBit);
        }
        if length < shortest {
            return Err(FrameFault::LengthNotShortest);
        }
        self.begin(first, length)
    }

    /// A whole header has come.
    fn begin(&mut self, first: u8, length: u64) -> Result<(), FrameFault> {
        self.header_bytes = 0;
        self.payload = Some(length).filter(|length| *length > 0);
        self.is_close = first & 0x0f == 8;
        if self.is_close {
            self.code.clear();
        }
        if is_control(first) {
            return Ok(());
        }
        let is_continuation = first & 0x0f == 0;
        match (is_continuation, self.fragments) {
            (true, 0) => return Err(FrameFault::ContinuationOfNothing),
            (false, 1..) => return Err(FrameFault::MessageWithinMessage),
            (true, 1..) | (false, 0) => {}
        }
        self.fragments = if first & 0x80 != 0 { 0 } else { self.fragments + 1 };
        if self.fragments > self.fragments_max {
            return Err(FrameFault::Fragments(self.fragments_max));
        }
        Ok(())
    }
}

fn is_control(first: u8) -> bool {
    first & 0x08 != 0
}

fn first_byte(first: u8) -> Result<(), FrameFault> {
    if first & 0x70 != 0 {
        return Err(FrameFault::ReservedBits);
    }
    match first & 0x0f {
        0..=2 => Ok(()),
        8..=10 if first & 0x80 != 0 => Ok(()),
        8..=10 => Err(FrameFault::ControlFragmented),
        opcode => Err(FrameFault::Opcode(opcode)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAGMENTS_MAX: u32 = 3;

    /// Bytes before the fault, and the fault, with the bytes cut into pieces of a size.
    fn watch(bytes: &[u8], piece: usize) -> (usize, Option<FrameFault>, Option<u16>) {
        let mut framing = Framing::new(FRAGMENTS_MAX);
        let mut passed = 0;
        for piece in bytes.chunks(piece) {
            passed += framing.pass(piece);
        }
        (passed, framing.fault(), framing.close_code())
    }

    #[test]
    fn a_broken_rule_is_named_at_its_byte() {
        use FrameFault as Fault;
        let long = [&[0x82, 127][..], &65_536_u64.to_be_bytes(), &[7; 65_536]].concat();
        let second = [&long[..], &[0x83]].concat();
        for (bytes, passed, fault) in [
            (&b"\x81\x02ok"[..], 4, None),
            (b"\x01\x01a\x89\x00\x00\x01b\x80\x01c", 11, None),
            (b"\x82\x7e\x00\x7e", 4, None),
            (&long, long.len(), None),
            (b"\x81\x02ok\xc1\x03", 4, Some(Fault::ReservedBits)),
            (b"\x91", 0, Some(Fault::ReservedBits)),
            (b"\xa1", 0, Some(Fault::ReservedBits)),
            (b"\x83", 0, Some(Fault::Opcode(3))),
            (b"\x8b", 0, Some(Fault::Opcode(11))),
            (&second, long.len(), Some(Fault::Opcode(3))),
            (b"\x81\x85", 1, Some(Fault::Masked)),
            (b"\x09", 0, Some(Fault::ControlFragmented)),
            (b"\x08", 0, Some(Fault::ControlFragmented)),
            (b"\x89\x7e", 1, Some(Fault::ControlTooLong)),
            (b"\x88\x7f", 1, Some(Fault::ControlTooLong)),
            (b"\x81\x7e\x00\x05hello", 3, Some(Fault::LengthNotShortest)),
            (b"\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", 9, Some(Fault::LengthNotShortest)),
            (b"\x82\x7f\x80\x00\x00\x00\x00\x01\x00\x00", 9, Some(Fault::LengthHighestBit)),
            (b"\x80\x01a", 1, Some(Fault::ContinuationOfNothing)),
            (b"\x81\x01a\x00\x01b", 4, Some(Fault::ContinuationOfNothing)),
            (b"\x01\x01a\x81\x01b", 4, Some(Fault::MessageWithinMessage)),
            (b"\x01\x00\x00\x00\x00\x00\x00\x00", 7, Some(Fault::Fragments(FRAGMENTS_MAX))),
        ] {
            for piece in 1..=bytes.len().min(12) {
                let (found, named, _) = watch(bytes, piece);
                assert_eq!((found, named), (passed, fault), "{piece}: {:?}", &bytes[..bytes.len().min(20)]);
            }
        }
    }

    #[test]
    fn the_code_of_a_close_frame_is_read() {
        for (bytes, code) in [
            (&b"\x88\x02\x03\xe8"[..], Some(1000)),
            (b"\x81\x02\x88\x02\x88\x05\x03\xeebye", Some(1006)),
            (b"\x88\x00", None),
            (b"\x88\x01\x03", None),
            (b"\x81\x04\x88\x02\x03\xe8", None),
        ] {
            for piece in 1..=bytes.len() {
                assert_eq!(watch(bytes, piece).2, code, "{piece}: {bytes:?}");
            }
        }
    }

    proptest::proptest! {
        /// However the bytes are cut, the same is found.
        #[test]
        fn pieces_do_not_matter(bytes: Vec<u8>, piece in 1_usize..64) {
            let whole = watch(&bytes, bytes.len().max(1));
            proptest::prop_assert_eq!(watch(&bytes, piece), whole);
            proptest::prop_assert!(whole.0 <= bytes.len());
        }
    }
}
