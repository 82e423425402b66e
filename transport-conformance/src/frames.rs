//! Frames that show it when they are lost, doubled, mixed up or cut.

use bytes::Bytes;
use millpond_core::frame::{FRAME_HEADER_BYTES, frame};
use millpond_core::limits::FRAME_BYTES_MAX;

/// Frame number `number`, with so many bytes of body at least, each of which depends on its place and the number.
pub(crate) fn numbered(number: u32, body_bytes: usize) -> Bytes {
    let mut body = number.to_le_bytes().to_vec();
    body.extend((4..body_bytes as u32).map(|at| (at / 251 + at + number) as u8));
    frame(1, 1, &body)
}

/// The number of a frame.
pub(crate) fn number_of(frame: &Bytes) -> u32 {
    let body = frame.get(FRAME_HEADER_BYTES..).and_then(|body| body.first_chunk());
    body.map_or(u32::MAX, |number| u32::from_le_bytes(*number))
}

/// The largest frame there is.
pub(crate) fn largest(number: u32) -> Bytes {
    numbered(number, BODY_BYTES_MAX)
}

/// Bytes of the largest body.
pub(crate) const BODY_BYTES_MAX: usize = FRAME_BYTES_MAX - FRAME_HEADER_BYTES;
