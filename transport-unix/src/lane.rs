//! The two halves of a lane: frames to and from one connection.

use std::io;

use bytes::Bytes;
use millpond_core::frame::{FrameBuffer, FrameError};
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Mutex;

/// A lane, each half used by one task: the locks are never waited for.
pub(crate) struct Lane {
    pub(crate) writer: Mutex<OwnedWriteHalf>,
    pub(crate) reader: Mutex<Reader>,
}

impl Lane {
    pub(crate) fn new(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        let reader = Reader {
            stream: BufReader::with_capacity(READ_BYTES, reader),
            frame: FrameBuffer::new(),
        };
        Self { writer: Mutex::new(writer), reader: Mutex::new(reader) }
    }
}

/// The receiving half. What was read of a frame is kept here, so a dropped call loses nothing.
pub(crate) struct Reader {
    /// Small frames come many at a time; large ones pass the buffer by.
    stream: BufReader<OwnedReadHalf>,
    frame: FrameBuffer,
}

/// Why no frame came.
pub(crate) enum ReadError {
    Ended(io::Error),
    Frame(FrameError),
}

impl Reader {
    pub(crate) async fn receive(&mut self) -> Result<Bytes, ReadError> {
        loop {
            let read = self.stream.read(self.frame.space()).await.map_err(ReadError::Ended)?;
            if read == 0 {
                return Err(ReadError::Ended(io::ErrorKind::UnexpectedEof.into()));
            }
            if let Some(frame) = self.frame.fill(read).map_err(ReadError::Frame)? {
                return Ok(frame);
            }
        }
    }
}

/// Bytes read at once.
const READ_BYTES: usize = 16 << 10;
