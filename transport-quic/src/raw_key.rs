//! Raw public keys (RFC 7250): their bytes, and who accepts which.
//!
//! The verifiers only compare keys; whether the peer *holds* the key is always left to rustls, which
//! checks the handshake's signature.

use std::sync::{Arc, OnceLock};

use millpond_core::NodeKey;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
};

/// The SubjectPublicKeyInfo of a key: what TLS carries in place of a certificate.
pub(crate) fn encode(key: NodeKey) -> CertificateDer<'static> {
    CertificateDer::from([&ED25519_SPKI_PREFIX[..], key.as_bytes()].concat())
}

/// The key of a SubjectPublicKeyInfo, if it is an Ed25519 one.
pub(crate) fn decode(spki: &[u8]) -> Option<NodeKey> {
    let key = spki.strip_prefix(&ED25519_SPKI_PREFIX)?;
    key.try_into().ok().map(NodeKey::from_bytes).filter(|key| !key.is_weak())
}

/// Accepts every client that holds an Ed25519 key: membership is decided above, after the hello.
#[derive(Debug)]
pub(crate) struct AnyClient {
    algorithms: WebPkiSupportedAlgorithms,
}

/// Accepts only the server that holds one expected key, and remembers why it refused another.
#[derive(Debug)]
pub(crate) struct PinnedServer {
    algorithms: WebPkiSupportedAlgorithms,
    expected: NodeKey,
    refused: OnceLock<String>,
}

impl AnyClient {
    pub(crate) fn new(algorithms: WebPkiSupportedAlgorithms) -> Arc<Self> {
        Arc::new(Self { algorithms })
    }
}

impl PinnedServer {
    pub(crate) fn new(expected: NodeKey, algorithms: WebPkiSupportedAlgorithms) -> Arc<Self> {
        Arc::new(Self { algorithms, expected, refused: OnceLock::new() })
    }

    /// How the server failed to hold the expected key, if the handshake failed for that reason. A TLS
    /// alert would not tell: several failures share one.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.refused.get().map(String::as_str)
    }
}

impl ServerCertVerifier for PinnedServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = decode(end_entity);
        if found == Some(self.expected) {
            return Ok(ServerCertVerified::assertion());
        }
        self.refused.get_or_init(|| match found {
            Some(other) => format!("it holds {}", other.short()),
            None => "it holds no ed25519 key".to_owned(),
        });
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let spki = SubjectPublicKeyInfoDer::from(cert.as_ref());
        verify_tls13_signature_with_raw_key(message, &spki, dss, &self.algorithms).inspect_err(
            |_| {
                self.refused.get_or_init(|| "it shows the key but cannot sign with it".to_owned());
            },
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match decode(end_entity) {
            Some(_) => Ok(ClientCertVerified::assertion()),
            None => Err(CertificateError::BadEncoding.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let spki = SubjectPublicKeyInfoDer::from(cert.as_ref());
        verify_tls13_signature_with_raw_key(message, &spki, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// DER of `SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING` up to the key's 32 bytes (RFC 8410). Ed25519
/// has no parameters, so there is exactly one encoding.
const ED25519_SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Identity;

    #[test]
    fn the_encoding_is_the_one_that_rustls_signs_for() {
        let identity = Identity::generate().unwrap();
        let spki = encode(identity.key());
        assert_eq!(spki.as_ref(), identity.signer().public_key().unwrap().as_ref());
        assert_eq!(decode(&spki), Some(identity.key()));
    }

    #[test]
    fn anything_but_one_whole_ed25519_key_is_refused() {
        let spki = encode(NodeKey::from_bytes([7; 32]));
        for cut in 0..spki.len() {
            assert_eq!(decode(&spki[..cut]), None);
        }
        assert_eq!(decode(&[&spki[..], &[0]].concat()), None);
        let mut x25519 = spki.to_vec();
        x25519[8] = 0x6e;
        assert_eq!(decode(&x25519), None);
    }

    #[test]
    fn a_key_that_anybody_can_sign_for_is_refused() {
        assert_eq!(decode(&encode(NodeKey::from_bytes([0; 32]))), None);
    }
}
