//! A link: a session and its two lanes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use millpond_core::NodeKey;
use millpond_core::frame::split_frame;
use millpond_core::transport::{Lane, Link, LinkError, LinkStats};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use crate::lane::{self, ReadError};
use crate::session::{self, Session};
use crate::unix::UnixOptions;

/// One authenticated link. Dropping it says goodbye.
pub(crate) struct UnixLink {
    session: Arc<Session>,
    /// Ends with the link.
    running: JoinHandle<()>,
    control: lane::Lane,
    bulk: lane::Lane,
    peer: NodeKey,
    dialed: bool,
    remote_address: String,
}

/// The connections of a link.
pub(crate) struct Streams {
    pub(crate) session: UnixStream,
    pub(crate) control: UnixStream,
    pub(crate) bulk: UnixStream,
}

impl UnixLink {
    pub(crate) fn new(
        streams: Streams,
        peer: NodeKey,
        dialed: bool,
        remote_address: String,
        options: &UnixOptions,
    ) -> Self {
        let session = Session::new(streams.session);
        let running = tokio::spawn(Arc::clone(&session).run(options.clone()));
        let (control, bulk) = (lane::Lane::new(streams.control), lane::Lane::new(streams.bulk));
        Self { session, running, control, bulk, peer, dialed, remote_address }
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    fn lane(&self, lane: Lane) -> &lane::Lane {
        match lane {
            Lane::Control => &self.control,
            Lane::Bulk => &self.bulk,
        }
    }

    /// Why a lane gives nothing any more. A goodbye was said before lanes were closed, so it is here; otherwise the
    /// lane has ended alone, and its link with it.
    fn lane_ended(&self) -> LinkError {
        self.session.listen();
        self.session.end_so_far().unwrap_or_else(|| {
            let reason = "a lane ended alone";
            self.session.close(session::LANE_ENDED, reason);
            LinkError::Lost(reason.to_owned())
        })
    }
}

#[async_trait]
impl Link for UnixLink {
    fn peer(&self) -> NodeKey {
        self.peer
    }

    fn dialed(&self) -> bool {
        self.dialed
    }

    fn transport(&self) -> &'static str {
        "unix"
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
                end = self.session.ended() => return Err(end),
                written = writer.write(rest) => written,
            };
            match written {
                Ok(written) if written > 0 => rest = &rest[written..],
                _ => return Err(self.lane_ended()),
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
            received = reader.receive() => received,
        };
        match received {
            Ok(frame) => {
                self.session.received_bytes.fetch_add(frame.len() as u64, Ordering::Relaxed);
                Ok(frame)
            }
            Err(ReadError::Ended(error)) => {
                tracing::trace!(peer = %self.peer.short(), %error, "a lane ended");
                Err(self.lane_ended())
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
        stats.round_trip_us = self.session.round_trip_us();
        stats
    }
}

impl Drop for UnixLink {
    fn drop(&mut self) {
        // Before the lanes are dropped, which the peer would see end alone.
        self.session.close(session::DROPPED, "the link was dropped");
        self.running.abort();
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
