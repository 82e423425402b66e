use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ChangeHash, ROOT, ReadDoc, ScalarValue};

use crate::{Key, Replica, Value, hex};

/// A document of automerge: its root is the map. Keys are texts, since it knows no others.
pub struct Automerge(AutoCommit);

impl Replica for Automerge {
    type Seen = Vec<ChangeHash>;

    const NAME: &str = "automerge";

    fn new(number: u64) -> Self {
        Self(AutoCommit::new().with_actor(ActorId::from(number.to_be_bytes())))
    }

    fn put(&mut self, key: Key, value: Value) {
        self.0.put(ROOT, hex(key), ScalarValue::Bytes(value.to_vec())).expect("the root is a map");
    }

    fn get(&self, key: Key) -> Option<Value> {
        let (value, _) = self.0.get(ROOT, hex(key)).expect("the root is a map")?;
        value.as_bytes()?.try_into().ok()
    }

    fn seen(&self) -> Self::Seen {
        self.0.clone().get_heads()
    }

    fn encode_since(&mut self, seen: &Self::Seen) -> Vec<Vec<u8>> {
        match seen.is_empty() {
            true => vec![self.0.save()],
            false => vec![self.0.save_after(seen)],
        }
    }

    fn merge(&mut self, encoded: &[Vec<u8>]) {
        for it in encoded {
            self.0.load_incremental(it).expect("it was encoded");
        }
    }
}
