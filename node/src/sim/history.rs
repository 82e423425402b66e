//! What was written, and what must be left of it: an oracle that knows nothing of dots.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use millpond_core::types::counter::{self, Slot};
use millpond_core::{Namespace, Path};

use super::net::NodeId;
use super::world::{Check, World, ensure, path, text};
use crate::replication::RequestId;
use crate::state::{WriteError, WriteTx};

/// Operations on a few keys; each value is written once.
#[derive(Default)]
pub(crate) struct History {
    operations: Vec<(RequestId, Operation)>,
    /// What each operation saw and overwrote, as its closure ran; the commit may have failed afterwards.
    overwritten: Arc<Mutex<BTreeMap<usize, Values>>>,
}

/// Values at their paths.
type Values = Vec<(Path, String)>;

enum Operation {
    /// Writes one value at these paths, or deletes them.
    Set {
        paths: Vec<Path>,
        value: Option<String>,
    },
    Count {
        delta: u64,
    },
}

impl History {
    /// A random operation at a node.
    pub(crate) fn operate(&mut self, world: &mut World, node: NodeId) {
        let number = self.operations.len();
        let key = world.below(KEYS);
        if world.below(8) == 0 {
            let delta = world.below(9) + 1;
            let counter = path("count/all");
            let request = world.write(node, move |tx| tx.count(&counter, delta as i64));
            return self.operations.push((request, Operation::Count { delta }));
        }
        let paths = match world.below(3) {
            0 => vec![path(&format!("pair/{key}/a")), path(&format!("pair/{key}/b"))],
            _ => vec![path(&format!("one/{key}/f"))],
        };
        let padding = if world.below(10) == 0 { "~".repeat(1_500) } else { String::new() };
        let value = (world.below(4) > 0).then(|| format!("{number}{padding}"));
        let overwritten = self.overwritten.clone();
        let (at, written) = (paths.clone(), value.clone());
        let request = world.write(node, move |tx| {
            let mut seen = Vec::new();
            for path in &at {
                set(tx, path, written.as_deref(), &mut seen)?;
            }
            overwritten.lock().unwrap().insert(number, seen);
            Ok(())
        });
        self.operations.push((request, Operation::Set { paths, value }));
    }

    /// Judges what a node holds once all are level.
    pub(crate) fn judge(&self, world: &World, node: NodeId) -> Check {
        let overwritten = self.overwritten.lock().unwrap();
        let live: BTreeSet<(Path, String)> = world
            .entries(node, Namespace::MAIN)
            .into_iter()
            .filter(|(path, _)| path.components().next().unwrap() != b"count")
            .flat_map(|(path, entry)| values(&entry).into_iter().map(move |it| (path.clone(), it)))
            .collect();
        let gone: BTreeSet<_> = overwritten.values().flatten().collect();
        let (mut least, mut most) = (0, 0);
        for (number, (request, operation)) in self.operations.iter().enumerate() {
            let answer = world.written(*request);
            let is_acked = matches!(answer, Some(Ok(_)));
            let is_refused = matches!(answer, Some(Err(_)));
            match operation {
                Operation::Count { delta } => {
                    least += if is_acked { *delta } else { 0 };
                    most += if is_refused { 0 } else { *delta };
                }
                Operation::Set { paths, value } => {
                    for written in paths.iter().cloned().zip(value.clone()) {
                        let is_live = live.contains(&written);
                        ensure!(!(is_refused && is_live), "{number} was refused and is there");
                        ensure!(
                            !is_acked || is_live || gone.contains(&written),
                            "{number} at {} was acknowledged and is lost",
                            written.0
                        );
                    }
                    for old in overwritten.get(&number).into_iter().flatten().filter(|_| is_acked) {
                        ensure!(!live.contains(old), "{number} overwrote {old:?}, which is there");
                    }
                }
            }
        }
        let slots = world.entries(node, Namespace::MAIN);
        let slots = slots.iter().filter(|(it, _)| it.is_within(&path("count/all")));
        let count = counter::read(slots.filter_map(|(_, entry)| Slot::read(entry))).unwrap_or(0);
        ensure!(
            (i128::from(least)..=i128::from(most)).contains(&count),
            "counted {count}, not {least} to {most}"
        );
        Ok(())
    }
}

/// A reader sees both writes of a pair or none, at any time (R7).
pub(crate) fn pairs_are_whole(world: &World, node: NodeId) -> Check {
    let view = world.view(node, Namespace::MAIN);
    for key in 0..KEYS {
        let both = ["a", "b"].map(|half| view.entry(&path(&format!("pair/{key}/{half}"))).unwrap());
        let [a, b] = both.map(|entry| values(&entry));
        ensure!(a == b, "node {node} at {} ms shows half a pair: {a:?}, {b:?}", world.now_ms);
    }
    Ok(())
}

fn values(entry: &millpond_core::Entry) -> Vec<String> {
    let bytes = entry.live().iter().map(|live| live.payload.bytes.to_vec());
    let mut values: Vec<String> = bytes.map(|bytes| String::from_utf8(bytes).unwrap()).collect();
    values.sort();
    values
}

fn set(
    tx: &mut WriteTx<'_>,
    path: &Path,
    value: Option<&str>,
    seen: &mut Values,
) -> Result<(), WriteError> {
    seen.extend(values(&tx.entry(path)?).into_iter().map(|value| (path.clone(), value)));
    match value {
        Some(value) => tx.put(path.clone(), text(value)),
        None => tx.delete(path).map(drop),
    }
}

const KEYS: u64 = 8;
