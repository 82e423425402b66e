//! Messages to frames.

use alloc::vec::Vec;
use alloc::{borrow::Cow, vec};

use bytes::Bytes;

use super::{control, kind};
use crate::frame::{FRAME_HEADER_BYTES, FrameHeader, frame};
use crate::limits::FRAME_BYTES_MAX;
use crate::message::Message;

/// The frames that carry a message, in order: one, unless it is longer than a frame may be. Then they are
/// fragments, to be sent on one lane with nothing between them. A push or rows frame is not encoded anew,
/// and if it fits one frame not copied.
///
/// The limits of a message are checked where it is decoded: one that this node's own configuration or data
/// takes beyond [`crate::limits`] is refused by its peer.
///
/// Vectors are listed whole; [`Encoder`](super::Encoder) makes them relative.
pub fn encode(message: &Message) -> Vec<Bytes> {
    let whole = match message {
        Message::Rows(rows) => Cow::Borrowed(rows.frame()),
        Message::Push(push) => Cow::Borrowed(push.frame()),
        control => Cow::Owned(control::encode(control)),
    };
    frames(whole.into_owned())
}

/// The frames that carry what would be this one.
pub(super) fn frames(whole: Bytes) -> Vec<Bytes> {
    match whole.len() <= FRAME_BYTES_MAX {
        true => vec![whole],
        false => fragments(&whole),
    }
}

/// Bytes of the frames that carry what would be one frame of `whole_bytes`.
pub(super) fn frame_bytes(whole_bytes: usize) -> usize {
    if whole_bytes <= FRAME_BYTES_MAX {
        return whole_bytes;
    }
    whole_bytes + whole_bytes.div_ceil(SLICE_BYTES) * FRAGMENT_OVERHEAD_BYTES
}

/// A buffer with room for a frame's header; the body is appended.
pub(super) fn start_frame() -> Vec<u8> {
    vec![0; FRAME_HEADER_BYTES]
}

/// Writes the header that [`start_frame`] left room for.
pub(super) fn finish_frame(whole: &mut [u8], kind: u16, version: u8) {
    let body_bytes = whole.len() - FRAME_HEADER_BYTES;
    let header = FrameHeader { kind, version, body_bytes };
    whole[..FRAME_HEADER_BYTES].copy_from_slice(&header.encode());
}

fn fragments(whole: &Bytes) -> Vec<Bytes> {
    let last = whole.len().div_ceil(SLICE_BYTES) - 1;
    let pieces = whole.chunks(SLICE_BYTES).enumerate().map(|(index, slice)| {
        let flags = if index == 0 { FIRST } else { 0 } | if index == last { LAST } else { 0 };
        let mut body = Vec::with_capacity(1 + slice.len());
        body.push(flags);
        body.extend_from_slice(slice);
        frame(kind::FRAGMENT, kind::VERSION, &body)
    });
    pieces.collect()
}

/// In a fragment's first byte: it begins a message.
pub(super) const FIRST: u8 = 1;
/// In a fragment's first byte: it ends a message.
pub(super) const LAST: u8 = 2;

const FRAGMENT_OVERHEAD_BYTES: usize = FRAME_HEADER_BYTES + 1;
const SLICE_BYTES: usize = FRAME_BYTES_MAX - FRAGMENT_OVERHEAD_BYTES;
