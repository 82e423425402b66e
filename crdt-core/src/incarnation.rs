//! Incarnations, boots, domains and namespaces: the random and small ids that data is keyed by.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// A random 128-bit id under which a replica issues writes.
///
/// A replica takes a new incarnation whenever it cannot prove that it continues its own history: at its
/// first write, after a restore, or without a lease. Each namespace counts the seqs of an incarnation from
/// one. The order is that of the bytes; it breaks ties and has no other meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation([u8; 16]);

/// The random 128-bit id of one deployment: its namespaces and members. Nodes of two domains never
/// exchange data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Domain([u8; 16]);

macro_rules! id_128 {
    ($name:ident, $error:ident, $what:literal) => {
        impl $name {
            /// An id from 16 bytes, which the caller drew at random or read back.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes of the id.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        /// The whole id, 32 lower-case hex digits; with the alternate flag the first eight of them.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let shown = if f.alternate() { 4 } else { 16 };
                self.0[..shown].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#})"), self)
            }
        }

        #[doc = concat!("The text is no ", $what, ": 32 hex digits are.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error("{} is 32 hex digits", $what)]
        pub struct $error;

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                crate::hex::decode_array(text).map(Self).ok_or($error)
            }
        }
    };
}

id_128!(Incarnation, ParseIncarnationError, "an incarnation");
id_128!(Domain, ParseDomainError, "a domain");

/// One opening of a store: a counter kept in the store, and a random part, since an image of boot 6 opens
/// as boot 7 again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Boot {
    /// Openings of this store so far, this one included.
    pub counter: u64,
    /// Drawn at this opening.
    pub random: u64,
}

/// The unit of replication: one version vector, held completely by its replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Namespace(u32);

impl Namespace {
    /// Members, roles and addresses: what the domain knows about itself.
    pub const SYSTEM: Self = Self(0);
    /// The users' data.
    pub const MAIN: Self = Self(1);

    /// The namespace of this number.
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The number under which disk and wire know it.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SYSTEM => f.write_str("system"),
            Self::MAIN => f.write_str("main"),
            Self(number) => write!(f, "namespace-{number}"),
        }
    }
}
