//! Every limit, as a number with its reason.

/// Largest frame, header included. Bounds what one read may allocate.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
