//! The body of a chain of successions, version 1: frozen, like those of [`super::control_v1`].

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::DecodeError;
use super::control_v1::List;
use crate::limits::SUCCESSIONS_MAX;
use crate::{NodeKey, Succession};

/// Old key, new key, the two halves of the signature.
type OneV1 = ([u8; 32], [u8; 32], [u8; 32], [u8; 32]);

/// The chain, oldest first.
#[derive(Serialize, Deserialize)]
pub(super) struct SuccessionV1(List<OneV1, SUCCESSIONS_MAX>);

impl From<&[Succession]> for SuccessionV1 {
    fn from(chain: &[Succession]) -> Self {
        let body = |it: &Succession| {
            let (mut first, mut second) = ([0; 32], [0; 32]);
            first.copy_from_slice(&it.signature[..32]);
            second.copy_from_slice(&it.signature[32..]);
            (*it.old.as_bytes(), *it.new.as_bytes(), first, second)
        };
        Self(chain.iter().map(body).collect())
    }
}

impl TryFrom<SuccessionV1> for Vec<Succession> {
    type Error = DecodeError;

    /// Each one goes on from the one before.
    fn try_from(SuccessionV1(List(bodies)): SuccessionV1) -> Result<Self, DecodeError> {
        let one = |(old, new, first, second): OneV1| {
            let mut signature = [0; Succession::SIGNATURE_BYTES];
            signature[..32].copy_from_slice(&first);
            signature[32..].copy_from_slice(&second);
            let (old, new) = (NodeKey::from_bytes(old), NodeKey::from_bytes(new));
            Succession { old, new, signature }
        };
        let chain: Self = bodies.into_iter().map(one).collect();
        let goes_on = chain.windows(2).all(|pair| pair[0].new == pair[1].old);
        match !chain.is_empty() && goes_on {
            true => Ok(chain),
            false => Err(DecodeError::Malformed),
        }
    }
}
