use hashbrown::HashMap;

use crate::{Key, Replica, Value};

/// A map that knows nothing of other replicas: what it has is copied whole.
#[derive(Default)]
pub struct Plain(HashMap<Key, Value, foldhash::fast::FixedState>);

impl Replica for Plain {
    type Seen = ();

    const NAME: &str = "hashbrown, foldhash";

    fn new(_: u64) -> Self {
        Self::default()
    }

    fn put(&mut self, key: Key, value: Value) {
        self.0.insert(key, value);
    }

    fn get(&self, key: Key) -> Option<Value> {
        self.0.get(&key).copied()
    }

    fn seen(&self) {}

    fn encode_since(&mut self, (): &()) -> Vec<Vec<u8>> {
        let mut all = Vec::with_capacity(self.0.len() * (size_of::<Key>() + size_of::<Value>()));
        for (key, value) in &self.0 {
            all.extend_from_slice(key);
            all.extend_from_slice(value);
        }
        vec![all]
    }

    fn merge(&mut self, encoded: &[Vec<u8>]) {
        for row in encoded.iter().flat_map(|all| all.chunks_exact(80)) {
            let (key, value) = row.split_at(16);
            self.put(key.try_into().expect("16 bytes"), value.try_into().expect("64 bytes"));
        }
    }
}
