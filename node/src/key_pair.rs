//! The node's key pair, whatever transport proves it.

use std::fmt;

use millpond_core::{NodeKey, Succession};
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use zeroize::Zeroizing;

/// An Ed25519 key pair as it is stored: PKCS#8. The secret is wiped when it is dropped, and `Debug` shows the
/// public key only.
#[derive(Clone)]
pub(crate) struct KeyPair {
    pkcs8: Zeroizing<Vec<u8>>,
    key: NodeKey,
}

/// Why there is no key pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("the system gave no random bytes for a new key")]
    NoRandomness,
    #[error(
        "not an ed25519 key pair in pkcs#8 form; put the node's own key back, from a backup of it"
    )]
    Malformed,
}

impl KeyPair {
    /// A new random key pair.
    pub(crate) fn generate() -> Result<Self, KeyError> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| KeyError::NoRandomness)?;
        Self::from_pkcs8(pkcs8.as_ref())
    }

    /// The key pair in these bytes.
    pub(crate) fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let pair =
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| KeyError::Malformed)?;
        let key = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Malformed)?;
        Ok(Self { pkcs8: Zeroizing::new(pkcs8.to_vec()), key: NodeKey::from_bytes(key) })
    }

    /// The bytes to store, readable by the owner only.
    pub(crate) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The signature of these bytes.
    pub(crate) fn sign(&self, bytes: &[u8]) -> [u8; Succession::SIGNATURE_BYTES] {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&self.pkcs8);
        let signature = pair.expect("it was read before").sign(bytes);
        signature.as_ref().try_into().expect("an ed25519 signature has 64 bytes")
    }

    /// The public key.
    pub(crate) fn key(&self) -> NodeKey {
        self.key
    }
}

/// Whether this is the signature of that key over those bytes.
pub(crate) fn verify(
    key: NodeKey,
    bytes: &[u8],
    signature: &[u8; Succession::SIGNATURE_BYTES],
) -> bool {
    UnparsedPublicKey::new(&ED25519, key.as_bytes()).verify(bytes, signature).is_ok()
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("key", &self.key).finish_non_exhaustive()
    }
}
