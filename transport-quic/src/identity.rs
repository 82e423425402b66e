//! The key pair of a node.

use std::fmt;
use std::sync::Arc;

use millpond_core::NodeKey;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::SigningKey;
use zeroize::Zeroizing;

/// An Ed25519 key pair: who a node is, and its means to prove it.
///
/// Stored as PKCS#8, the form that common tools read and write. The secret is wiped from this value's
/// memory when it is dropped, and `Debug` shows the public key only.
#[derive(Clone)]
pub struct Identity {
    pkcs8: Zeroizing<Vec<u8>>,
    key: NodeKey,
    signer: Arc<dyn SigningKey>,
}

/// Why there is no identity. Nothing was stored or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes for a new key")]
    NoRandomness,
    /// The bytes hold no Ed25519 key pair in PKCS#8 form, or the public key stored with them belongs to
    /// another secret.
    #[error("not an ed25519 key pair in pkcs#8 form")]
    Malformed,
}

impl Identity {
    /// A new random identity.
    ///
    /// # Errors
    /// [`IdentityError::NoRandomness`].
    pub fn generate() -> Result<Self, IdentityError> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| IdentityError::NoRandomness)?;
        Self::from_pkcs8(pkcs8.as_ref())
    }

    /// Loads an identity from PKCS#8 DER: version 2 as [`Identity::pkcs8`] gives it, whose public key is
    /// checked against the secret, or version 1 (of `openssl genpkey`), which stores none.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`].
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, IdentityError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
            .map_err(|_| IdentityError::Malformed)?;
        let public = pair.public_key().as_ref().try_into();
        let key = NodeKey::from_bytes(public.map_err(|_| IdentityError::Malformed)?);
        let signer = rustls::crypto::ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8))
            .map_err(|_| IdentityError::Malformed)?;
        Ok(Self { pkcs8: Zeroizing::new(pkcs8.to_vec()), key, signer })
    }

    /// The key pair as PKCS#8 DER. These bytes are the secret: store them readable by the owner only.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public key: the name of this node.
    pub fn key(&self) -> NodeKey {
        self.key
    }

    pub(crate) fn signer(&self) -> Arc<dyn SigningKey> {
        Arc::clone(&self.signer)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_identity_loads_as_the_same_key() {
        let identity = Identity::generate().unwrap();
        let loaded = Identity::from_pkcs8(identity.pkcs8()).unwrap();
        assert_eq!(loaded.key(), identity.key());
        assert_eq!(loaded.pkcs8(), identity.pkcs8());
    }

    #[test]
    fn two_generated_identities_differ() {
        assert_ne!(Identity::generate().unwrap().key(), Identity::generate().unwrap().key());
    }

    #[test]
    fn the_test_vector_of_rfc_8410_loads_without_a_stored_public_key() {
        let pkcs8 = [
            0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22,
            0x04, 0x20, 0xd4, 0xee, 0x72, 0xdb, 0xf9, 0x13, 0x58, 0x4a, 0xd5, 0xb6, 0xd8, 0xf1,
            0xf7, 0x69, 0xf8, 0xad, 0x3a, 0xfe, 0x7c, 0x28, 0xcb, 0xf1, 0xd4, 0xfb, 0xe0, 0x97,
            0xa8, 0x8f, 0x44, 0x75, 0x58, 0x42,
        ];
        let expected = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
        assert_eq!(Identity::from_pkcs8(&pkcs8).unwrap().key().to_string(), expected);
    }

    #[test]
    fn cut_or_mixed_up_bytes_are_refused() {
        let identity = Identity::generate().unwrap();
        let pkcs8 = identity.pkcs8();
        for cut in 0..pkcs8.len() {
            assert_eq!(Identity::from_pkcs8(&pkcs8[..cut]).err(), Some(IdentityError::Malformed));
        }
        let mut mixed_up = pkcs8.to_vec();
        *mixed_up.last_mut().unwrap() ^= 1; // the last byte belongs to the public key
        assert_eq!(Identity::from_pkcs8(&mixed_up).err(), Some(IdentityError::Malformed));
    }

    #[test]
    fn debug_shows_the_public_key_and_nothing_of_the_secret() {
        let identity = Identity::generate().unwrap();
        let expected = format!("Identity {{ key: NodeKey({}), .. }}", identity.key().short());
        assert_eq!(format!("{identity:?}"), expected);
    }
}
