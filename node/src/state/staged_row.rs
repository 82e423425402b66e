//! Staged rows: rows of a cut, each by itself, until it is folded.

use bytes::Bytes;
use millpond_core::frame::{FRAME_HEADER_BYTES, FrameHeader};
use millpond_core::message::Message;
use millpond_core::wire::{self, RowsWriter};
use millpond_core::{Path, Row};

use crate::store::StoreError;

/// A staged row is a rows frame of one row; of several fragments if the row is large.
pub(super) fn encode_staged(row: &Row) -> Bytes {
    let mut writer = RowsWriter::new(0);
    writer.push(row);
    let frames = wire::encode(&Message::Rows(writer.finish()));
    match frames.len() {
        1 => frames.into_iter().next().expect("it has one"),
        _ => frames.concat().into(),
    }
}

/// The row that was staged at a path.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(crate) fn decode_staged(path: &Path, mut bytes: Bytes) -> Result<Row, StoreError> {
    let corrupt = || StoreError::Corrupt { what: format!("the staged row at {path}") };
    let mut decoder = wire::Decoder::new();
    while !bytes.is_empty() {
        let header = *bytes.first_chunk().ok_or_else(corrupt)?;
        let header = FrameHeader::decode(header).map_err(|_| corrupt())?;
        let length = FRAME_HEADER_BYTES + header.body_bytes;
        if length > bytes.len() {
            return Err(corrupt());
        }
        let frame = bytes.split_to(length);
        match decoder.decode(frame).map_err(|_| corrupt())? {
            Some(Message::Rows(rows)) => return rows.rows().next().ok_or_else(corrupt),
            Some(_) => return Err(corrupt()),
            None => {}
        }
    }
    Err(corrupt())
}
