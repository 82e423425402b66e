//! A record as read: its fields, who wrote them, and what is in conflict.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use millpond_core::types::counter::{self, Slot};
use millpond_core::types::multi;
use millpond_core::{Dot, Entry, Hlc, Incarnation, LiveDot, Path, PayloadKind};
use serde::Serialize;

use crate::records::alternatives::{self, register};
use crate::records::shape::{self, Below};
use crate::records::within::{self, FieldPath};
use crate::records::{Document, Json, RecordId};

/// A record at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Which.
    pub id: RecordId,
    /// Its fields by name.
    pub fields: BTreeMap<String, Field>,
    /// Changes with every write to the record, and is the same on all nodes that hold the same.
    pub version: Version,
    /// The fields in conflict, those within fields too.
    conflicts: BTreeMap<String, Field>,
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// What readers see.
    pub value: Json,
    /// What it is.
    pub kind: FieldKind,
    /// All values written concurrently, the one that readers see first; where types clash, one of each type. None
    /// of a field that is put together of many writes of one type: a counter, a flag, a set, a map, a log.
    pub versions: Vec<FieldVersion>,
}

/// What a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FieldKind {
    /// A register that shows its latest value.
    Plain,
    /// A register whose concurrent values are all wanted.
    Multi,
    /// A counter.
    Counter,
    /// A flag: on wins, or off wins.
    Flag,
    /// A set of texts.
    Set,
    /// A map to further fields.
    Map,
    /// A log.
    Log,
    /// Written by a version that this one does not understand.
    Other,
}

/// One of the concurrent values of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldVersion {
    /// What was written.
    pub value: Json,
    /// When.
    pub stamp: Hlc,
    /// Which write; its incarnation is the author. Of what is put together of many writes the latest.
    pub dot: Dot,
    /// As what it was written.
    pub kind: FieldKind,
    /// Which writes it is put together of, if they are several.
    pub(crate) dots: Vec<Dot>,
}

/// The version of a record: a hash of its live dots.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version([u8; 16]);

impl Record {
    /// The record of the entries at and below its path, in path order. `None` if none of them shows.
    pub(super) fn from_entries(id: RecordId, entries: &[(Path, Entry)]) -> Option<Self> {
        let layout = Layout::of_record(&id, entries);
        if !layout.present && !entries.iter().any(|(_, entry)| shows(entry)) {
            return None;
        }
        let fields = layout.read();
        let conflicts = within::conflicts(&layout, &fields);
        Some(Self { id, fields, version: Version::of(entries), conflicts })
    }

    /// A field of the record of these entries, which may lie within another one. `None` if there is none.
    pub(crate) fn field(
        id: &RecordId,
        entries: &[(Path, Entry)],
        field: &FieldPath,
    ) -> Option<Field> {
        field.find(Layout::of_record(id, entries))
    }

    /// What readers see.
    pub fn document(&self) -> Document {
        self.fields.iter().map(|(name, field)| (name.clone(), field.value.clone())).collect()
    }

    /// The fields with more than one value, of one type or several, by name. One that lies in a map or a nested struct
    /// goes by the names that lead to it: `contact/phone`, in which a `/` of a name is `%2F`, and its `%` is `%25`.
    pub fn conflicts(&self) -> impl Iterator<Item = (&str, &Field)> {
        self.conflicts.iter().map(|(name, field)| (name.as_str(), field))
    }
}

/// A line of a canonical export: `{"collection", "key", "fields"}`, fields sorted by name.
impl Serialize for Record {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Line<'a> {
            collection: &'a str,
            key: &'a str,
            fields: &'a BTreeMap<String, Field>,
        }
        let (collection, key) = (self.id.collection(), self.id.key());
        Line { collection, key, fields: &self.fields }.serialize(serializer)
    }
}

/// What readers see of the field.
impl Serialize for Field {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl Field {
    /// Whether several nodes wrote it at once, and not the same.
    pub fn is_conflict(&self) -> bool {
        let [first, others @ ..] = &self.versions[..] else { return false };
        others.iter().any(|other| (other.kind, &other.value) != (first.kind, &first.value))
    }

    /// Whether it was made with different types, which cannot be merged: one shows, and all are held.
    pub fn is_clash(&self) -> bool {
        let is_register =
            |kind| matches!(kind, FieldKind::Plain | FieldKind::Multi | FieldKind::Other);
        self.is_conflict() && !self.versions.iter().all(|version| is_register(version.kind))
    }
}

impl FieldVersion {
    /// Who wrote it.
    pub fn author(&self) -> Incarnation {
        self.dot.incarnation
    }

    /// The writes that it is put together of.
    pub(crate) fn dots(&self) -> &[Dot] {
        match self.dots.is_empty() {
            true => std::slice::from_ref(&self.dot),
            false => &self.dots,
        }
    }
}

impl Version {
    fn of(entries: &[(Path, Entry)]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for (path, entry) in entries {
            hasher.update(&(path.as_bytes().len() as u64).to_le_bytes());
            hasher.update(path.as_bytes());
            hasher.update(&(entry.live().len() as u64).to_le_bytes());
            entry.live().iter().for_each(|live| {
                hasher.update(&live.dot.to_bytes());
            });
        }
        let hash = hasher.finalize();
        Self(*hash.as_bytes().first_chunk().expect("a hash of 32 bytes"))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

/// The text is no version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record's version is 32 hex digits")]
pub struct ParseVersionError;

impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, ParseVersionError> {
        // Incarnations and versions share their text form: 128 bits in hex.
        let bits: Incarnation = text.parse().map_err(|_| ParseVersionError)?;
        Ok(Self(*bits.as_bytes()))
    }
}

/// The entries of a record, sorted by what they are.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Whether the register that says so exists.
    pub present: bool,
    /// Registers by field.
    pub registers: BTreeMap<String, Entry>,
    /// Slots of counters by field, those at their bases too.
    pub counters: BTreeMap<String, Vec<Entry>>,
    /// What else lies below fields: elements of sets, entries of logs and maps.
    pub nested: BTreeMap<String, Below>,
}

impl Layout {
    /// That of a record's entries.
    fn of_record(id: &RecordId, entries: &[(Path, Entry)]) -> Self {
        let (mut layout, path) = (Self::default(), id.path());
        entries.iter().for_each(|(at, entry)| layout.add(&path_below(at, &path), entry));
        layout
    }

    /// That of the entries in a field that is a map.
    pub fn of(below: &Below) -> Self {
        let mut layout = Self::default();
        below.iter().for_each(|(names, entry)| layout.add(names, entry));
        layout
    }

    /// Adds the entry whose path continues with `below` under the record's.
    pub fn add(&mut self, below: &[Vec<u8>], entry: &Entry) {
        let Some(Ok(name)) = below.first().map(|name| String::from_utf8(name.clone())) else {
            return;
        };
        match below.len() {
            _ if entry.is_absent() => {}
            1 if name.is_empty() => self.present = true,
            1 => drop(self.registers.insert(name, entry.clone())),
            2 if is_counter(entry) => {
                self.counters.entry(name).or_default().push(entry.clone());
            }
            0 => {}
            _ => self.nested.entry(name).or_default().push((below[1..].to_vec(), entry.clone())),
        }
    }

    /// The counter's value; `None` if there is none, or it was reset.
    pub fn counter(&self, field: &str) -> Option<i128> {
        self.counters
            .get(field)
            .and_then(|slots| counter::read(slots.iter().filter_map(Slot::read)))
    }

    /// A field; `None` if nothing of it shows.
    pub fn field(&self, name: &str) -> Option<Field> {
        let slots = self.counters.get(name).map_or(&[][..], Vec::as_slice);
        alternatives::field(self.registers.get(name), slots, self.nested.get(name))
    }

    /// All fields that something is stored of, perhaps more than once.
    pub fn fields(&self) -> impl Iterator<Item = &String> {
        self.registers.keys().chain(self.counters.keys()).chain(self.nested.keys())
    }

    /// What a field shows that JSON does not write: a flag, set, map or log.
    pub fn typed(&self, field: &str) -> Option<Json> {
        let flag = self.registers.get(field).map(register).filter(|it| it.kind == FieldKind::Flag);
        flag.map(|it| it.value).or_else(|| match self.registers.contains_key(field) {
            true => None,
            false => self.shaped(field).map(|(_, value)| value),
        })
    }

    /// What a field shows that is no register and no counter.
    pub fn shaped(&self, field: &str) -> Option<(FieldKind, Json)> {
        self.nested.get(field).and_then(shape::read)
    }

    /// All fields that show something, by name.
    pub fn read(&self) -> BTreeMap<String, Field> {
        let names: BTreeSet<&String> = self.fields().collect();
        let names = names.into_iter();
        names.filter_map(|name| Some((name.clone(), self.field(name)?))).collect()
    }
}

/// The components of `path` below `ancestor`.
pub(super) fn path_below(path: &Path, ancestor: &Path) -> Vec<Vec<u8>> {
    path.components().skip(ancestor.components().count()).collect()
}

/// The values of a register, the one that shows first: the same everywhere.
pub(crate) fn values(entry: &Entry) -> Vec<&LiveDot> {
    multi::read(entry)
}

/// Whether readers see anything of an entry: not of a counter's slot at its bases, nor of what only says no.
pub(crate) fn shows(entry: &Entry) -> bool {
    let (slots, others): (Vec<_>, Vec<_>) =
        entry.live().iter().partition(|it| it.payload.kind == PayloadKind::COUNTER);
    let is_yes = |live: &&LiveDot| match live.payload.kind {
        PayloadKind::SET_REMOVE_WINS => live.payload.bytes == [1][..],
        _ => true,
    };
    let counts = !slots.is_empty() && Slot::read(entry).is_some_and(|slot| !slot.is_zero());
    counts || others.iter().any(is_yes)
}

fn is_counter(entry: &Entry) -> bool {
    has_kind(entry, PayloadKind::COUNTER)
}

/// Whether a payload of this kind is live.
pub(super) fn has_kind(entry: &Entry, kind: PayloadKind) -> bool {
    entry.live().iter().any(|live| live.payload.kind == kind)
}

/// The value of a register's dot. What is no JSON text, or of an unknown kind, shows as an object that says
/// so: a peer must not be able to break a reader's parser.
pub(super) fn stored_value(live: &LiveDot) -> Json {
    #[derive(Serialize)]
    struct Opaque {
        #[serde(rename = "$opaque")]
        opaque: OpaquePayload,
    }
    #[derive(Serialize)]
    struct OpaquePayload {
        kind: u16,
        bytes: usize,
    }
    let payload = &live.payload;
    let known = matches!(payload.kind, PayloadKind::LWW | PayloadKind::MULTI | PayloadKind::LOG);
    known.then(|| Json::from_stored(&payload.bytes)).flatten().unwrap_or_else(|| {
        let opaque = OpaquePayload { kind: payload.kind.0, bytes: payload.bytes.len() };
        Json::of(&Opaque { opaque }).expect("two numbers have a JSON form")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use millpond_core::{Payload, Seq};

    fn live(author: u8, seq: u64, ms: u64, kind: PayloadKind, text: &'static str) -> LiveDot {
        let dot = Dot::new(Incarnation::from_bytes([author; 16]), Seq::new(seq).unwrap());
        let payload = Payload { kind, bytes: Bytes::from_static(text.as_bytes()) };
        LiveDot { dot, hlc: Hlc::from_ms(ms), payload }
    }

    fn record(entries: &[(Path, Entry)]) -> Option<Record> {
        Record::from_entries(RecordId::new("tasks", "milk").unwrap(), entries)
    }

    fn at(field: &str, live: Vec<LiveDot>) -> (Path, Entry) {
        (Path::new(["tasks", "milk", field]).unwrap(), Entry::from_live(live))
    }

    #[test]
    fn concurrent_values_show_the_latest_and_list_all() {
        let anna = live(1, 1, 10, PayloadKind::LWW, r#""Buy milk""#);
        let ben = live(2, 1, 20, PayloadKind::LWW, r#""Buy oat milk""#);
        let record = record(&[at("title", vec![anna, ben])]).unwrap();
        let field = &record.fields["title"];
        assert_eq!(field.value.text(), r#""Buy oat milk""#);
        let values: Vec<_> = field.versions.iter().map(|version| version.value.text()).collect();
        assert_eq!(values, [r#""Buy oat milk""#, r#""Buy milk""#]);
        assert_eq!(field.versions[1].author(), Incarnation::from_bytes([1; 16]));
        assert_eq!(record.conflicts().count(), 1);
    }

    #[test]
    fn a_record_without_fields_exists_by_its_mark() {
        let marked = record(&[at("", vec![live(1, 1, 1, PayloadKind::LWW, "true")])]).unwrap();
        assert!(marked.fields.is_empty());
        assert_eq!(record(&[]), None);
    }

    #[test]
    fn a_payload_that_is_no_json_shows_as_opaque() {
        let record = record(&[
            at("a", vec![live(1, 1, 1, PayloadKind::LWW, "}{")]),
            at("b", vec![live(1, 2, 1, PayloadKind(99), "1")]),
        ])
        .unwrap();
        assert_eq!(record.fields["a"].value.text(), r#"{"$opaque":{"kind":1,"bytes":2}}"#);
        assert_eq!(record.fields["b"].kind, FieldKind::Other);
    }

    #[test]
    fn a_counter_is_the_sum_of_its_slots_and_absent_at_its_bases() {
        let slot = |slot: Slot, author: u8| {
            let dot = Dot::new(Incarnation::from_bytes([author; 16]), Seq::FIRST);
            let counter = Path::new(["tasks", "milk", "votes"]).unwrap();
            let payload = slot.encode();
            let live = LiveDot { dot, hlc: Hlc::from_ms(1), payload };
            (counter::slot_path(&counter, dot).unwrap(), Entry::from_live(vec![live]))
        };
        let three = slot(Slot { plus: 3, ..Slot::default() }, 1);
        let less = slot(Slot { minus: 5, ..Slot::default() }, 2);
        let counted = record(&[three, less]).unwrap();
        assert_eq!(counted.fields["votes"].value.text(), "-2");
        assert_eq!(counted.fields["votes"].kind, FieldKind::Counter);
        let reset = slot(Slot { plus: 3, plus_base: 3, ..Slot::default() }, 1);
        assert_eq!(record(&[reset]), None);
    }

    #[test]
    fn the_version_changes_with_every_dot_and_parses_back() {
        let first = record(&[at("a", vec![live(1, 1, 1, PayloadKind::LWW, "1")])]).unwrap();
        let second = record(&[at("a", vec![live(1, 2, 1, PayloadKind::LWW, "1")])]).unwrap();
        assert_ne!(first.version, second.version);
        assert_eq!(first.version.to_string().parse(), Ok(first.version));
    }
}
