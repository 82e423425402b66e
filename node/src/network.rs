//! The network of a node: the transport that was compiled in, bound and ready.

use std::sync::Arc;

use millpond_core::transport::Transport;

use crate::config::Config;
use crate::key_pair::KeyPair;

/// The address for peers cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct ListenError {
    reason: String,
}

/// A transport, and what the operator should know about it.
pub(crate) struct Network {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) warnings: Vec<String>,
}

/// Binds the QUIC transport, unless none is wanted.
#[cfg(feature = "quic")]
pub(crate) fn bind(config: &Config, keys: &KeyPair) -> Result<Option<Network>, ListenError> {
    use millpond_transport_quic::{Identity, Quic, QuicOptions};

    if config.is_offline {
        return Ok(None);
    }
    let identity = Identity::from_pkcs8(keys.pkcs8())
        .map_err(|error| ListenError { reason: error.to_string() })?;
    let quic = Quic::bind(&identity, config.listen, QuicOptions::default())
        .map_err(|error| ListenError { reason: error.to_string() })?;
    let buffers = quic.socket_buffers();
    let mut warnings = Vec::new();
    if !buffers.are_granted() {
        warnings.push(format!(
            "UDP socket buffers are {} and {} bytes where 4 MiB were asked for; raise \
             net.core.rmem_max and net.core.wmem_max to 4194304",
            buffers.receive_bytes, buffers.send_bytes
        ));
    }
    Ok(Some(Network { transport: Arc::new(quic), warnings }))
}

/// Without a transport a replica reads and writes, and is alone.
#[cfg(not(feature = "quic"))]
pub(crate) fn bind(_: &Config, _: &KeyPair) -> Result<Option<Network>, ListenError> {
    Ok(None)
}
