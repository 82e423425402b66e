use crdts::{CmRDT, CvRDT, MVReg, Map, Orswot};

use crate::{Key, Replica, Value};

/// A map of registers of crdts. It cannot tell what changed: all of it travels.
pub struct CrdtsMap {
    actor: u64,
    map: Map<Key, MVReg<Vec<u8>, u64>, u64>,
}

impl Replica for CrdtsMap {
    type Seen = ();

    const NAME: &str = "crdts, Map of MVReg";

    fn new(number: u64) -> Self {
        Self { actor: number, map: Map::new() }
    }

    fn put(&mut self, key: Key, value: Value) {
        let add = self.map.read_ctx().derive_add_ctx(self.actor);
        let op = self.map.update(key, add, |register, add| register.write(value.to_vec(), add));
        self.map.apply(op);
    }

    fn get(&self, key: Key) -> Option<Value> {
        let values = self.map.get(&key).val?.read().val;
        values.last()?.as_slice().try_into().ok()
    }

    fn seen(&self) {}

    fn encode_since(&mut self, (): &()) -> Vec<Vec<u8>> {
        vec![postcard::to_stdvec(&self.map).expect("it is plain")]
    }

    fn merge(&mut self, encoded: &[Vec<u8>]) {
        encoded
            .iter()
            .for_each(|it| self.map.merge(postcard::from_bytes(it).expect("it was encoded")));
    }
}

/// A set of crdts, which holds keys only.
pub struct CrdtsOrswot {
    actor: u64,
    set: Orswot<Key, u64>,
}

impl Replica for CrdtsOrswot {
    type Seen = ();

    const NAME: &str = "crdts, Orswot of keys";

    fn new(number: u64) -> Self {
        Self { actor: number, set: Orswot::new() }
    }

    fn put(&mut self, key: Key, _: Value) {
        let add = self.set.read_ctx().derive_add_ctx(self.actor);
        self.set.apply(self.set.add(key, add));
    }

    fn get(&self, key: Key) -> Option<Value> {
        self.set.contains(&key).val.then_some([0; 64])
    }

    fn seen(&self) {}

    fn encode_since(&mut self, (): &()) -> Vec<Vec<u8>> {
        vec![postcard::to_stdvec(&self.set).expect("it is plain")]
    }

    fn merge(&mut self, encoded: &[Vec<u8>]) {
        encoded
            .iter()
            .for_each(|it| self.set.merge(postcard::from_bytes(it).expect("it was encoded")));
    }
}
