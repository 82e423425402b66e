//! One key, two names: a node's Ed25519 key, and the peer id that libp2p makes of it.

use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey, ed25519};
use millpond_core::NodeKey;
use zeroize::Zeroizing;

/// The key pair in PKCS#8 (RFC 8410, RFC 5958), with or without the public key behind the secret.
pub(crate) fn key_pair(pkcs8: &[u8]) -> Option<Keypair> {
    let secret = pkcs8.get(SECRET_AT..SECRET_AT + 32)?;
    if !PREFIXES.iter().any(|prefix| pkcs8.starts_with(&prefix[..])) {
        return None;
    }
    let mut secret = Zeroizing::new(secret.to_vec());
    let pair = Keypair::ed25519_from_bytes(&mut secret[..]).ok()?;
    let public = key_of(&pair.public().to_peer_id())?;
    let stored = &pkcs8[SECRET_AT + 32..];
    // The last 32 bytes are the public key, if anything follows; it has to be this secret's.
    (stored.is_empty() || stored.ends_with(public.as_bytes())).then_some(pair)
}

/// The key that a peer id stands for. An Ed25519 key is contained in its id whole, so that whoever has proved the id
/// has proved the key; ids of other kinds of keys are nobody here.
pub(crate) fn key_of(peer: &PeerId) -> Option<NodeKey> {
    let multihash = peer.as_ref();
    if multihash.code() != IDENTITY {
        return None;
    }
    let public =
        PublicKey::try_decode_protobuf(multihash.digest()).ok()?.try_into_ed25519().ok()?;
    Some(NodeKey::from_bytes(public.to_bytes())).filter(|key| !key.is_weak())
}

/// The peer id of a key, if the bytes are one.
pub(crate) fn peer_of(key: NodeKey) -> Option<PeerId> {
    let public = ed25519::PublicKey::try_from_bytes(key.as_bytes()).ok()?;
    Some(PublicKey::from(public).to_peer_id())
}

/// How the two forms of PKCS#8 begin, up to the secret: version 0 without, and version 1 with the public key, by
/// those who count its context as optional and those who do not.
const PREFIXES: [&[u8; SECRET_AT]; 3] = [
    b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20",
    b"\x30\x53\x02\x01\x01\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20",
    b"\x30\x51\x02\x01\x01\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20",
];
const SECRET_AT: usize = 16;
/// The multihash that is the hashed bytes themselves.
const IDENTITY: u64 = 0;

#[cfg(test)]
mod tests {
    use millpond_transport_conformance::pkcs8;
    use ring::rand::SystemRandom;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    #[test]
    fn the_peer_id_is_the_nodes_key_and_nothing_else() {
        let stored = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let by_ring = Ed25519KeyPair::from_pkcs8(stored.as_ref()).unwrap();
        let pair = key_pair(stored.as_ref()).unwrap();
        let peer = pair.public().to_peer_id();
        let key = key_of(&peer).unwrap();
        assert_eq!(key.as_bytes(), by_ring.public_key().as_ref());
        assert_eq!(peer_of(key), Some(peer));
        // What one library signs the other one verifies.
        let signature = pair.sign(b"pond").unwrap();
        ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key.as_bytes())
            .verify(b"pond", &signature)
            .unwrap();
    }

    #[test]
    fn a_key_that_anybody_can_sign_for_is_refused() {
        let weak = peer_of(NodeKey::from_bytes([0; 32])).unwrap();
        assert_eq!(key_of(&weak), None);
    }

    #[test]
    fn the_test_vector_of_rfc_8410_is_the_same_key() {
        let seed = [
            0xd4, 0xee, 0x72, 0xdb, 0xf9, 0x13, 0x58, 0x4a, 0xd5, 0xb6, 0xd8, 0xf1, 0xf7, 0x69,
            0xf8, 0xad, 0x3a, 0xfe, 0x7c, 0x28, 0xcb, 0xf1, 0xd4, 0xfb, 0xe0, 0x97, 0xa8, 0x8f,
            0x44, 0x75, 0x58, 0x42,
        ];
        let pair = key_pair(&pkcs8(seed)).unwrap();
        let key = key_of(&pair.public().to_peer_id()).unwrap();
        let expected = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
        assert_eq!(key.to_string(), expected);
    }

    #[test]
    fn a_public_key_of_another_secret_is_refused() {
        let stored = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let mut mixed_up = stored.as_ref().to_vec();
        *mixed_up.last_mut().unwrap() ^= 1;
        assert!(key_pair(&mixed_up).is_none());
        for cut in 0..48 {
            assert!(key_pair(&stored.as_ref()[..cut]).is_none());
        }
    }

    #[test]
    fn a_peer_id_that_does_not_contain_an_ed25519_key_is_nobody() {
        assert_eq!(key_of(&PeerId::random()), None);
    }
}
