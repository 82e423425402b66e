//! How links end: codes, reasons, and quinn's errors in the words of the contract.

use millpond_core::transport::LinkError;
use quinn::{Connection, ConnectionError, VarInt};

use crate::congestion;

/// Close codes from here upward are used by this crate; the layer above uses smaller ones.
///
/// They tell people, with the reason beside them, why a link ended; no program needs to act on them.
pub const TRANSPORT_CLOSE_CODES_FROM: u32 = 0xffff_ff00;

/// The transport was closed.
pub(crate) const SHUTDOWN: u32 = TRANSPORT_CLOSE_CODES_FROM;
/// The link was dropped without being closed.
pub(crate) const DROPPED: u32 = TRANSPORT_CLOSE_CODES_FROM + 1;
/// The peer sent bytes that are no frame.
pub(crate) const BAD_FRAME: u32 = TRANSPORT_CLOSE_CODES_FROM + 2;
/// The peer opened streams that are not our lanes, or not in time.
pub(crate) const BAD_LANES: u32 = TRANSPORT_CLOSE_CODES_FROM + 3;
/// A lane ended while the link lived: a call of the peer's or of ours was cut off.
pub(crate) const LANE_ENDED: u32 = TRANSPORT_CLOSE_CODES_FROM + 4;

/// Closes a connection, telling the peer a code and a reason of at most 256 bytes.
pub(crate) fn close(connection: &Connection, code: u32, reason: &str) {
    congestion::let_close_pass(connection);
    connection.close(VarInt::from_u32(code), cut(reason).as_bytes());
}

/// Why a connection ended, as the contract says it.
pub(crate) fn link_error(error: ConnectionError) -> LinkError {
    match error {
        ConnectionError::ApplicationClosed(close) => LinkError::Closed {
            // A peer of ours sends a u32; whatever another one sends stays out of the codes above us.
            code: u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX),
            reason: cut(&String::from_utf8_lossy(&close.reason)).to_owned(),
        },
        ConnectionError::LocallyClosed => LinkError::ClosedHere,
        ConnectionError::TimedOut => LinkError::Lost("nothing arrived in time".to_owned()),
        other => LinkError::Lost(other.to_string()),
    }
}

/// The longest prefix of whole characters within the limit.
fn cut(reason: &str) -> &str {
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

/// As the contract of `Link::close` says.
const REASON_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"a".repeat(256)).len(), 256);
        assert_eq!(cut(&"a".repeat(300)).len(), 256);
        let wide = format!("a{}", "é".repeat(200));
        assert_eq!(cut(&wide).len(), 255);
    }

    #[test]
    fn a_foreign_close_code_stays_out_of_the_codes_of_the_layer_above() {
        let close =
            quinn::ApplicationClose { error_code: VarInt::MAX, reason: b"\xff".to_vec().into() };
        let error = link_error(ConnectionError::ApplicationClosed(close));
        assert_eq!(error, LinkError::Closed { code: u32::MAX, reason: "\u{fffd}".to_owned() });
    }
}
