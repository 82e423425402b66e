//! Why bytes are no message.

use crate::PathError;
use crate::frame::FrameError;

/// Why a frame could not be decoded. Nothing came out of it, and no more was allocated than the limits
/// allow; the session that sent it ends, and its decoder is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The body ends early, or holds a value that its field cannot have.
    #[error("malformed body")]
    Malformed,
    /// Bytes follow after the message.
    #[error("{0} bytes follow the message")]
    TrailingBytes(usize),
    /// A count or a text exceeds its limit.
    #[error("more {0} than the limit allows")]
    Limit(&'static str),
    /// Elements that have one order are in another, or the same one comes twice.
    #[error("{0} are not strictly ascending")]
    Order(&'static str),
    /// A path is malformed or exceeds its limits.
    #[error("bad path")]
    Path(#[source] PathError),
    /// A stamp exceeds [`Hlc::MAX`](crate::Hlc::MAX), or is not what the header says.
    #[error("bad stamp")]
    Stamp,
    /// A dot that no history has: seq zero, or one that its own push issues or depends on.
    #[error("bad dot")]
    Dot,
    /// It is relative to a table of closed incarnations that is not known here.
    #[error("unknown table of closed incarnations")]
    UnknownTable,
    /// A table of closed incarnations is not what its hash says.
    #[error("a table of closed incarnations is not what its hash says")]
    Table,
    /// A fragment comes out of its place, or announces a message beyond
    /// [`MESSAGE_BYTES_MAX`](crate::limits::MESSAGE_BYTES_MAX).
    #[error("bad fragment: {0}")]
    Fragment(&'static str),
}
