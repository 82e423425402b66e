//! One lane: frames to and from a pair of QUIC streams.

use bytes::{Buf, Bytes};
use millpond_core::frame::{FrameBuffer, FrameError};
use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream, WriteError};

use crate::close;

/// Why a lane gave or took no frame.
#[derive(Debug)]
pub(crate) enum LaneError {
    /// The connection below ended.
    Connection(ConnectionError),
    /// The peer ended this stream while the connection lived, which no peer of ours does.
    Ended,
    /// The peer sent bytes that are no frame.
    Frame(FrameError),
}

/// The sending half of a lane.
pub(crate) struct FrameWriter {
    connection: Connection,
    stream: SendStream,
}

impl FrameWriter {
    pub(crate) fn new(connection: Connection, stream: SendStream) -> Self {
        Self { connection, stream }
    }

    /// Sends one whole frame, waiting while the lane's window is full. When the call is dropped halfway
    /// the link ends, since the rest of the lane would be read as the rest of that frame.
    pub(crate) async fn send(&mut self, mut frame: Bytes) -> Result<(), LaneError> {
        let mut cut = CloseWhenCut { connection: &self.connection, armed: false };
        while frame.has_remaining() {
            let mut piece = [frame.slice(..frame.len().min(PIECE_BYTES))];
            let written = match self.stream.write_chunks(&mut piece).await {
                Ok(written) => written,
                Err(error) => {
                    cut.armed = false; // the link's end is why, and it keeps its own reason
                    return Err(error.into());
                }
            };
            frame.advance(written.bytes);
            cut.armed = frame.has_remaining();
        }
        Ok(())
    }
}

struct CloseWhenCut<'a> {
    connection: &'a Connection,
    armed: bool,
}

impl Drop for CloseWhenCut<'_> {
    fn drop(&mut self) {
        if self.armed {
            close::close(self.connection, close::LANE_ENDED, "a frame was cut off by its sender");
        }
    }
}

/// The receiving half of a lane. What was read of a frame is kept here, so a dropped call loses nothing.
pub(crate) struct FrameReader {
    stream: RecvStream,
    frame: FrameBuffer,
}

impl FrameReader {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self { stream, frame: FrameBuffer::new() }
    }

    /// The next whole frame.
    pub(crate) async fn receive(&mut self) -> Result<Bytes, LaneError> {
        loop {
            let read = self.stream.read(self.frame.space()).await?;
            let filled = self.frame.fill(read.ok_or(LaneError::Ended)?);
            if let Some(frame) = filled.map_err(LaneError::Frame)? {
                return Ok(frame);
            }
        }
    }
}

impl From<WriteError> for LaneError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::ConnectionLost(error) => Self::Connection(error),
            _ => Self::Ended,
        }
    }
}

impl From<ReadError> for LaneError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::ConnectionLost(error) => Self::Connection(error),
            _ => Self::Ended,
        }
    }
}

/// Bytes handed to quinn at once. quinn frees what was acknowledged by whole pieces, and counts the rest
/// of a piece against the send window: a frame of 1 MiB in one piece would hold all of it to its end.
const PIECE_BYTES: usize = 64 << 10;
