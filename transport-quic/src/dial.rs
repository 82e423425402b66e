//! Dialling: every address of a name, one key, one deadline.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use millpond_core::NodeKey;
use millpond_core::transport::DialError;
use quinn::{ConnectionError, Endpoint, TransportConfig, TransportErrorCode};
use quinn_proto::ConnectionId;
use rustls::crypto::CryptoProvider;
use tokio::time::{Instant, timeout, timeout_at};

use crate::lane::LaneError;
use crate::link::QuicLink;
use crate::{Identity, address, lane_streams, tls};

/// What every dial of an endpoint shares.
pub(crate) struct Dialer {
    pub(crate) endpoint: Endpoint,
    pub(crate) identity: Identity,
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) first_ids: Option<FirstIds>,
    pub(crate) transport: Arc<TransportConfig>,
    pub(crate) timeout: Duration,
}

/// What a dialled endpoint is called until it says how it calls itself; by chance where nothing else is given.
pub(crate) type FirstIds = Arc<dyn Fn() -> ConnectionId + Send + Sync>;

/// Why one address gave no link.
enum Refusal {
    Unreachable(String),
    WrongKey(String),
    Incompatible(String),
}

impl Dialer {
    /// A link to the node with `expected`'s key at one of the addresses that `address` stands for. They
    /// are tried in turn, each for its share of what is left of the deadline, and not for long: an attempt
    /// that begins anew asks sooner than one that has waited ever longer between its packets. A wrong key or protocol
    /// tells more than silence, so that is what is reported when all fail.
    pub(crate) async fn dial(
        &self,
        address: &str,
        expected: NodeKey,
    ) -> Result<QuicLink, DialError> {
        let deadline = Instant::now() + self.timeout;
        let candidates =
            timeout_at(deadline, address::resolve(address)).await.map_err(|_| {
                Refusal::Unreachable("the name lookup took too long".to_owned())
                    .of(address, expected)
            })??;

        let mut told = None;
        let mut silent = String::new();
        for (tried, candidate) in candidates.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let share =
                (left / (candidates.len() - tried) as u32).min(self.timeout * ADDRESS_TENTHS / 10);
            let refusal = match timeout(share, self.connect(*candidate, expected)).await {
                Ok(Ok(link)) => return Ok(link),
                Ok(Err(refusal)) => refusal,
                Err(_) => Refusal::Unreachable("nobody answered in time".to_owned()),
            };
            match refusal {
                Refusal::Unreachable(reason) => silent = reason,
                refusal => told = Some(refusal),
            }
        }
        Err(told.unwrap_or(Refusal::Unreachable(silent)).of(address, expected))
    }

    /// Connects and opens both lanes. That the peer accepts *our* key is not known yet on success: its
    /// verdict may still be under way.
    async fn connect(&self, to: SocketAddr, expected: NodeKey) -> Result<QuicLink, Refusal> {
        let (crypto, verifier) = tls::client(&self.identity, Arc::clone(&self.provider), expected);
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::clone(&self.transport));
        if let Some(first_ids) = &self.first_ids {
            config.initial_dst_cid_provider(Arc::clone(first_ids));
        }
        let connecting = self
            .endpoint
            .connect_with(config, to, SERVER_NAME)
            .map_err(|error| Refusal::Unreachable(error.to_string()))?;
        let connection = connecting.await.map_err(|error| match verifier.refused() {
            Some(found) => Refusal::WrongKey(found.to_owned()),
            None => refusal(error),
        })?;
        let lanes = lane_streams::open(&connection).await.map_err(|error| match error {
            LaneError::Connection(error) => refusal(error),
            _ => Refusal::Incompatible("it takes no lanes".to_owned()),
        })?;
        Ok(QuicLink::new(connection, expected, true, lanes))
    }
}

impl Refusal {
    fn of(self, address: &str, expected: NodeKey) -> DialError {
        let address = address.to_owned();
        match self {
            Self::Unreachable(reason) => DialError::Unreachable { address, reason },
            Self::WrongKey(reason) => DialError::WrongKey { address, expected, reason },
            Self::Incompatible(reason) => DialError::Incompatible { address, reason },
        }
    }
}

fn refusal(error: ConnectionError) -> Refusal {
    let alert = match &error {
        ConnectionError::VersionMismatch => return Refusal::Incompatible(error.to_string()),
        ConnectionError::TransportError(error) => error.code,
        ConnectionError::ConnectionClosed(close) => close.error_code,
        _ => return Refusal::Unreachable(error.to_string()),
    };
    match INCOMPATIBLE_ALERTS.map(TransportErrorCode::crypto).contains(&alert) {
        true => Refusal::Incompatible(error.to_string()),
        false => Refusal::Unreachable(error.to_string()),
    }
}

/// So many tenths of the deadline one address is tried at most. Of the default of 5 s that is 1.5 s: three
/// packets, and twice the round trip of a satellite.
const ADDRESS_TENTHS: u32 = 3;

/// TLS alerts that say "we have nothing in common": handshake_failure (no common kind of key),
/// unsupported_certificate, protocol_version, missing_extension, unsupported_extension,
/// no_application_protocol (ALPN).
const INCOMPATIBLE_ALERTS: [u8; 6] = [40, 43, 70, 109, 110, 120];

/// quinn wants a name; raw keys have none, and it is never sent.
const SERVER_NAME: &str = "millpond";
