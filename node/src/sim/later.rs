//! A later version of the protocol, as far as this one can meet it: hello offers a newer protocol and
//! features that nobody knows, frames of unknown kinds and versions come in between, and values are of a kind
//! that this version cannot read.

use bytes::{BufMut, Bytes, BytesMut};
use millpond_core::PayloadKind;
use millpond_core::frame::FrameHeader;
use millpond_core::message::{Message, PROTOCOL};
use millpond_core::wire::{self, Decoder};

/// The kind of values that a later version writes.
pub(crate) const LATER_KIND: PayloadKind = PayloadKind(77);

/// What a later version sends in the place of a frame of this one, and beside it.
pub(crate) struct Dressed {
    /// What stands for the frame.
    pub(crate) frames: Vec<Bytes>,
    /// What goes after it.
    pub(crate) beside: Option<Bytes>,
}

/// Dresses a frame up.
pub(crate) fn dress(frame: Bytes) -> Dressed {
    match Decoder::new().decode(frame.clone()) {
        Ok(Some(Message::Hello(mut hello))) => {
            hello.protocol.newest = PROTOCOL.newest + 1;
            hello.features = !0;
            Dressed {
                frames: wire::encode(&Message::Hello(hello)).into_iter().collect(),
                beside: None,
            }
        }
        Ok(Some(Message::Digest(_))) => {
            Dressed { frames: vec![frame.clone()], beside: Some(unknown(&frame, false)) }
        }
        Ok(Some(Message::Ack(_) | Message::PullStart { .. })) => {
            Dressed { frames: vec![frame.clone()], beside: Some(unknown(&frame, true)) }
        }
        _ => Dressed { frames: vec![frame], beside: None },
    }
}

/// A frame with that body, of a kind that nobody knows or of a later version of its own.
fn unknown(frame: &Bytes, is_known_kind: bool) -> Bytes {
    let header = *frame.first_chunk().expect("a frame has a header");
    let FrameHeader { kind, version, body_bytes } =
        FrameHeader::decode(header).expect("it was encoded here");
    let (kind, version) =
        if is_known_kind { (kind, version + LATER_VERSIONS) } else { (LATER_FRAME, version) };
    let mut dressed = BytesMut::from(&frame[..]);
    let mut header = &mut dressed[..];
    header.put_u16_le(kind);
    header.put_u8(version);
    header.put_u32_le(body_bytes as u32);
    dressed.freeze()
}

/// How far a later version of a frame is ahead of those that this one knows.
const LATER_VERSIONS: u8 = 40;
/// A kind of frame that this version does not know.
const LATER_FRAME: u16 = 900;
