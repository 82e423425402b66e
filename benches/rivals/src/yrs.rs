use yrs::block::ClientID;
use yrs::updates::decoder::Decode;
use yrs::{Any, Doc, Map, MapRef, Options, Out, ReadTxn, StateVector, Transact, Update};

use crate::{Key, Replica, Value, hex};

/// A document of yrs with one map. Keys are texts, since it knows no others.
pub struct Yrs {
    doc: Doc,
    map: MapRef,
}

impl Replica for Yrs {
    type Seen = StateVector;

    const NAME: &str = "yrs";

    fn new(number: u64) -> Self {
        let options = Options { client_id: ClientID::new(number), ..Options::default() };
        let doc = Doc::with_options(options);
        let map = doc.get_or_insert_map("map");
        Self { doc, map }
    }

    fn put(&mut self, key: Key, value: Value) {
        self.map.insert(&mut self.doc.transact_mut(), hex(key), Any::Buffer(value.to_vec().into()));
    }

    fn get(&self, key: Key) -> Option<Value> {
        match self.map.get(&self.doc.transact(), &hex(key))? {
            Out::Any(Any::Buffer(bytes)) => bytes.as_ref().try_into().ok(),
            _ => None,
        }
    }

    fn seen(&self) -> Self::Seen {
        self.doc.transact().state_vector()
    }

    fn encode_since(&mut self, seen: &Self::Seen) -> Vec<Vec<u8>> {
        vec![self.doc.transact().encode_state_as_update_v1(seen)]
    }

    fn merge(&mut self, encoded: &[Vec<u8>]) {
        for update in encoded {
            let update = Update::decode_v1(update).expect("it was encoded");
            self.doc.transact_mut().apply_update(update).expect("it applies");
        }
    }
}
