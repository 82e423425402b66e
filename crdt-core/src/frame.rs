//! Frames: what lanes carry, and how byte transports delimit them.
//!
//! ```text
//! frame = kind u16 | version u8 | length u32 | body[length]        (integers little-endian)
//! ```
//!
//! The whole frame, header included, is one [`Bytes`] handed to a lane; every byte figure of the project
//! counts it so. A receiver that does not know a kind skips it by its length.

use bytes::{BufMut, Bytes, BytesMut};

use crate::limits::FRAME_BYTES_MAX;

/// Bytes of a frame's header.
pub const FRAME_HEADER_BYTES: usize = 7;

/// The header of a frame: what its body is, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Which message the body holds.
    pub kind: u16,
    /// Which version of that message.
    pub version: u8,
    /// Length of the body in bytes.
    pub body_bytes: usize,
}

/// Why bytes are no frame. Nothing was consumed; the session that sent them ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The length exceeds what any frame may have; nothing was allocated for it.
    #[error("frame of {0} bytes exceeds the limit of {FRAME_BYTES_MAX}")]
    TooLong(usize),
    /// Fewer or more bytes than the header says.
    #[error("frame has {actual} bytes where its header says {expected}")]
    WrongLength {
        /// Bytes that the header announces, itself included.
        expected: usize,
        /// Bytes that are there.
        actual: usize,
    },
}

impl FrameHeader {
    /// Reads a header and checks its length against the limit: call it before allocating for the body.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] when header and body would exceed [`FRAME_BYTES_MAX`].
    pub fn decode(header: [u8; FRAME_HEADER_BYTES]) -> Result<Self, FrameError> {
        let header = Self::read(header);
        if header.body_bytes > FRAME_BYTES_MAX - FRAME_HEADER_BYTES {
            return Err(FrameError::TooLong(header.body_bytes.saturating_add(FRAME_HEADER_BYTES)));
        }
        Ok(header)
    }

    /// Reads a header whatever length it announces: that of a message in fragments may exceed a frame.
    pub(crate) fn read(header: [u8; FRAME_HEADER_BYTES]) -> Self {
        let [k0, k1, version, l0, l1, l2, l3] = header;
        let body_bytes = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        Self { kind: u16::from_le_bytes([k0, k1]), version, body_bytes }
    }

    pub(crate) fn encode(self) -> [u8; FRAME_HEADER_BYTES] {
        let [k0, k1] = self.kind.to_le_bytes();
        let [l0, l1, l2, l3] = (self.body_bytes as u32).to_le_bytes();
        [k0, k1, self.version, l0, l1, l2, l3]
    }
}

/// Builds the frame of one body.
///
/// # Panics
/// When the body exceeds the limit: encoders cut their output before, so that is a bug of ours.
pub fn frame(kind: u16, version: u8, body: &[u8]) -> Bytes {
    assert!(
        body.len() <= FRAME_BYTES_MAX - FRAME_HEADER_BYTES,
        "frame body of {} bytes",
        body.len()
    );
    let mut frame = BytesMut::with_capacity(FRAME_HEADER_BYTES + body.len());
    frame.put_slice(&FrameHeader { kind, version, body_bytes: body.len() }.encode());
    frame.put_slice(body);
    frame.freeze()
}

/// Splits a whole frame into its header and body. Costs no copy.
///
/// # Errors
/// [`FrameError::TooLong`] and [`FrameError::WrongLength`]; the input is untouched.
pub fn split_frame(frame: &Bytes) -> Result<(FrameHeader, Bytes), FrameError> {
    let short = FrameError::WrongLength { expected: FRAME_HEADER_BYTES, actual: frame.len() };
    let header = *frame.first_chunk::<FRAME_HEADER_BYTES>().ok_or(short)?;
    let header = FrameHeader::decode(header)?;
    let expected = FRAME_HEADER_BYTES + header.body_bytes;
    if frame.len() != expected {
        return Err(FrameError::WrongLength { expected, actual: frame.len() });
    }
    Ok((header, frame.slice(FRAME_HEADER_BYTES..)))
}

/// Puts frames together from bytes as they come, for transports that carry bytes. What has come of a frame stays
/// here, so a reader that is interrupted loses nothing. Holds one frame at most, and nothing for a length beyond
/// the limit.
#[derive(Debug)]
pub struct FrameBuffer {
    /// The header, then the whole frame once its length is known.
    frame: BytesMut,
    filled: usize,
}

impl FrameBuffer {
    /// A buffer between two frames.
    pub fn new() -> Self {
        Self { frame: BytesMut::zeroed(FRAME_HEADER_BYTES), filled: 0 }
    }

    /// Where the next bytes belong; never empty, and never longer than what is known to belong to this frame.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.frame[self.filled..]
    }

    /// Says that so many bytes were put into the space. Returns the frame if that has made it whole.
    ///
    /// # Errors
    /// [`FrameError::TooLong`]; nothing that comes after it has a meaning.
    ///
    /// # Panics
    /// When there are more bytes than there was space.
    pub fn fill(&mut self, bytes: usize) -> Result<Option<Bytes>, FrameError> {
        self.filled += bytes;
        assert!(self.filled <= self.frame.len(), "filled beyond the space");
        if self.filled < self.frame.len() {
            return Ok(None);
        }
        let header = *self.frame.first_chunk().expect("the buffer starts with a header");
        let frame_bytes = FRAME_HEADER_BYTES + FrameHeader::decode(header)?.body_bytes;
        if self.filled < frame_bytes {
            self.frame.resize(frame_bytes, 0);
            return Ok(None);
        }
        self.filled = 0;
        let next = BytesMut::zeroed(FRAME_HEADER_BYTES);
        Ok(Some(core::mem::replace(&mut self.frame, next).freeze()))
    }
}

impl Default for FrameBuffer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn a_frame_splits_into_what_it_was_built_from() {
        let whole = frame(0x0102, 3, b"body");
        assert_eq!(&whole[..], b"\x02\x01\x03\x04\0\0\0body");
        let (header, body) = split_frame(&whole).unwrap();
        assert_eq!(header, FrameHeader { kind: 0x0102, version: 3, body_bytes: 4 });
        assert_eq!(&body[..], b"body");
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_the_body_is_read() {
        let header = [0, 0, 1, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(FrameHeader::decode(header), Err(FrameError::TooLong(_))));
    }

    #[test]
    fn a_cut_or_padded_frame_is_refused() {
        let whole = frame(1, 1, b"body");
        for cut in 0..whole.len() {
            assert!(split_frame(&whole.slice(..cut)).is_err());
        }
        let padded = Bytes::from([&whole[..], b"x"].concat());
        assert!(split_frame(&padded).is_err());
    }

    #[test]
    fn frames_are_put_together_from_pieces_of_any_size() {
        let frames = [frame(1, 1, b""), frame(2, 1, b"body"), frame(3, 1, &[7; 300])];
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.to_vec()).collect();
        for piece in 1..=bytes.len() {
            let mut buffer = FrameBuffer::new();
            let mut found = Vec::new();
            for mut piece in bytes.chunks(piece) {
                while !piece.is_empty() {
                    let space = buffer.space();
                    let taken = space.len().min(piece.len());
                    space[..taken].copy_from_slice(&piece[..taken]);
                    piece = &piece[taken..];
                    found.extend(buffer.fill(taken).unwrap());
                }
            }
            assert_eq!(found, frames, "in pieces of {piece}");
        }
    }

    #[test]
    fn nothing_is_kept_for_a_length_beyond_the_limit() {
        let mut buffer = FrameBuffer::new();
        buffer.space().copy_from_slice(&[0, 0, 1, 0xff, 0xff, 0xff, 0x7f]);
        assert_eq!(buffer.fill(7), Err(FrameError::TooLong(0x7fff_ffff + 7)));
        assert_eq!(buffer.frame.len(), FRAME_HEADER_BYTES);
    }
}
