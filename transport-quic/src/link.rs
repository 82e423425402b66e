//! A link: one connection, its peer's proven key and its two lanes.

use async_trait::async_trait;
use bytes::Bytes;
use millpond_core::NodeKey;
use millpond_core::frame::split_frame;
use millpond_core::transport::{Lane, Link, LinkError, LinkStats};
use quinn::Connection;
use tokio::sync::Mutex;

use crate::close;
use crate::lane::{FrameReader, FrameWriter, LaneError};
use crate::lane_streams::LaneStreams;

/// One authenticated QUIC connection with both lanes open. Dropping it closes the connection.
pub(crate) struct QuicLink {
    connection: Connection,
    peer: NodeKey,
    dialed: bool,
    control: LaneHalves,
    bulk: LaneHalves,
}

/// The halves of a lane, each used by one task: the locks are never waited for.
struct LaneHalves {
    writer: Mutex<FrameWriter>,
    reader: Mutex<FrameReader>,
}

impl QuicLink {
    pub(crate) fn new(
        connection: Connection,
        peer: NodeKey,
        dialed: bool,
        lanes: LaneStreams,
    ) -> Self {
        let halves = |(writer, reader)| LaneHalves {
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
        };
        let (control, bulk) = (halves(lanes.control), halves(lanes.bulk));
        Self { connection, peer, dialed, control, bulk }
    }

    /// Whether the connection has ended already.
    pub(crate) fn has_ended(&self) -> bool {
        self.connection.close_reason().is_some()
    }

    /// Resolves when the connection has ended.
    pub(crate) async fn ended(&self) {
        self.connection.closed().await;
    }

    fn lane(&self, lane: Lane) -> &LaneHalves {
        match lane {
            Lane::Control => &self.control,
            Lane::Bulk => &self.bulk,
        }
    }

    /// A lane never fails alone: whatever ended it ends the link, and the peer is told why.
    fn fail(&self, error: LaneError) -> LinkError {
        match error {
            LaneError::Connection(error) => close::link_error(error),
            LaneError::Frame(error) => {
                let error = LinkError::Frame(error);
                close::close(&self.connection, close::BAD_FRAME, &error.to_string());
                error
            }
            LaneError::Ended => {
                let reason = "a lane ended alone";
                close::close(&self.connection, close::LANE_ENDED, reason);
                LinkError::Lost(reason.to_owned())
            }
        }
    }
}

#[async_trait]
impl Link for QuicLink {
    fn peer(&self) -> NodeKey {
        self.peer
    }

    fn dialed(&self) -> bool {
        self.dialed
    }

    fn transport(&self) -> &'static str {
        "quic"
    }

    fn remote_address(&self) -> String {
        let mut address = self.connection.remote_address();
        // An IPv4 peer of an IPv6 socket shows as ::ffff:a.b.c.d, which nobody would write.
        address.set_ip(address.ip().to_canonical());
        address.to_string()
    }

    async fn send(&self, lane: Lane, frame: Bytes) -> Result<(), LinkError> {
        split_frame(&frame)?; // else the peer would read all later ones wrongly
        let sent = self.lane(lane).writer.lock().await.send(frame).await;
        sent.map_err(|error| self.fail(error))
    }

    async fn receive(&self, lane: Lane) -> Result<Bytes, LinkError> {
        let received = self.lane(lane).reader.lock().await.receive().await;
        received.map_err(|error| self.fail(error))
    }

    fn close(&self, code: u32, reason: &str) {
        close::close(&self.connection, code, reason);
    }

    fn stats(&self) -> LinkStats {
        let stats = self.connection.stats();
        let mut link = LinkStats::default();
        link.wire_bytes_sent = stats.udp_tx.bytes;
        link.wire_bytes_received = stats.udp_rx.bytes;
        link.round_trip_us = u64::try_from(stats.path.rtt.as_micros()).unwrap_or(u64::MAX);
        link
    }
}

impl Drop for QuicLink {
    fn drop(&mut self) {
        // Before the streams are dropped: they would end first, and the peer would see lanes end alone.
        close::close(&self.connection, close::DROPPED, "the link was dropped");
    }
}
