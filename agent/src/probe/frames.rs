//! The WebSocket library, set up as the probe uses it: small buffers, and a bound on all that a server can make it hold.

use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::protocol::{Role, WebSocketConfig},
};

use super::{framing::Framing, transport::Transport};
use crate::limits;

/// What one message may be, and what may wait to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) message_bytes_max: usize,
    pub(crate) fragments_max: u32,
    pub(crate) write_bytes_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            message_bytes_max: limits::MESSAGE_BYTES_MAX,
            fragments_max: limits::FRAGMENTS_MAX,
            write_bytes_max: limits::WRITE_BUFFER_BYTES_MAX,
        }
    }
}

/// Takes over a connection after its upgrade; `first` came behind the response's head.
pub(crate) async fn open(
    mut transport: Transport,
    mut first: Vec<u8>,
    bounds: Bounds,
) -> WebSocketStream<Transport> {
    transport.expect_frames(Framing::new(bounds.fragments_max), &mut first);
    let configuration = WebSocketConfig::default()
        .read_buffer_size(limits::READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(bounds.write_bytes_max)
        .max_message_size(Some(bounds.message_bytes_max))
        .max_frame_size(Some(bounds.message_bytes_max));
    WebSocketStream::from_partially_read(transport, first, Role::Client, Some(configuration)).await
}
