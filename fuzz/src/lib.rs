//! The bodies of the fuzz targets: whatever the bytes, no panic; and what decodes encodes to itself.
//!
//! Plain functions, so that `crdt-core/tests/it/corpus.rs` runs them over the seed corpus on stable.

use bytes::Bytes;
use millpond_core::Path;
use millpond_core::frame::{FRAME_HEADER_BYTES, FrameBuffer, FrameHeader, frame, split_frame};
use millpond_core::limits::FRAME_BYTES_MAX;
use millpond_core::message::Message;
use millpond_core::wire::entry::{decode_entry, encode_entry};
use millpond_core::wire::{Decoder, PushFrame, RowsWriter, encode, kind};

/// Any bytes as one frame.
pub fn fuzz_frame(data: &[u8]) {
    let whole = Bytes::copy_from_slice(data);
    if let Ok((header, body)) = split_frame(&whole) {
        assert_eq!(frame(header.kind, header.version, &body), whole);
    }
    let _ = Decoder::new().decode(whole);
}

/// Any bytes as the stream of a lane: frames one after the other, fragments among them.
pub fn fuzz_lane(data: &[u8]) {
    let mut decoder = Decoder::new();
    let mut rest = Bytes::copy_from_slice(data);
    while let Some(header) = rest.first_chunk::<FRAME_HEADER_BYTES>() {
        let Ok(header) = FrameHeader::decode(*header) else { return };
        if rest.len() < FRAME_HEADER_BYTES + header.body_bytes {
            return;
        }
        let frame = rest.split_to(FRAME_HEADER_BYTES + header.body_bytes);
        let before = decoder.buffered_bytes();
        let Ok(decoded) = decoder.decode(frame.clone()) else { return };
        assert!(decoder.buffered_bytes() <= before + frame.len());
        decoded.iter().for_each(check_message);
    }
}

/// The first byte as a piece's size, the rest as what a byte transport reads in such pieces: frames come out as they
/// went in, and no more is held than the one under way says that it has.
pub fn fuzz_pieces(data: &[u8]) {
    let Some((&piece, mut rest)) = data.split_first() else { return };
    let (mut buffer, mut whole) = (FrameBuffer::new(), Bytes::copy_from_slice(rest));
    while !rest.is_empty() {
        let space = buffer.space();
        let count = space.len().min(rest.len()).min(usize::from(piece) + 1);
        space[..count].copy_from_slice(&rest[..count]);
        rest = &rest[count..];
        match buffer.fill(count) {
            Ok(Some(frame)) => {
                assert_eq!(frame, whole.split_to(frame.len()));
                assert!(split_frame(&frame).is_ok());
            }
            Ok(None) => {}
            Err(_) => return assert!(split_frame(&whole).is_err()),
        }
    }
}

/// The first byte as a kind of control message, the rest as its body.
pub fn fuzz_control(data: &[u8]) {
    let Some((&kind, body)) = data.split_first() else { return };
    if !matches!(u16::from(kind), kind::ROWS | kind::PUSH) {
        fuzz_body(kind.into(), body);
    }
}

/// Any bytes as the body of a rows frame, and of one of the first version.
pub fn fuzz_rows(data: &[u8]) {
    fuzz_body(kind::ROWS, data);
    if data.len() <= FRAME_BYTES_MAX - FRAME_HEADER_BYTES {
        let first = Decoder::new().decode(frame(kind::ROWS, 1, data));
        first.iter().flatten().for_each(check_message);
    }
}

/// Any bytes as the body of a push frame.
pub fn fuzz_push(data: &[u8]) {
    fuzz_body(kind::PUSH, data);
}

/// Any bytes as a stored entry.
pub fn fuzz_entry(data: &[u8]) {
    if let Ok(entry) = decode_entry(&Bytes::copy_from_slice(data)) {
        let mut bytes = Vec::new();
        encode_entry(&entry, &mut bytes);
        assert_eq!(bytes, data, "an entry has one form");
    }
}

/// Any bytes as an encoded path, and as one component.
pub fn fuzz_path(data: &[u8]) {
    if let Ok(path) = Path::from_encoded(Bytes::copy_from_slice(data)) {
        assert_eq!(Path::new(path.components()), Ok(path.clone()));
        assert_eq!(path.prefix_bytes(path.components().count()), data.len());
    }
    if let Ok(path) = Path::new([data]) {
        assert_eq!(path.components().collect::<Vec<_>>(), [data]);
        assert_eq!(Path::from_encoded(path.encoded().clone()), Ok(path));
    }
}

fn fuzz_body(kind: u16, body: &[u8]) {
    if body.len() > FRAME_BYTES_MAX - FRAME_HEADER_BYTES {
        return;
    }
    let whole = frame(kind, kind::version(kind), body);
    if let Ok(Some(message)) = Decoder::new().decode(whole.clone()) {
        assert_eq!(encode(&message), [whole], "a message has one form");
        check_message(&message);
    }
}

/// A message that was decoded encodes to itself; rows and pushes also when they are built anew. One that a lane
/// has to say a table for is left out.
fn check_message(message: &Message) {
    let is_of_lane = match message {
        Message::Closed(change) => change.from != 0,
        Message::Push(push) => push.table().is_some(),
        _ => false,
    };
    if is_of_lane {
        return;
    }
    let mut decoder = Decoder::new();
    let decoded = encode(message).into_iter().filter_map(|frame| decoder.decode(frame).unwrap());
    assert_eq!(decoded.last().as_ref(), Some(message));
    match message {
        Message::Rows(rows) => {
            let mut writer = RowsWriter::new(rows.transfer());
            rows.rows().for_each(|row| writer.push(&row));
            assert_eq!(&writer.finish(), rows);
        }
        Message::Push(push) => assert_eq!(&PushFrame::encode(&push.to_push()), push),
        _ => {}
    }
}
