//! What must hold for every type of record.

use serde_json::Value;

use super::check::check;
use super::cluster::Sim;
use super::drawn::Drawn;
use crate::records::{Document, RecordError, RecordId, RecordView};
use crate::typed::{Draw, Found};
use crate::{Key, Keys, Record, WriteTx};

/// Checks the laws of a type of record, over histories that seeds draw: three replicas that store, change, store
/// again as loaded, and remove few records at once, under [faults](Sim::faulty).
///
/// 1. In the end all replicas hold the same, whatever the order in which they heard of the changes.
/// 2. Whatever was merged can be read, on each of them.
/// 3. A record that is stored as it was loaded shows what it did before.
/// 4. A key's text form reads back as that key, and sorts as it does.
///
/// Values of plain fields are drawn by way of serde, those of other fields by what their types can do; fields whose
/// types implement [`Field`](crate::typed::Field) by hand stay as they are.
///
/// ```
/// use millpond::{Counter, Multi, Record, Set};
///
/// #[derive(Default, Record)]
/// struct Task {
///     #[millpond(key)]
///     id: String,
///     title: Multi<String>,
///     done: bool,
///     votes: Counter,
///     tags: Set<String>,
/// }
///
/// millpond::sim::laws::<Task>();
/// ```
///
/// # Panics
/// When a law does not hold, with the seed of the history.
pub fn laws<R: Record>() {
    check(0..HISTORIES, history::<R>);
}

fn history<R: Record>(sim: &mut Sim) {
    let mut other: Option<R::Key> = None;
    for _ in 0..STEPS {
        let node = sim.below(sim.nodes() as u64) as usize;
        let mut drawn = Drawn::of(sim.below(u64::MAX));
        let key = drawn.key::<R::Key>().expect("no text that was tried is a key of this type");
        check_keys(&key, other.as_ref().unwrap_or(&key));
        other = Some(key.clone());
        let changed = sim.write(node, move |tx| change::<R>(tx, key, &mut drawn));
        changed.unwrap_or_else(|error| panic!("a change failed: {error}"));
    }
    sim.heal().assert_converged();
    let keys: Vec<Vec<String>> = (0..sim.nodes()).map(|node| readable::<R>(sim, node)).collect();
    assert!(keys.iter().all(|it| *it == keys[0]), "replicas that hold the same read other records");
    for id in &keys[0] {
        check_stored_again::<R>(sim, id);
    }
}

/// Does something to a record.
fn change<R: Record>(
    tx: &mut WriteTx<'_>,
    key: R::Key,
    drawn: &mut Drawn,
) -> Result<(), RecordError> {
    let Some(record) = tx.load::<R>(key.clone())? else {
        return tx.store(&R::read(key, &Found::nothing())?);
    };
    match drawn.below(10) {
        0 => tx.remove::<R>(key).map(drop),
        1 => tx.store(&record),
        _ => tx.vary::<R, _>(&key, drawn),
    }
}

/// The keys of all records, each of which can be read.
fn readable<R: Record>(sim: &mut Sim, node: usize) -> Vec<String> {
    let records = sim.collection::<R>(node).list(&Keys::all());
    let records =
        records.unwrap_or_else(|error| panic!("what was merged at {node} cannot be read: {error}"));
    records.iter().map(|record| record.key().to_text()).collect()
}

fn check_stored_again<R: Record>(sim: &mut Sim, id: &str) {
    let key = R::Key::from_text(id).expect("a key's text form reads back");
    let before = shown::<R>(sim, id);
    let stored = sim.write(0, move |tx| match tx.load::<R>(key)? {
        Some(record) => tx.store(&record),
        None => Ok(()),
    });
    stored.unwrap_or_else(|error| panic!("{id} cannot be stored as loaded: {error}"));
    let after = shown::<R>(sim, id);
    assert!(
        keeps(&after, &before),
        "{id} was stored as loaded, and does not show what it did:\n  before {before}\n  after {after}"
    );
}

/// Whether all that showed before shows. What had never been stored is there now, as its default.
fn keeps(after: &Value, before: &Value) -> bool {
    match (after, before) {
        (Value::Object(after), Value::Object(before)) => before
            .iter()
            .all(|(name, before)| after.get(name).is_some_and(|after| keeps(after, before))),
        _ => after == before,
    }
}

/// What a record shows, whatever the order in which its maps came.
fn shown<R: Record>(sim: &mut Sim, id: &str) -> Value {
    let id = RecordId::new(R::COLLECTION, id).expect("a record that is there has a name");
    let record = RecordView::new(sim.read(0)).get(&id).expect("disks in memory can be read");
    let document: Document = record.expect("it was listed").document();
    serde_json::to_value(&document).expect("a document is JSON")
}

fn check_keys<K: Key>(key: &K, other: &K) {
    let text = key.to_text();
    let sorts = key.cmp(other) == text.cmp(&other.to_text());
    assert!(sorts, "`{text}` and `{}` sort otherwise than their keys", other.to_text());
    let read = K::from_text(&text);
    assert!(read.as_ref() == Some(key), "the text form of a key, `{text}`, reads back as another");
}

/// Enough for each pair of changes to meet; a second or two.
const HISTORIES: u64 = 30;
const STEPS: usize = 24;
