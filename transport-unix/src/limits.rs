//! What others on the host can make a node hold: every limit of this transport.

/// Sessions being opened; the next ones are turned away, and dial again.
pub const SESSIONS_MAX: usize = 128;

/// Connections being admitted: all lanes of those sessions have a place beside them.
pub const CONNECTIONS_MAX: usize = 3 * SESSIONS_MAX;

/// Links whose lanes are open, waiting for `accept`. Beyond it they wait in their connections' places.
pub const READY_LINKS_MAX: usize = 64;
