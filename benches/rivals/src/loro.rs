use loro::{ExportMode, LoroDoc, LoroMap, VersionVector};

use crate::{Key, Replica, Value, hex};

/// A document of loro with one map. Keys are texts, since it knows no others.
pub struct Loro {
    doc: LoroDoc,
    map: LoroMap,
}

impl Replica for Loro {
    type Seen = VersionVector;

    const NAME: &str = "loro";

    fn new(number: u64) -> Self {
        let doc = LoroDoc::new();
        doc.set_peer_id(number).expect("it is no one's");
        let map = doc.get_map("map");
        Self { doc, map }
    }

    fn put(&mut self, key: Key, value: Value) {
        self.map.insert(&hex(key), value.to_vec()).expect("it takes bytes");
    }

    fn get(&self, key: Key) -> Option<Value> {
        let value = self.map.get(&hex(key))?.into_value().ok()?;
        value.into_binary().ok()?.as_slice().try_into().ok()
    }

    fn seen(&self) -> Self::Seen {
        self.doc.oplog_vv()
    }

    fn encode_since(&mut self, seen: &Self::Seen) -> Vec<Vec<u8>> {
        self.doc.commit();
        let mode = match seen.is_empty() {
            true => ExportMode::Snapshot,
            false => ExportMode::updates(seen),
        };
        vec![self.doc.export(mode).expect("it exports")]
    }

    fn merge(&mut self, encoded: &[Vec<u8>]) {
        encoded.iter().for_each(|it| drop(self.doc.import(it).expect("it was encoded")));
    }
}
