//! Draws values and keys for the laws.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde::de::DeserializeOwned;

use super::values::Values;
use crate::Key;
use crate::typed::Draw;

/// What a seed draws.
pub(super) struct Drawn(ChaCha8Rng);

impl Drawn {
    pub(super) fn of(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }
}

impl Draw for Drawn {
    fn below(&mut self, below: u64) -> u64 {
        self.0.next_u64() % below
    }

    fn value<T: DeserializeOwned>(&mut self) -> Option<T> {
        (0..TRIES).find_map(|_| T::deserialize(Values::new(self)).ok())
    }

    fn key<K: Key>(&mut self) -> Option<K> {
        let first = self.below(KEYS.len() as u64) as usize;
        let (before, from) = KEYS.split_at(first);
        from.iter().chain(before).flatten().find_map(|text| K::from_text(text))
    }
}

/// Some types refuse most of what their form allows.
const TRIES: usize = 20;
/// Texts of keys: three of each form, so that concurrent changes meet.
const KEYS: [[&str; 8]; 3] = [
    [
        "a",
        "003",
        "00003",
        "0000000003",
        "00000000000000000003",
        "000000000000000000000000000000000000003",
        "true",
        "00000000-0000-4000-8000-000000000003",
    ],
    [
        "ä b",
        "128",
        "32768",
        "2147483648",
        "09223372036854775808",
        "170141183460469231731687303715884105728",
        "false",
        "80000000-0000-4000-8000-000000000000",
    ],
    [
        "x",
        "200",
        "40000",
        "4000000000",
        "10000000000000000000",
        "200000000000000000000000000000000000000",
        "true",
        "c0000000-0000-4000-8000-000000000000",
    ],
];
