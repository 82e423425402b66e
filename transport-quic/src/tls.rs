//! TLS 1.3 as both sides speak it: raw keys both ways, one protocol name, nothing resumed.

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};

use crate::Identity;
use crate::raw_key::{self, AnyClient, PinnedServer};

use millpond_core::NodeKey;

/// What the accepting side presents and demands.
pub(crate) fn server(identity: &Identity, provider: Arc<CryptoProvider>) -> QuicServerConfig {
    let verifier = AnyClient::new(provider.signature_verification_algorithms);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect("ring implements TLS 1.3")
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified(identity))));
    config.alpn_protocols = vec![ALPN.to_vec()];
    // No resumption, and with it no 0-RTT: each connection proves its keys anew, so a revoked key has no
    // ticket to return with, and no early data can be replayed.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    QuicServerConfig::try_from(config).expect("ring implements QUIC's initial cipher suite")
}

/// What the dialling side presents and demands, with the verifier that tells why it refused.
pub(crate) fn client(
    identity: &Identity,
    provider: Arc<CryptoProvider>,
    expected: NodeKey,
) -> (QuicClientConfig, Arc<PinnedServer>) {
    let verifier = PinnedServer::new(expected, provider.signature_verification_algorithms);
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect("ring implements TLS 1.3")
        .dangerous() // the usual builder verifies certificates; a pinned raw key is stricter
        .with_custom_certificate_verifier(Arc::clone(&verifier) as _)
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified(
            identity,
        ))));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false; // there are no names to indicate
    let config =
        QuicClientConfig::try_from(config).expect("ring implements QUIC's initial cipher suite");
    (config, verifier)
}

/// Named explicitly: with two providers in the dependency graph rustls' default panics at first use.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certified(identity: &Identity) -> Arc<CertifiedKey> {
    Arc::new(CertifiedKey::new(vec![raw_key::encode(identity.key())], identity.signer()))
}

/// The protocol's name and version; peers without a common one fail the handshake.
const ALPN: &[u8] = b"millpond/1";
