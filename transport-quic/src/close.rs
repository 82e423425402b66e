//! How links end: codes, reasons, and quinn's errors in the words of the contract.

use millpond_core::transport::{LinkError, TRANSPORT_CLOSE_CODES_FROM, cut_reason};
use quinn::{Connection, ConnectionError, VarInt};

use crate::congestion;

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

/// Closes a connection, telling the peer a code and a reason of at most 256 bytes. One that has ended keeps its
/// reason: quinn would forget the peer's words for this close.
pub(crate) fn close(connection: &Connection, code: u32, reason: &str) {
    if connection.close_reason().is_some() {
        return;
    }
    congestion::let_close_pass(connection);
    connection.close(VarInt::from_u32(code), cut_reason(reason).as_bytes());
}

/// Why a connection ended, as the contract says it.
pub(crate) fn link_error(error: ConnectionError) -> LinkError {
    match error {
        ConnectionError::ApplicationClosed(close) => LinkError::Closed {
            // A peer of ours sends a u32; whatever another one sends stays out of the codes above us.
            code: u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX),
            reason: cut_reason(&String::from_utf8_lossy(&close.reason)).to_owned(),
        },
        ConnectionError::LocallyClosed => LinkError::ClosedHere,
        ConnectionError::TimedOut => LinkError::Lost("nothing arrived in time".to_owned()),
        other => LinkError::Lost(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_close_code_stays_out_of_the_codes_of_the_layer_above() {
        let close =
            quinn::ApplicationClose { error_code: VarInt::MAX, reason: b"\xff".to_vec().into() };
        let error = link_error(ConnectionError::ApplicationClosed(close));
        assert_eq!(error, LinkError::Closed { code: u32::MAX, reason: "\u{fffd}".to_owned() });
    }
}
