//! Who is at the other end: both sign what both have said, and both run as the same user.

use std::io;

use millpond_core::NodeKey;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

use millpond_core::transport::Lane;

/// What a lane shows to be joined to its session. Random, and told to the session's dialler only.
pub(crate) type Ticket = [u8; 16];

/// Why a handshake gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("it ended: {0}")]
    Io(#[from] io::Error),
    #[error("no node of ours is there")]
    Foreign,
    #[error("it speaks version {0}, this node speaks {VERSION}")]
    Version(u8),
    #[error("{} is there", .0.short())]
    AnotherKey(NodeKey),
    #[error("it shows the key {} and does not hold it", .0.short())]
    Unproven(NodeKey),
    #[error("it runs as user {0}, this node as {1}")]
    AnotherUser(u32, u32),
    #[error("a connection of unknown kind {0}")]
    UnknownKind(u8),
}

/// What a handshake is held over: a socket, or memory.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// What a connection is for, as its first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Session,
    Lane(Lane),
}

/// The keys and nonces of both sides: what is signed.
struct Transcript {
    dialer: [u8; 64],
    acceptor: [u8; 64],
}

/// Begins a connection as the dialler.
pub(crate) async fn start(stream: &mut impl Stream, kind: Kind) -> io::Result<()> {
    let kind = match kind {
        Kind::Session => 0,
        Kind::Lane(Lane::Control) => 1,
        Kind::Lane(Lane::Bulk) => 2,
    };
    stream.write_all(&[&MAGIC[..], &[VERSION, kind]].concat()).await
}

/// Reads how a connection begins, as the acceptor.
pub(crate) async fn started(stream: &mut impl Stream) -> Result<Kind, HandshakeError> {
    let mut magic = [0; MAGIC.len()];
    stream.read_exact(&mut magic).await?;
    if magic != *MAGIC {
        return Err(HandshakeError::Foreign);
    }
    match [stream.read_u8().await?, stream.read_u8().await?] {
        [VERSION, 0] => Ok(Kind::Session),
        [VERSION, 1] => Ok(Kind::Lane(Lane::Control)),
        [VERSION, 2] => Ok(Kind::Lane(Lane::Bulk)),
        [VERSION, other] => Err(HandshakeError::UnknownKind(other)),
        [other, _] => Err(HandshakeError::Version(other)),
    }
}

/// The dialler's side of a session's handshake, after its start.
pub(crate) async fn dial(
    stream: &mut impl Stream,
    pair: &Ed25519KeyPair,
    expected: NodeKey,
) -> Result<Ticket, HandshakeError> {
    let dialer = key_and_nonce(pair)?;
    stream.write_all(&dialer).await?;
    match stream.read_u8().await? {
        VERSION => {}
        other => return Err(HandshakeError::Version(other)),
    }
    let (mut acceptor, mut signature) = ([0; 64], [0; 64]);
    stream.read_exact(&mut acceptor).await?;
    stream.read_exact(&mut signature).await?;
    let transcript = Transcript { dialer, acceptor };
    let key = transcript.verify(Role::Acceptor, &signature)?;
    if key != expected {
        return Err(HandshakeError::AnotherKey(key));
    }
    stream.write_all(pair.sign(&transcript.bytes(Role::Dialer)).as_ref()).await?;
    let mut ticket = Ticket::default();
    stream.read_exact(&mut ticket).await?;
    Ok(ticket)
}

/// The acceptor's side of it: the dialler's key, and the ticket that it is told by [`admit`].
pub(crate) async fn accept(
    stream: &mut impl Stream,
    pair: &Ed25519KeyPair,
) -> Result<NodeKey, HandshakeError> {
    let mut dialer = [0; 64];
    stream.read_exact(&mut dialer).await?;
    let transcript = Transcript { dialer, acceptor: key_and_nonce(pair)? };
    let signed = pair.sign(&transcript.bytes(Role::Acceptor));
    let reply = [&[VERSION][..], &transcript.acceptor, signed.as_ref()].concat();
    stream.write_all(&reply).await?;
    let mut signature = [0; 64];
    stream.read_exact(&mut signature).await?;
    transcript.verify(Role::Dialer, &signature)
}

/// A ticket that nobody can guess.
pub(crate) fn new_ticket() -> io::Result<Ticket> {
    random()
}

/// Refuses a process of another user, who could stand between us and whoever holds the key.
pub(crate) fn check_user(stream: &UnixStream) -> Result<(), HandshakeError> {
    let theirs = stream.peer_cred()?.uid();
    // The kernel's word about ourselves, in the same terms.
    let ours = UnixStream::pair()?.0.peer_cred()?.uid();
    if theirs == ours || theirs == ROOT {
        Ok(())
    } else {
        Err(HandshakeError::AnotherUser(theirs, ours))
    }
}

#[derive(Clone, Copy)]
enum Role {
    Dialer,
    Acceptor,
}

impl Transcript {
    fn bytes(&self, role: Role) -> Vec<u8> {
        let context: &[u8; 24] = match role {
            Role::Dialer => b"millpond unix 1 dialler.",
            Role::Acceptor => b"millpond unix 1 acceptor",
        };
        [&context[..], &self.dialer, &self.acceptor].concat()
    }

    /// The key of a side, if it has signed.
    fn verify(&self, role: Role, signature: &[u8; 64]) -> Result<NodeKey, HandshakeError> {
        let said = match role {
            Role::Dialer => &self.dialer,
            Role::Acceptor => &self.acceptor,
        };
        let key = NodeKey::from_bytes(*said.first_chunk::<32>().expect("a key comes first"));
        let signed = UnparsedPublicKey::new(&ED25519, key.as_bytes());
        match signed.verify(&self.bytes(role), signature) {
            Ok(()) if !key.is_weak() => Ok(key),
            _ => Err(HandshakeError::Unproven(key)),
        }
    }
}

fn key_and_nonce(pair: &Ed25519KeyPair) -> io::Result<[u8; 64]> {
    let mut said = [0; 64];
    said[..32].copy_from_slice(pair.public_key().as_ref());
    said[32..].copy_from_slice(&random::<32>()?);
    Ok(said)
}

fn random<const BYTES: usize>() -> io::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("the system gave no random bytes"))?;
    Ok(bytes)
}

const MAGIC: &[u8; 8] = b"millpond";
const VERSION: u8 = 1;
const ROOT: u32 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> Ed25519KeyPair {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap()
    }

    /// Anybody finds a signature of a weak key.
    #[test]
    fn a_key_that_anybody_can_sign_for_proves_nothing() {
        let [mut dialer, acceptor] = [[0; 64]; 2];
        let mut signature = [0; 64];
        signature[0] = 1; // the neutral point, and zero
        let is_forged = (0..=u8::MAX).any(|nonce| {
            dialer[32] = nonce;
            let transcript = Transcript { dialer, acceptor };
            let refused = transcript.verify(Role::Dialer, &signature);
            assert!(matches!(refused, Err(HandshakeError::Unproven(_))), "{refused:?}");
            let key = UnparsedPublicKey::new(&ED25519, [0; 32]);
            key.verify(&transcript.bytes(Role::Dialer), &signature).is_ok()
        });
        assert!(is_forged, "no signature was forged: the test shows nothing");
    }

    fn transcript(dialer: &Ed25519KeyPair, acceptor: &Ed25519KeyPair) -> Transcript {
        let (dialer, acceptor) = (key_and_nonce(dialer).unwrap(), key_and_nonce(acceptor).unwrap());
        Transcript { dialer, acceptor }
    }

    fn signature(pair: &Ed25519KeyPair, bytes: &[u8]) -> [u8; 64] {
        pair.sign(bytes).as_ref().try_into().unwrap()
    }

    #[test]
    fn a_signature_holds_for_one_role_of_one_handshake() {
        let (dialer, acceptor) = (pair(), pair());
        let this = transcript(&dialer, &acceptor);
        let signed = signature(&dialer, &this.bytes(Role::Dialer));
        let key = this.verify(Role::Dialer, &signed).unwrap();
        assert_eq!(key.as_bytes(), dialer.public_key().as_ref());
        assert!(this.verify(Role::Acceptor, &signed).is_err());
        assert!(transcript(&dialer, &acceptor).verify(Role::Dialer, &signed).is_err());
    }

    #[test]
    fn a_key_that_is_shown_and_not_held_is_refused() {
        let (victim, impostor) = (pair(), pair());
        let this = transcript(&victim, &impostor);
        let signed = signature(&impostor, &this.bytes(Role::Dialer));
        assert!(matches!(this.verify(Role::Dialer, &signed), Err(HandshakeError::Unproven(_))));
    }
}
