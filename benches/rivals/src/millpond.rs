use std::hash::BuildHasher;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hashbrown::hash_table::Entry as Place;
use hashbrown::{HashMap, HashTable};
use millpond_core::message::Message;
use millpond_core::wire::entry::{decode_entry, encode_entry};
use millpond_core::wire::{Decoder, RowsWriter, encode};
use millpond_core::{
    Context, Dot, Entry, HybridClock, Incarnation, LiveDot, Path, Payload, PayloadKind, Row,
    RowDot, Seq, VersionVector, join,
};

use crate::{Key, Replica, Value};

/// The core of Millpond over a table in memory: entries, the vector, and the log that tells what changed. A node keeps
/// the same three on its disk. An entry is kept as a store keeps it: encoded, with its path before it.
pub struct Millpond {
    incarnation: Incarnation,
    clock: HybridClock,
    entries: HashTable<Box<[u8]>>,
    hasher: foldhash::fast::FixedState,
    vv: VersionVector,
    /// Hashes of paths by seq, of each incarnation.
    log: HashMap<Incarnation, Vec<u64>>,
    now_ms: u64,
    scratch: Vec<u8>,
}

/// The path of a stored entry, and the entry.
fn parts(stored: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = stored.split_at(2);
    rest.split_at(usize::from(u16::from_le_bytes([length[0], length[1]])))
}

fn decoded(stored: &[u8]) -> Entry {
    decode_entry(&Bytes::copy_from_slice(parts(stored).1)).expect("it was encoded here")
}

impl Millpond {
    fn path(key: Key) -> Path {
        Path::new([key]).expect("a key is short")
    }

    fn hash(&self, path: &[u8]) -> u64 {
        self.hasher.hash_one(path)
    }

    fn next(&self) -> Dot {
        Dot::new(self.incarnation, Seq::new(self.vv.seq(self.incarnation) + 1).expect("not zero"))
    }

    fn note(&mut self, dot: Dot, hash: u64) {
        let log = self.log.entry(dot.incarnation).or_default();
        let place = dot.seq.get() as usize;
        if log.len() < place {
            log.resize(place, hash);
        }
        log[place - 1] = hash;
    }

    fn find(&self, hash: u64, path: &[u8]) -> Option<&[u8]> {
        self.entries.find(hash, |stored| parts(stored).0 == path).map(|stored| &stored[..])
    }

    /// Changes the entry of a path, and says what came of that.
    fn change<T>(&mut self, path: &Path, change: impl FnOnce(&mut Entry) -> T) -> (u64, T) {
        let path = path.as_bytes();
        let hash = self.hash(path);
        let hasher = &self.hasher;
        let rehash = |stored: &Box<[u8]>| hasher.hash_one(parts(stored).0);
        let place = self.entries.entry(hash, |stored| parts(stored).0 == path, rehash);
        let mut entry = match &place {
            Place::Occupied(place) => decoded(place.get()),
            Place::Vacant(_) => Entry::absent(),
        };
        let changed = change(&mut entry);
        self.scratch.clear();
        self.scratch.extend_from_slice(&(path.len() as u16).to_le_bytes());
        self.scratch.extend_from_slice(path);
        encode_entry(&entry, &mut self.scratch);
        // First: its payload is shared, and a count of references waits until all that was written has come to memory.
        drop(entry);
        match place {
            Place::Occupied(mut place) => *place.get_mut() = self.scratch[..].into(),
            Place::Vacant(place) => drop(place.insert(self.scratch[..].into())),
        }
        (hash, changed)
    }
}

impl Replica for Millpond {
    type Seen = VersionVector;

    const NAME: &str = "millpond-core";

    fn new(number: u64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            incarnation: Incarnation::from_bytes(u128::from(number).to_be_bytes()),
            clock: HybridClock::default(),
            entries: HashTable::new(),
            hasher: foldhash::fast::FixedState::default(),
            vv: VersionVector::new(),
            log: HashMap::new(),
            now_ms: now.as_millis() as u64,
            scratch: Vec::new(),
        }
    }

    fn put(&mut self, key: Key, value: Value) {
        let dot = self.next();
        let payload = Payload { kind: PayloadKind::LWW, bytes: Bytes::copy_from_slice(&value) };
        let (mut clock, now_ms) = (self.clock, self.now_ms);
        let (hash, ()) = self.change(&Self::path(key), |entry| {
            let hlc = clock.stamp(now_ms, entry.greatest_stamp()).expect("there are stamps left");
            *entry = Entry::of(LiveDot { dot, hlc, payload });
        });
        self.clock = clock;
        self.note(dot, hash);
        self.vv.advance(dot);
    }

    fn get(&self, key: Key) -> Option<Value> {
        let path = Self::path(key);
        let entry = decoded(self.find(self.hash(path.as_bytes()), path.as_bytes())?);
        let shown = entry.live().iter().max_by_key(|live| (live.hlc, live.dot))?;
        shown.payload.bytes.as_ref().try_into().ok()
    }

    fn seen(&self) -> VersionVector {
        self.vv.clone()
    }

    fn encode_since(&mut self, seen: &VersionVector) -> Vec<Vec<u8>> {
        let upto: Vec<(Incarnation, u64)> =
            self.vv.iter().map(|dot| (dot.incarnation, dot.seq.get())).collect();
        let mut encoded = vec![postcard::to_stdvec(&upto).expect("it is plain")];
        let mut writer = RowsWriter::new(1);
        let finish = |writer: RowsWriter, encoded: &mut Vec<Vec<u8>>| {
            let frames = encode(&Message::Rows(writer.finish()));
            encoded.extend(frames.into_iter().map(|frame| frame.to_vec()));
        };
        for range in self.vv.beyond(seen) {
            let log = &self.log[&range.incarnation];
            for (place, &hash) in
                log.iter().enumerate().take(range.upto.get() as usize).skip(range.after as usize)
            {
                let dot =
                    Dot::new(range.incarnation, Seq::new(place as u64 + 1).expect("not zero"));
                // Others may have the same hash.
                for stored in self.entries.iter_hash(hash) {
                    let entry = decoded(stored);
                    if !entry.contains(dot) {
                        continue;
                    }
                    let path = Bytes::copy_from_slice(parts(stored).0);
                    let path = Path::from_encoded(path).expect("it was a path");
                    let live = entry.live().iter().map(|live| RowDot {
                        dot: live.dot,
                        content: Some((live.hlc, live.payload.clone())),
                    });
                    writer.push(&Row { path, live: live.collect(), deletes: Vec::new() });
                }
                if writer.encoded_bytes() >= FRAME_BYTES {
                    finish(std::mem::replace(&mut writer, RowsWriter::new(1)), &mut encoded);
                }
            }
        }
        if !writer.is_empty() {
            finish(writer, &mut encoded);
        }
        encoded
    }

    fn merge(&mut self, encoded: &[Vec<u8>]) {
        let Some((upto, frames)) = encoded.split_first() else { return };
        let upto: Vec<(Incarnation, u64)> = postcard::from_bytes(upto).expect("it was encoded");
        let upto: VersionVector = upto
            .into_iter()
            .map(|(incarnation, seq)| Dot::new(incarnation, Seq::new(seq).expect("not zero")))
            .collect();
        // No more than that can come.
        let hasher = &self.hasher;
        let rehash = |stored: &Box<[u8]>| hasher.hash_one(parts(stored).0);
        self.entries.reserve(upto.count_beyond(&self.vv) as usize, rehash);
        let mut decoder = Decoder::new();
        for frame in frames {
            let decoded_frame = decoder.decode(Bytes::copy_from_slice(frame));
            let Some(Message::Rows(rows)) = decoded_frame.expect("it was encoded") else {
                continue;
            };
            // All of a frame at once, for the same reason.
            let rows: Vec<Row> = rows.rows().collect();
            for row in &rows {
                let (upto, vv) = (&upto, std::mem::take(&mut self.vv));
                let (hash, joined) =
                    self.change(&row.path, |entry| join(entry, row, Context::Upto(upto), &vv));
                self.vv = vv;
                for dot in joined.added {
                    self.note(dot, hash);
                }
            }
        }
        self.vv.join(&upto);
    }
}

const FRAME_BYTES: usize = 256 << 10;
