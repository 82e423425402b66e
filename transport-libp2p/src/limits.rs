//! What strangers, and peers, can make a node hold: every limit of this transport.

/// Handshakes under way: many more than a node has peers, so that all may come at once.
pub const HANDSHAKES_MAX: u32 = 256;

/// Streams of one connection: three of a link, and those of identify and ping, both ways.
pub const STREAMS_MAX: usize = 16;

/// Links whose streams are open, waiting for `accept`; beyond it they are dropped, and dialled again.
pub const READY_LINKS_MAX: usize = 256;
