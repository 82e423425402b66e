//! What an operator may set, and the limits that follow from the design.

use std::sync::Arc;
use std::time::Duration;

use quinn::{IdleTimeout, TransportConfig, VarInt};

use crate::congestion::Closable;
use crate::limits::LANE_WINDOW_BYTES;

/// Settings of a [`Quic`](crate::Quic), with defaults for peers on the same planet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuicOptions {
    /// How often a quiet link sends something; zero is never. Default 2 s: well inside the idle timeout
    /// even when a few are lost, and inside the shortest common NAT timeouts (about 30 s).
    pub keep_alive: Duration,
    /// A link on which nothing arrives for so long is lost; zero is never, and the smaller one of both
    /// ends counts. Default 10 s: five keep-alives.
    pub idle_timeout: Duration,
    /// Deadline of a dial, name lookup and all addresses included, and of an inbound handshake until both
    /// lanes are open. Default 5 s: several round trips with retransmission on a bad path. Each address of a
    /// dial has three tenths of it at most, so that a dial which nobody answers is soon begun anew.
    pub handshake_timeout: Duration,
}

impl Default for QuicOptions {
    fn default() -> Self {
        Self {
            keep_alive: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(5),
        }
    }
}

impl QuicOptions {
    /// Settings of connections that this side dials: the peer opens no stream.
    pub(crate) fn dialing(&self, congestion: &Arc<Closable>) -> Arc<TransportConfig> {
        let mut config = self.common(congestion);
        config.max_concurrent_bidi_streams(VarInt::from_u32(0));
        config.receive_window(LINK_WINDOW);
        Arc::new(config)
    }

    /// Settings of connections that this side accepts: the peer opens the two lanes.
    pub(crate) fn accepting(&self, congestion: &Arc<Closable>) -> Arc<TransportConfig> {
        let mut config = self.common(congestion);
        config.max_concurrent_bidi_streams(VarInt::from_u32(2));
        config.receive_window(STRANGER_WINDOW);
        Arc::new(config)
    }

    fn common(&self, congestion: &Arc<Closable>) -> TransportConfig {
        let mut config = TransportConfig::default();
        let keep_alive = Some(self.keep_alive).filter(|interval| !interval.is_zero());
        // An interval beyond what the wire can say (2^62 ms) means the same as that.
        let idle = IdleTimeout::try_from(self.idle_timeout).unwrap_or(VarInt::MAX.into());
        config
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .datagram_receive_buffer_size(None)
            .datagram_send_buffer_size(0)
            .initial_rtt(FIRST_ROUND_TRIP)
            .max_idle_timeout(Some(idle))
            .keep_alive_interval(keep_alive)
            .stream_receive_window(VarInt::from_u32(LANE_WINDOW_BYTES))
            .send_window(SEND_WINDOW_BYTES)
            .congestion_controller_factory(Arc::clone(congestion) as _);
        config
    }
}

/// What a round trip is taken for until one is measured. An unanswered handshake packet is sent again after
/// three of them, 0.9 s and 2.1 s: a dial that began before a network came back notices soon. The third of a
/// second that RFC 9002 takes would make that 1 s, 3 s and 7 s; on a slower path a packet goes out in vain.
const FIRST_ROUND_TRIP: Duration = Duration::from_millis(100);

/// Bytes of both lanes together: never less than the lanes allow one by one, or a full bulk lane would
/// use up the credit of the control lane.
pub(crate) const LINK_WINDOW: VarInt = VarInt::from_u32(2 * LANE_WINDOW_BYTES);

/// Bytes that a connection may send before both its lanes are open. With the bound on handshakes this
/// bounds what strangers can make us hold.
const STRANGER_WINDOW: VarInt = VarInt::from_u32(64 << 10);

/// Bytes kept for retransmission on one link. quinn shares it between the lanes, so it must exceed what
/// bulk alone can fill: its lane window, one piece partly acknowledged, and what is received but whose
/// acknowledgement is still on its way. Then the lane windows are what `send` waits for, each its own.
const SEND_WINDOW_BYTES: u64 = 3 * LANE_WINDOW_BYTES as u64;
