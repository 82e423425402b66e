//! Successions: a node's old key says which new one takes its place.

use alloc::vec::Vec;
use core::fmt;

use crate::{Domain, NodeKey};

/// The word of one key that another one takes its place: the same member, from now on under both.
///
/// The signature is the old key's, Ed25519, over [`Succession::signed`]. Who checks it is above: the core has no
/// cryptography.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Succession {
    /// The key that signs.
    pub old: NodeKey,
    /// The key that takes its place.
    pub new: NodeKey,
    /// The old key's signature.
    pub signature: [u8; Self::SIGNATURE_BYTES],
}

impl Succession {
    /// Bytes of a signature.
    pub const SIGNATURE_BYTES: usize = 64;

    /// What the old key signs: a text that nothing else is signed under, the domain, the old key and the new one.
    pub fn signed(domain: Domain, old: NodeKey, new: NodeKey) -> Vec<u8> {
        [&b"millpond key succession 1"[..], domain.as_bytes(), old.as_bytes(), new.as_bytes()]
            .concat()
    }
}

impl fmt::Debug for Succession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Succession({} by {})", self.new.short(), self.old.short())
    }
}
