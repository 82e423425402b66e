//! The core of Millpond beside other CRDT libraries, at the same work: a map of keys of 16 bytes to values of 64.
//!
//! Each rival is used as its documentation says. What travels is encoded, and taken by a replica that decodes it. A plain
//! map is the limit.

mod automerge;
mod crdts;
mod loro;
mod millpond;
mod plain;
mod yrs;

pub use self::automerge::Automerge;
pub use self::crdts::{CrdtsMap, CrdtsOrswot};
pub use self::loro::Loro;
pub use self::millpond::Millpond;
pub use self::plain::Plain;
pub use self::yrs::Yrs;

/// A key.
pub type Key = [u8; 16];
/// A value.
pub type Value = [u8; 64];

/// A replica of a map.
pub trait Replica: Sized {
    /// What a replica has seen.
    type Seen;

    /// What it is called in tables.
    const NAME: &str;

    /// An empty replica, which writes under this number.
    fn new(number: u64) -> Self;

    /// Writes a value.
    fn put(&mut self, key: Key, value: Value);

    /// The value at a key.
    fn get(&self, key: Key) -> Option<Value>;

    /// What this replica has seen.
    fn seen(&self) -> Self::Seen;

    /// All that one lacks that has seen so much, encoded. Libraries that cannot tell what changed tell all.
    fn encode_since(&mut self, seen: &Self::Seen) -> Vec<Vec<u8>>;

    /// Takes what another one has encoded.
    fn merge(&mut self, encoded: &[Vec<u8>]);
}

/// Keys and values that are the same in each run.
pub fn rows(count: usize, salt: u64) -> impl Iterator<Item = (Key, Value)> {
    (0..count as u64).map(move |number| {
        let word = |part: u64| splitmix(number ^ (part << 56)).to_le_bytes();
        let mut key = [0; 16];
        key[..8].copy_from_slice(&word(0));
        key[8..].copy_from_slice(&word(1));
        let mut value = [0; 64];
        for (part, bytes) in value.chunks_mut(8).enumerate() {
            bytes.copy_from_slice(
                &splitmix(number ^ salt ^ ((part as u64 + 2) << 56)).to_le_bytes(),
            );
        }
        (key, value)
    })
}

/// Sebastiano Vigna's generator, which spreads numbers over all bits.
fn splitmix(number: u64) -> u64 {
    let mut it = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    it ^ (it >> 31)
}

/// A replica that holds this many rows.
pub fn filled<R: Replica>(number: u64, count: usize) -> R {
    let mut replica = R::new(number);
    rows(count, 0).for_each(|(key, value)| replica.put(key, value));
    replica
}

fn hex(key: Key) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one writes another one shows, first all of it, then what changed.
    fn replicates<R: Replica>() {
        let mut first: R = filled(1, 100);
        let mut second = R::new(2);
        let all = first.encode_since(&second.seen());
        second.merge(&all);
        assert!(rows(100, 0).all(|(key, value)| second.get(key) == Some(value)), "{}", R::NAME);
        let seen = second.seen();
        rows(10, 7).for_each(|(key, value)| first.put(key, value));
        second.merge(&first.encode_since(&seen));
        assert!(rows(10, 7).all(|(key, value)| second.get(key) == Some(value)), "{}", R::NAME);
    }

    #[test]
    fn each_replicates() {
        replicates::<Plain>();
        replicates::<Millpond>();
        replicates::<CrdtsMap>();
        replicates::<Automerge>();
        replicates::<Loro>();
        replicates::<Yrs>();
    }

    #[test]
    fn sets_replicate_keys() {
        let mut first: CrdtsOrswot = filled(1, 100);
        let mut second = CrdtsOrswot::new(2);
        second.merge(&first.encode_since(&second.seen()));
        assert!(rows(100, 0).all(|(key, _)| second.get(key).is_some()));
    }
}
