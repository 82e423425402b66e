//! Which stream is which lane: the two bytes that start each of them.

use millpond_core::transport::Lane;
use quinn::{Connection, ConnectionError, ReadExactError, RecvStream, SendStream};

use crate::lane::{FrameReader, FrameWriter, LaneError};

/// Both lanes of a link.
pub(crate) struct LaneStreams {
    pub(crate) control: (FrameWriter, FrameReader),
    pub(crate) bulk: (FrameWriter, FrameReader),
}

/// Why the peer's streams are not our lanes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LanesError {
    #[error("stream format version {0} is unknown, this node knows {STREAM_VERSION}")]
    UnknownVersion(u8),
    #[error("lane {0} is unknown")]
    UnknownLane(u8),
    #[error("lane {0:?} was opened twice")]
    OpenedTwice(Lane),
    #[error("a stream ended before it named its lane")]
    Unnamed,
    #[error("the connection ended: {0}")]
    Connection(#[from] ConnectionError),
}

/// Opens both lanes, as the dialler does.
pub(crate) async fn open(connection: &Connection) -> Result<LaneStreams, LaneError> {
    Ok(LaneStreams {
        control: open_one(connection, Lane::Control).await?,
        bulk: open_one(connection, Lane::Bulk).await?,
    })
}

/// Takes both lanes that the dialler opened, in whichever order its streams came.
pub(crate) async fn accept(connection: &Connection) -> Result<LaneStreams, LanesError> {
    let (first, first_streams) = accept_one(connection).await?;
    let (second, second_streams) = accept_one(connection).await?;
    match (first, second) {
        (Lane::Control, Lane::Bulk) => {
            Ok(LaneStreams { control: first_streams, bulk: second_streams })
        }
        (Lane::Bulk, Lane::Control) => {
            Ok(LaneStreams { control: second_streams, bulk: first_streams })
        }
        _ => Err(LanesError::OpenedTwice(first)),
    }
}

async fn open_one(
    connection: &Connection,
    lane: Lane,
) -> Result<(FrameWriter, FrameReader), LaneError> {
    let (mut send, receive) = connection.open_bi().await.map_err(LaneError::Connection)?;
    send.write_all(&[STREAM_VERSION, byte(lane)]).await?;
    Ok(lane_of(connection, lane, send, receive))
}

async fn accept_one(
    connection: &Connection,
) -> Result<(Lane, (FrameWriter, FrameReader)), LanesError> {
    let (send, mut receive) = connection.accept_bi().await?;
    let mut start = [0; 2];
    receive.read_exact(&mut start).await.map_err(|error| match error {
        ReadExactError::ReadError(quinn::ReadError::ConnectionLost(error)) => error.into(),
        _ => LanesError::Unnamed,
    })?;
    let lane = lane(start)?;
    Ok((lane, lane_of(connection, lane, send, receive)))
}

fn lane_of(
    connection: &Connection,
    lane: Lane,
    send: SendStream,
    receive: RecvStream,
) -> (FrameWriter, FrameReader) {
    // Fails only on a stream that is gone already; then the first send says so.
    let _ = send.set_priority(priority(lane));
    (FrameWriter::new(connection.clone(), send), FrameReader::new(receive))
}

fn lane(start: [u8; 2]) -> Result<Lane, LanesError> {
    match start {
        [STREAM_VERSION, 0] => Ok(Lane::Control),
        [STREAM_VERSION, 1] => Ok(Lane::Bulk),
        [STREAM_VERSION, other] => Err(LanesError::UnknownLane(other)),
        [other, _] => Err(LanesError::UnknownVersion(other)),
    }
}

fn byte(lane: Lane) -> u8 {
    match lane {
        Lane::Control => 0,
        Lane::Bulk => 1,
    }
}

/// quinn fills each packet from the stream of the highest priority that has something to send, so a
/// control frame overtakes all bulk bytes that are not yet in a packet.
fn priority(lane: Lane) -> i32 {
    match lane {
        Lane::Control => 1,
        Lane::Bulk => 0,
    }
}

/// Format of the streams.
const STREAM_VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_read_as_it_was_written() {
        for named in [Lane::Control, Lane::Bulk] {
            assert_eq!(lane([STREAM_VERSION, byte(named)]), Ok(named));
        }
    }

    #[test]
    fn an_unknown_version_or_lane_is_refused_by_name() {
        assert_eq!(lane([2, 0]), Err(LanesError::UnknownVersion(2)));
        assert_eq!(lane([0, 0]), Err(LanesError::UnknownVersion(0)));
        assert_eq!(lane([STREAM_VERSION, 2]), Err(LanesError::UnknownLane(2)));
    }
}
