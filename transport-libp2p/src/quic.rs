//! QUIC below libp2p. Its handshake is TLS with a certificate that contains a signature of the node's key.

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::identity::Keypair;
use libp2p::{PeerId, Transport, quic};

use crate::behaviours::streams_max;
use crate::transport::Libp2pOptions;

pub(crate) fn transport(
    pair: &Keypair,
    options: &Libp2pOptions,
) -> Boxed<(PeerId, StreamMuxerBox)> {
    let mut config = quic::Config::new(pair);
    config.handshake_timeout = options.handshake_timeout;
    config.max_idle_timeout = u32::try_from(options.idle_timeout.as_millis()).unwrap_or(u32::MAX);
    config.keep_alive_interval = options.keep_alive;
    let streams_max = streams_max(options) as u32;
    config.max_concurrent_stream_limit = streams_max;
    config.max_stream_data = LANE_WINDOW_BYTES;
    // Never less than the streams allow one by one, or a full bulk lane would use up the credit of the control lane.
    config.max_connection_data = LANE_WINDOW_BYTES * streams_max;
    let transport = quic::tokio::Transport::new(config);
    transport.map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer))).boxed()
}

/// What a peer may send on a lane beyond what was received by the layer above, as in transport-quic.
const LANE_WINDOW_BYTES: u32 = 1 << 20;
