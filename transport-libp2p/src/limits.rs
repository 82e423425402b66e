//! What strangers, and peers, can make a node hold: every limit of this transport.

/// Handshakes under way: many more than a node has peers, so that all may come at once.
pub const HANDSHAKES_MAX: u32 = 256;

/// Streams of one connection: three of a link, and those of identify, ping and discovery, both ways.
pub const STREAMS_MAX: usize = 16;

/// Streams more of a connection with a relay: each peer that is reached through it is one.
pub const RELAYED_STREAMS_MAX: usize = 128;

/// Members that a relay may keep reachable.
pub const RESERVATIONS_MAX: usize = 512;

/// Links that a relay may carry.
pub const CIRCUITS_MAX: usize = 1024;

/// Peers whose addresses discovery keeps, members or not.
pub const FOUND_PEERS_MAX: usize = 1024;

/// Addresses that it keeps of each.
pub const FOUND_ADDRESSES_MAX: usize = 4;

/// Addresses that a peer tells of itself and that are looked at.
pub const TOLD_ADDRESSES_MAX: usize = 8;

/// Links whose streams are open, waiting for `accept`; beyond it they are dropped, and dialled again.
pub const READY_LINKS_MAX: usize = 256;
