//! The limit of links over QUIC: one stream of quinn, with the same cryptography and nothing around it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream, ServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, SignatureScheme};

use crate::Result;

/// A stream between two endpoints on loopback.
pub struct RawQuinn {
    send: SendStream,
    receive: RecvStream,
    _ends: (Connection, Connection, Endpoint, Endpoint),
}

impl RawQuinn {
    /// Connects, with quinn's defaults but for windows as large as those of a link.
    pub async fn connect(pkcs8: &[u8]) -> Result<Self> {
        let any_port = "127.0.0.1:0".parse()?;
        let provider = Arc::new(ring::default_provider());
        let key = provider
            .key_provider
            .load_private_key(PrivatePkcs8KeyDer::from(pkcs8.to_vec()).into())?;
        let public = key.public_key().ok_or("the key has a public part")?;
        let certified = CertifiedKey::new(vec![CertificateDer::from(public.to_vec())], key);
        let tls = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::new(
                certified,
            ))));
        let server = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
        let server = Endpoint::server(server, any_port)?;
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone))
            .with_no_client_auth();
        let client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
        let dialer = Endpoint::client(any_port)?;
        let dialing = dialer.connect_with(client, server.local_addr()?, "localhost")?;
        let accepting = async {
            let incoming = server.accept().await.ok_or("the endpoint is closed")?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(incoming.await?)
        };
        let (near, far) = tokio::try_join!(async { Ok(dialing.await?) }, accepting)?;
        let mut send = near.open_uni().await?;
        send.write_all(b"!").await?; // a stream is seen once something is in it
        let mut receive = far.accept_uni().await?;
        receive.read_exact(&mut [0]).await?;
        Ok(Self { send, receive, _ends: (near, far, dialer, server) })
    }

    /// How long so many chunks take.
    pub async fn carry(&mut self, chunk: &[u8], count: usize) -> Result<Duration> {
        let (send, receive) = (&mut self.send, &mut self.receive);
        let start = Instant::now();
        let sending = async {
            for _ in 0..count {
                send.write_all(chunk).await?;
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        };
        let receiving = async {
            let mut left = chunk.len() * count;
            while left > 0 {
                let read = receive.read_chunk(left, true).await?.ok_or("the stream ended early")?;
                left -= read.bytes.len();
            }
            Ok(())
        };
        tokio::try_join!(sending, receiving)?;
        Ok(start.elapsed())
    }
}

/// Whoever answers is right: it is this process.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("QUIC is of TLS 1.3".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        rustls::crypto::verify_tls13_signature_with_raw_key(message, &key, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
