//! A link: one connection, its session and its two lanes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use futures::io::{BufReader, ReadHalf, WriteHalf};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::Stream;
use millpond_core::NodeKey;
use millpond_core::frame::{FrameBuffer, FrameError, split_frame};
use millpond_core::transport::{Lane, Link, LinkError, LinkStats};
use tokio::sync::Mutex;

use crate::session::{self, Session};

/// One authenticated connection with both lanes open. Dropping it says goodbye.
pub(crate) struct Libp2pLink {
    session: Arc<Session>,
    control: LaneHalves,
    bulk: LaneHalves,
    peer: NodeKey,
    dialed: bool,
    remote_address: String,
}

/// The halves of a lane, each used by one task: the locks are never waited for.
struct LaneHalves {
    writer: Mutex<WriteHalf<Stream>>,
    reader: Mutex<FrameReader>,
}

/// The receiving half. What was read of a frame is kept here, so a dropped call loses nothing.
struct FrameReader {
    /// Small frames come many at a time; large ones pass the buffer by.
    stream: BufReader<ReadHalf<Stream>>,
    frame: FrameBuffer,
}

enum ReadError {
    Ended(io::Error),
    Frame(FrameError),
}

impl LaneHalves {
    fn new(stream: Stream) -> Self {
        let (reader, writer) = stream.split();
        let reader = FrameReader {
            stream: BufReader::with_capacity(READ_BYTES, reader),
            frame: FrameBuffer::new(),
        };
        Self { writer: Mutex::new(writer), reader: Mutex::new(reader) }
    }
}

impl FrameReader {
    async fn receive(&mut self, session: &Session) -> Result<Bytes, ReadError> {
        loop {
            let read = self.stream.read(self.frame.space()).await.map_err(ReadError::Ended)?;
            session.hear();
            if read == 0 {
                return Err(ReadError::Ended(io::ErrorKind::UnexpectedEof.into()));
            }
            if let Some(frame) = self.frame.fill(read).map_err(ReadError::Frame)? {
                return Ok(frame);
            }
        }
    }
}

impl Libp2pLink {
    pub(crate) fn new(
        session: Arc<Session>,
        control: Stream,
        bulk: Stream,
        peer: NodeKey,
        dialed: bool,
        remote_address: String,
    ) -> Self {
        let (control, bulk) = (LaneHalves::new(control), LaneHalves::new(bulk));
        Self { session, control, bulk, peer, dialed, remote_address }
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// A dialled link shows the address that was dialled.
    pub(crate) fn shown_as(mut self, address: &str) -> Self {
        self.remote_address = address.to_owned();
        self
    }

    fn lane(&self, lane: Lane) -> &LaneHalves {
        match lane {
            Lane::Control => &self.control,
            Lane::Bulk => &self.bulk,
        }
    }
}

#[async_trait]
impl Link for Libp2pLink {
    fn peer(&self) -> NodeKey {
        self.peer
    }

    fn dialed(&self) -> bool {
        self.dialed
    }

    fn transport(&self) -> &'static str {
        "libp2p"
    }

    fn remote_address(&self) -> String {
        self.remote_address.clone()
    }

    async fn send(&self, lane: Lane, frame: Bytes) -> Result<(), LinkError> {
        split_frame(&frame)?;
        let mut writer = self.lane(lane).writer.lock().await;
        let mut cut = CloseWhenCut { session: &self.session, armed: false };
        let mut rest = &frame[..];
        while !rest.is_empty() {
            let written = tokio::select! {
                biased;
                end = self.session.ended() => {
                    cut.armed = false;
                    return Err(end);
                }
                written = writer.write(rest) => written,
            };
            match written {
                Ok(written) if written > 0 => rest = &rest[written..],
                _ => {
                    cut.armed = false;
                    return Err(self.session.lane_ended().await);
                }
            }
            cut.armed = !rest.is_empty();
        }
        self.session.sent_bytes.fetch_add(frame.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    async fn receive(&self, lane: Lane) -> Result<Bytes, LinkError> {
        let mut reader = self.lane(lane).reader.lock().await;
        let received = tokio::select! {
            biased;
            end = self.session.ended() => return Err(end),
            received = reader.receive(&self.session) => received,
        };
        match received {
            Ok(frame) => {
                self.session.received_bytes.fetch_add(frame.len() as u64, Ordering::Relaxed);
                Ok(frame)
            }
            Err(ReadError::Ended(error)) => {
                tracing::trace!(peer = %self.peer.short(), %error, "a lane ended");
                Err(self.session.lane_ended().await)
            }
            Err(ReadError::Frame(error)) => {
                let error = LinkError::Frame(error);
                self.session.close(session::BAD_FRAME, &error.to_string());
                Err(error)
            }
        }
    }

    fn close(&self, code: u32, reason: &str) {
        self.session.close(code, reason);
    }

    fn stats(&self) -> LinkStats {
        let mut stats = LinkStats::default();
        stats.wire_bytes_sent = self.session.sent_bytes.load(Ordering::Relaxed);
        stats.wire_bytes_received = self.session.received_bytes.load(Ordering::Relaxed);
        stats.round_trip_us = self.session.round_trip_us.load(Ordering::Relaxed);
        stats
    }
}

impl Drop for Libp2pLink {
    fn drop(&mut self) {
        self.session.close(session::DROPPED, "the link was dropped");
    }
}

/// Ends the link when a send is dropped within a frame: the next frame would be read as the rest of that one.
struct CloseWhenCut<'a> {
    session: &'a Session,
    armed: bool,
}

impl Drop for CloseWhenCut<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.session.close(session::LANE_ENDED, "a frame was cut off by its sender");
        }
    }
}

/// Bytes read at once.
const READ_BYTES: usize = 16 << 10;
