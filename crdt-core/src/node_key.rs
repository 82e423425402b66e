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
    fn anything_but_64_hex_digits_is_refused() {
        for text in ["", "00", "zz", &"0".repeat(63), &"0".repeat(65), &"é".repeat(32)] {
            assert_eq!(text.parse::<NodeKey>(), Err(ParseNodeKeyError));
        }
    }
}
