//! What strangers, and peers, can make a node hold: every limit of this transport.

/// Handshakes under way. Bounds what strangers can hold of us: with the window of a connection whose lanes
/// are not open, about 20 MiB. Many more than a node has peers, so that all may come at once.
pub const HANDSHAKES_MAX: usize = 256;

/// Connection attempts that wait for a handshake's place; the next are refused at once.
pub const INCOMING_MAX: usize = 1024;

/// Links whose lanes are open, waiting for `accept`. Beyond it they wait in their handshakes' places.
pub const READY_LINKS_MAX: usize = 64;

/// Bytes of one lane that may be under way or waiting: a peer may send so much beyond what was received
/// by the layer above, and so `send` waits beyond it. A lane moves at most this per round trip
/// (10 MB/s at 100 ms), and a link to a peer that stops reading holds at most this per lane.
pub const LANE_WINDOW_BYTES: u32 = 1 << 20;
