//! What came while a step waited for something else.

use super::super::{expand::Values, quote};
use crate::limits;

/// What came while a step waited for something else.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// Messages that were not the one.
    messages: u32,
    /// Pings, and pongs that were not the one.
    controls: u32,
    /// Messages that were replied to.
    replied: u32,
    bytes: u64,
    /// The beginning of the latest message that was not the one.
    last: Vec<u8>,
}

impl Waiting {
    pub(crate) fn skip(&mut self, message: &[u8], values: &Values) {
        self.messages += 1;
        // Enough to quote from, and to find in it whatever must not be quoted.
        let wanted = 4 * limits::QUOTE_BYTES_MAX + values.captured_bytes_longest();
        self.last.clear();
        self.last.extend_from_slice(message.get(..wanted).unwrap_or(message));
    }

    pub(crate) fn control(&mut self) {
        self.controls += 1;
    }

    pub(crate) fn reply(&mut self) {
        self.replied += 1;
    }

    pub(crate) fn receive(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// How many bytes came, where they are too many; and whether too many frames did.
    pub(crate) fn excess(&self) -> Option<Excess> {
        let frames = self.messages.saturating_add(self.controls);
        if frames >= limits::FRAMES_SKIPPED_MAX || self.replied >= limits::FRAMES_SKIPPED_MAX {
            Some(Excess::Frames)
        } else if self.bytes > limits::RECEIVED_BYTES_MAX {
            Some(Excess::Bytes(self.bytes))
        } else {
            None
        }
    }

    /// What came instead, behind "no … came, ".
    pub(crate) fn came(&self, values: &Values) -> String {
        let plural = |count: u32, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {many}")),
        };
        let parts: Vec<_> = [
            plural(self.messages, "other message", "other messages"),
            plural(self.controls, "ping or pong", "pings or pongs"),
            plural(self.replied, "message that was replied to", "messages that were replied to"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let quoted = || quote::quote(&values.redact(&String::from_utf8_lossy(&self.last)));
        match self.messages {
            0 if parts.is_empty() => "nor anything else".to_owned(),
            0 => format!("but {}", parts.join(" and ")),
            1 => format!("but {}: {}", parts.join(" and "), quoted()),
            _ => format!("but {}, the last: {}", parts.join(" and "), quoted()),
        }
    }
}

/// Too much came that was not the one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    Frames,
    Bytes(u64),
}

#[cfg(test)]
mod tests {
    use super::{super::super::expand::tests::values, *};

    #[test]
    fn what_came_instead_is_said() {
        let mut values = values();
        values.capture("token", "0123456789").unwrap();
        for (messages, controls, replied, said) in [
            (&[][..], 0, 0, "nor anything else"),
            (&["a"], 0, 0, "but 1 other message: a"),
            (&["a", "my 0123456789"], 0, 0, "but 2 other messages, the last: my {{token}}"),
            (&["a"], 1, 0, "but 1 other message and 1 ping or pong: a"),
            (&[], 2, 0, "but 2 pings or pongs"),
            (&[], 0, 1, "but 1 message that was replied to"),
            (
                &["a", "b"],
                2,
                3,
                "but 2 other messages and 2 pings or pongs and 3 messages that were replied to, the last: b",
            ),
        ] {
            let mut waiting = Waiting::default();
            for message in messages {
                waiting.skip(message.as_bytes(), &values);
            }
            (0..controls).for_each(|_| waiting.control());
            (0..replied).for_each(|_| waiting.reply());
            assert_eq!(waiting.came(&values), said);
        }
        // A secret is found even where the quotation would cut it.
        let mut waiting = Waiting::default();
        let long = "s".repeat(2_000);
        values.capture("long", &long).unwrap();
        waiting.skip(format!("x{long}y").as_bytes(), &values);
        assert_eq!(waiting.came(&values), "but 1 other message: x{{long}}y");
    }
}
