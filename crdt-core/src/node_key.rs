//! The identity of a node: its Ed25519 public key.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// The Ed25519 public key of a node: who it is, on every transport.
///
/// Text form: 64 lower-case hex digits. [`fmt::Display`] writes it whole; [`NodeKey::short`] gives the
/// first eight digits for logs and tables. The order is that of the bytes and carries no meaning beyond
/// breaking ties the same way on every node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeKey([u8; 32]);

impl NodeKey {
    /// A key from its 32 bytes. Whether they are a valid curve point is checked by the handshake.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether anybody can sign for this key, so that it proves nothing: a point of small order (Chalkias, Garillot and
    /// Nikolaenko, "Taming the many EdDSAs", 2020). No key pair has such a key. Transports take none for a peer's.
    pub fn is_weak(&self) -> bool {
        let mut without_sign = self.0;
        without_sign[31] &= 0x7f;
        WEAK.contains(&without_sign)
    }

    /// The short form for logs and tables: the first four bytes in hex.
    pub fn short(&self) -> ShortKey {
        ShortKey(*self)
    }
}

impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({})", self.short())
    }
}

/// The text is not 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a node key is 64 hex digits")]
pub struct ParseNodeKeyError;

impl FromStr for NodeKey {
    type Err = ParseNodeKeyError;

    fn from_str(text: &str) -> Result<Self, ParseNodeKeyError> {
        crate::hex::decode_array(text).map(Self).ok_or(ParseNodeKeyError)
    }
}

/// The points of small order, without the sign of x: of order 4, 1, 8, 8 and 2; and the two of them that have a second,
/// larger form.
const WEAK: [[u8; 32]; 7] = [
    [0; 32],
    with_ends(1, 0, 0),
    ORDER_8,
    OTHER_ORDER_8,
    with_ends(0xec, 0xff, 0x7f),
    with_ends(0xed, 0xff, 0x7f),
    with_ends(0xee, 0xff, 0x7f),
];
const ORDER_8: [u8; 32] = [
    0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
    0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
];
const OTHER_ORDER_8: [u8; 32] = [
    0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
    0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
];

const fn with_ends(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    (bytes[0], bytes[31]) = (first, last);
    bytes
}

/// A [`NodeKey`] displayed by its first eight hex digits.
#[derive(Clone, Copy)]
pub struct ShortKey(NodeKey);

impl fmt::Display for ShortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn text_form_parses_back() {
        let key = NodeKey::from_bytes(core::array::from_fn(|i| i as u8 * 7));
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(key.short().to_string(), "00070e15");
    }

    #[test]
    fn points_of_small_order_are_weak_with_either_sign_and_others_are_not() {
        for weak in WEAK {
            let mut other_sign = weak;
            other_sign[31] ^= 0x80;
            assert!(NodeKey(weak).is_weak() && NodeKey(other_sign).is_weak(), "{weak:?}");
        }
        for strong in [with_ends(2, 0, 0), with_ends(0xeb, 0xff, 0x7f), [7; 32]] {
            assert!(!NodeKey(strong).is_weak(), "{strong:?}");
        }
    }

    #[test]
    fn anything_but_64_hex_digits_is_refused() {
        for text in ["", "00", "zz", &"0".repeat(63), &"0".repeat(65), &"é".repeat(32)] {
            assert_eq!(text.parse::<NodeKey>(), Err(ParseNodeKeyError));
        }
    }
}
