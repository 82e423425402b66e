//! The accepting side: many handshakes at once, a bounded number, each with a deadline.

use std::time::Duration;

use millpond_core::NodeKey;
use quinn::{Connection, ConnectionError, Endpoint, Incoming};
use rustls::pki_types::CertificateDer;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use crate::lane_streams::{self, LaneStreams, LanesError};
use crate::limits::HANDSHAKES_MAX;
use crate::link::QuicLink;
use crate::options::LINK_WINDOW;
use crate::{close, raw_key};

/// Accepts connections until the endpoint is closed, and hands out those with both lanes open.
///
/// Each handshake is its own task: a slow or hostile one delays nobody else until all places are taken,
/// and then no longer than the deadline.
pub(crate) async fn listen(endpoint: Endpoint, deadline: Duration, ready: mpsc::Sender<QuicLink>) {
    let mut handshakes = JoinSet::new();
    loop {
        // In this order, so that what is over gives its place away first, and nothing is left to chance.
        tokio::select! {
            biased;
            Some(_) = handshakes.join_next() => {}
            incoming = endpoint.accept(), if handshakes.len() < HANDSHAKES_MAX => {
                let Some(incoming) = incoming else { break };
                // Past half of the places a stranger first proves that its address is its own; quinn's
                // retry token keeps no state for it.
                if handshakes.len() < HANDSHAKES_MAX / 2 || incoming.remote_address_validated() {
                    handshakes.spawn(admit(incoming, deadline, ready.clone()));
                } else if let Err(error) = incoming.retry() {
                    error.into_incoming().refuse();
                }
            }
        }
    }
    handshakes.shutdown().await;
}

/// One inbound connection, from its first packet to its place in the queue of ready links.
async fn admit(incoming: Incoming, deadline: Duration, ready: mpsc::Sender<QuicLink>) {
    let remote = incoming.remote_address();
    let link = match establish(incoming, Instant::now() + deadline).await {
        Ok(link) => link,
        Err(error) => return tracing::debug!(%remote, %error, "inbound handshake failed"),
    };
    tokio::select! {
        biased;
        place = ready.reserve() => if let Ok(place) = place {
            place.send(link);
        },
        () = link.ended() => {}
    }
}

#[derive(Debug, thiserror::Error)]
enum AdmitError {
    #[error("the handshake failed: {0}")]
    Handshake(#[from] ConnectionError),
    #[error("the peer showed no ed25519 key")]
    NoKey,
    #[error(transparent)]
    Lanes(#[from] LanesError),
    #[error("the lanes were not open in time")]
    TooLate(#[from] Elapsed),
}

async fn establish(incoming: Incoming, deadline: Instant) -> Result<QuicLink, AdmitError> {
    let connection = timeout_at(deadline, incoming).await??;
    let opened = open_lanes(&connection, deadline).await;
    let (peer, lanes) = opened.inspect_err(|error| {
        close::close(&connection, close::BAD_LANES, &error.to_string());
    })?;
    connection.set_receive_window(LINK_WINDOW);
    Ok(QuicLink::new(connection, peer, false, lanes))
}

async fn open_lanes(
    connection: &Connection,
    deadline: Instant,
) -> Result<(NodeKey, LaneStreams), AdmitError> {
    let peer = proven_key(connection).ok_or(AdmitError::NoKey)?;
    let lanes = timeout_at(deadline, lane_streams::accept(connection)).await??;
    Ok((peer, lanes))
}

/// The key that the handshake proved. The verifier lets only Ed25519 keys through, so there is one.
fn proven_key(connection: &Connection) -> Option<NodeKey> {
    let identity = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    raw_key::decode(identity.first()?)
}
