//! Frames to messages.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::encode::{FIRST, LAST};
use super::tables::{Said, Tables};
use super::{DecodeError, PushFrame, RowsFrame, control, kind};
use crate::Closed;
use crate::frame::{FRAME_HEADER_BYTES, FrameHeader, split_frame};
use crate::limits::{CLOSED_ENTRIES_MAX, MESSAGE_BYTES_MAX};
use crate::message::{ClosedChange, Message};

/// Decodes the frames of one lane, in their order. After an error it is of no more use: the session ends, but
/// for [`DecodeError::UnknownTable`], after which the lane may begin again.
#[derive(Debug, Default)]
pub struct Decoder {
    partial: Option<Partial>,
    said: Said,
    skipped: u64,
}

/// A message of which fragments are still missing.
#[derive(Debug)]
enum Partial {
    /// Of a known kind: what has come of it.
    Kept { total_bytes: usize, whole: Vec<u8> },
    /// Of an unknown one: nothing is kept.
    Skipped { missing_bytes: usize },
}

impl Decoder {
    /// A decoder for a lane that has carried nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes a frame. `None` when it is a fragment and more are to come, or of a kind or version that this
    /// version does not know.
    ///
    /// # Errors
    /// [`DecodeError`]; never panics, whatever the bytes. A frame makes it allocate at most twice
    /// [`FRAME_BYTES_MAX`](crate::limits::FRAME_BYTES_MAX), a message in fragments at most three times the
    /// bytes that came of it.
    pub fn decode(&mut self, frame: Bytes) -> Result<Option<Message>, DecodeError> {
        self.decode_knowing(frame, &[])
    }

    /// The same, where these tables of closed incarnations are known beside those that the lane has said.
    ///
    /// # Errors
    /// As [`Self::decode`]. A vector that is relative takes as much memory as its table.
    pub fn decode_knowing(
        &mut self,
        frame: Bytes,
        known: &[Arc<Closed>],
    ) -> Result<Option<Message>, DecodeError> {
        let (header, body) = split_frame(&frame)?;
        if header.kind == kind::FRAGMENT && kind::is_known(header.kind, header.version) {
            return self.decode_fragment(&body, known);
        }
        if self.partial.is_some() {
            return Err(DecodeError::Fragment("another frame comes between"));
        }
        self.decode_whole(header, frame, known)
    }

    /// The table of closed incarnations that the lane has said last.
    pub fn table(&self) -> Option<&Arc<Closed>> {
        self.said.last()
    }

    /// How many messages of unknown kinds and versions were skipped.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Bytes held of a message of which fragments are missing, for the node's budget.
    pub fn buffered_bytes(&self) -> usize {
        match &self.partial {
            Some(Partial::Kept { whole, .. }) => whole.len(),
            _ => 0,
        }
    }

    fn decode_whole(
        &mut self,
        header: FrameHeader,
        whole: Bytes,
        known: &[Arc<Closed>],
    ) -> Result<Option<Message>, DecodeError> {
        if !kind::is_known(header.kind, header.version) {
            self.skipped += 1;
            return Ok(None);
        }
        let tables =
            kind::is_relative(header.kind, header.version).then(|| Tables::new(&self.said, known));
        let message = match header.kind {
            kind::ROWS => RowsFrame::decode(whole).map(Message::Rows),
            kind::PUSH => PushFrame::decode(whole, tables).map(Message::Push),
            kind => control::decode(kind, &whole[FRAME_HEADER_BYTES..], tables),
        }?;
        if let Message::Closed(change) = &message {
            self.change_table(change, known)?;
        }
        Ok(Some(message))
    }

    /// The lane says a table, as what differs from one that is known.
    fn change_table(
        &mut self,
        change: &ClosedChange,
        known: &[Arc<Closed>],
    ) -> Result<(), DecodeError> {
        let find = |hash| Tables::new(&self.said, known).find(hash);
        let from = find(change.from).ok_or(DecodeError::UnknownTable)?;
        if from.len() + change.changes.len() > CLOSED_ENTRIES_MAX {
            return Err(DecodeError::Limit("closed incarnations"));
        }
        // One that is held already is shared.
        let to = match find(change.to).filter(|_| change.from != change.to) {
            Some(to) => to,
            None if change.changes.is_empty() => from,
            None => Arc::new(from.changed(&change.changes)),
        };
        if to.hash() != change.to {
            return Err(DecodeError::Table);
        }
        self.said.say(to);
        Ok(())
    }

    fn decode_fragment(
        &mut self,
        body: &[u8],
        known: &[Arc<Closed>],
    ) -> Result<Option<Message>, DecodeError> {
        let (&flags, slice) = body.split_first().ok_or(DecodeError::Malformed)?;
        if slice.is_empty() {
            return Err(DecodeError::Fragment("it is empty"));
        }
        let partial = match (flags & FIRST != 0, self.partial.take()) {
            (true, None) => Partial::begin(slice)?,
            (false, Some(partial)) => partial,
            (true, Some(_)) => return Err(DecodeError::Fragment("one message begins in another")),
            (false, None) => return Err(DecodeError::Fragment("its message has not begun")),
        };
        let partial = partial.append(slice)?;
        match (flags & !FIRST, partial.is_complete()) {
            (0, false) => {
                self.partial = Some(partial);
                Ok(None)
            }
            (LAST, true) => self.decode_partial(partial, known),
            (0 | LAST, _) => Err(DecodeError::Fragment("the message has another length")),
            _ => Err(DecodeError::Malformed),
        }
    }

    fn decode_partial(
        &mut self,
        partial: Partial,
        known: &[Arc<Closed>],
    ) -> Result<Option<Message>, DecodeError> {
        let Partial::Kept { whole, .. } = partial else {
            self.skipped += 1;
            return Ok(None);
        };
        let header = *whole.first_chunk().expect("a first fragment holds the header");
        self.decode_whole(FrameHeader::read(header), Bytes::from(whole), known)
    }
}

impl Partial {
    /// Reads the message's own header, which the first slice starts with.
    fn begin(slice: &[u8]) -> Result<Self, DecodeError> {
        let header = *slice.first_chunk().ok_or(DecodeError::Fragment("it cuts a header"))?;
        let header = FrameHeader::read(header);
        let total_bytes = header.body_bytes.saturating_add(FRAME_HEADER_BYTES);
        if total_bytes > MESSAGE_BYTES_MAX {
            return Err(DecodeError::Fragment("its message exceeds the limit"));
        }
        if header.kind == kind::FRAGMENT {
            return Err(DecodeError::Fragment("it is cut in fragments itself"));
        }
        Ok(match kind::is_known(header.kind, header.version) {
            true => Self::Kept { total_bytes, whole: Vec::new() },
            false => Self::Skipped { missing_bytes: total_bytes },
        })
    }

    fn append(mut self, slice: &[u8]) -> Result<Self, DecodeError> {
        if slice.len() > self.missing_bytes() {
            return Err(DecodeError::Fragment("the message has another length"));
        }
        match &mut self {
            Self::Kept { total_bytes, whole } => {
                // Doubles with what has come, never beyond what is to come.
                let needed = whole.len() + slice.len();
                if needed > whole.capacity() {
                    let capacity = needed.max(2 * whole.capacity()).min(*total_bytes);
                    whole.reserve_exact(capacity - whole.len());
                }
                whole.extend_from_slice(slice);
            }
            Self::Skipped { missing_bytes } => *missing_bytes -= slice.len(),
        }
        Ok(self)
    }

    fn missing_bytes(&self) -> usize {
        match self {
            Self::Kept { total_bytes, whole } => total_bytes - whole.len(),
            Self::Skipped { missing_bytes } => *missing_bytes,
        }
    }

    fn is_complete(&self) -> bool {
        self.missing_bytes() == 0
    }
}
