use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hashbrown::HashMap;
use millpond_core::message::Message;
use millpond_core::wire::{Decoder, RowsWriter, encode};
use millpond_core::{
    Context, Dot, Entry, Hlc, HybridClock, Incarnation, LiveDot, Path, Payload, PayloadKind, Row,
    RowDot, Seq, VersionVector, join,
};

use crate::{Key, Replica, Value};

/// The core of Millpond over a map in memory: entries, the vector, and the log that tells what changed. A node keeps
/// the same three on its disk.
pub struct Millpond {
    incarnation: Incarnation,
    clock: HybridClock,
    entries: HashMap<Path, Entry, foldhash::fast::FixedState>,
    vv: VersionVector,
    /// Paths by seq, of each incarnation.
    log: HashMap<Incarnation, Vec<Path>>,
    now_ms: u64,
}

impl Millpond {
    fn path(key: Key) -> Path {
        Path::new([key]).expect("a key is short")
    }

    fn next(&self) -> Dot {
        Dot::new(self.incarnation, Seq::new(self.vv.seq(self.incarnation) + 1).expect("not zero"))
    }

    fn note(&mut self, dot: Dot, path: Path) {
        let log = self.log.entry(dot.incarnation).or_default();
        let place = dot.seq.get() as usize;
        if log.len() < place {
            log.resize(place, path.clone());
        }
        log[place - 1] = path;
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
            entries: HashMap::default(),
            vv: VersionVector::new(),
            log: HashMap::new(),
            now_ms: now.as_millis() as u64,
        }
    }

    fn put(&mut self, key: Key, value: Value) {
        let path = Self::path(key);
        let dot = self.next();
        let payload = Payload { kind: PayloadKind::LWW, bytes: Bytes::copy_from_slice(&value) };
        let before = self.entries.get(&path).and_then(Entry::greatest_stamp);
        let hlc: Hlc = self.clock.stamp(self.now_ms, before).expect("there are stamps left");
        self.note(dot, path.clone());
        self.entries.insert(path, Entry::from_live(vec![LiveDot { dot, hlc, payload }]));
        self.vv.advance(dot);
    }

    fn get(&self, key: Key) -> Option<Value> {
        let entry = self.entries.get(&Self::path(key))?;
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
            for (place, path) in
                log.iter().enumerate().take(range.upto.get() as usize).skip(range.after as usize)
            {
                let Some(entry) = self.entries.get(path) else { continue };
                let dot =
                    Dot::new(range.incarnation, Seq::new(place as u64 + 1).expect("not zero"));
                if !entry.contains(dot) {
                    continue;
                }
                let live = entry.live().iter().map(|live| RowDot {
                    dot: live.dot,
                    content: Some((live.hlc, live.payload.clone())),
                });
                writer.push(&Row { path: path.clone(), live: live.collect(), deletes: Vec::new() });
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
        let mut decoder = Decoder::new();
        for frame in frames {
            let decoded = decoder.decode(Bytes::copy_from_slice(frame)).expect("it was encoded");
            let Some(Message::Rows(rows)) = decoded else { continue };
            for row in rows.rows() {
                let entry = self.entries.entry(row.path.clone()).or_default();
                let joined = join(entry, &row, Context::Upto(&upto), &self.vv);
                for dot in joined.added {
                    self.note(dot, row.path.clone());
                }
            }
        }
        self.vv.join(&upto);
    }
}

const FRAME_BYTES: usize = 256 << 10;
