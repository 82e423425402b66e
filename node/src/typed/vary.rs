//! Changes at random, for the laws of the test kit.

use serde::de::DeserializeOwned;

use crate::typed::Key;

/// Where changes at random come from. Only the test kit has one: what is generic over it is not built without.
pub trait Draw {
    /// A number below `below`, which is not zero.
    fn below(&mut self, below: u64) -> u64;

    /// A value of a type; `None` when none that was tried is one.
    fn value<T: DeserializeOwned>(&mut self) -> Option<T>;

    /// One of few keys, so that concurrent changes meet; `None` when nothing that was tried is the text of one.
    fn key<K: Key>(&mut self) -> Option<K>;
}
