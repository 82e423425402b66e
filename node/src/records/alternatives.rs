//! What a field is: of one type mostly. Where nodes made it with different types, which cannot be merged, each type
//! reads what is its own; the first shows, and all are held.

use millpond_core::types::counter::{self, Slot};
use millpond_core::types::flag::Flag;
use millpond_core::{Dot, Entry, Hlc, LiveDot, PayloadKind};

use crate::records::record::{shows, stored_value, values};
use crate::records::shape::{self, Below};
use crate::records::{Field, FieldKind, FieldVersion, Json};

/// The field of these entries: its register, the slots of its counter, and what else lies below it. A flag shows
/// before a value, that before a counter, a set, a log and a map. `None` if nothing shows.
pub(super) fn field(
    register: Option<&Entry>,
    slots: &[Entry],
    below: Option<&Below>,
) -> Option<Field> {
    let mut types = register.map(registers).unwrap_or_default();
    types.extend(counted(slots));
    types.extend(below.map(shaped).unwrap_or_default());
    let is_clash = types.len() > 1;
    let mut types = types.into_iter();
    let mut field = types.next()?;
    types.for_each(|other| field.versions.extend(other.versions));
    // What is put together of many writes of one type has no versions: nothing is in conflict.
    let is_register = matches!(field.kind, FieldKind::Plain | FieldKind::Multi | FieldKind::Other);
    if !is_clash && !is_register {
        field.versions.clear();
    }
    Some(field)
}

/// What the field shows; its writes of other types are not looked at.
pub(super) fn register(entry: &Entry) -> Field {
    let mut registers = registers(entry);
    let first = registers.drain(..).next();
    first.expect("an entry that is there has a value or a flag")
}

/// What a register is: a flag, values; each if there are both.
fn registers(entry: &Entry) -> Vec<Field> {
    let flags = [
        (Flag::EnableWins, PayloadKind::FLAG_ENABLE_WINS),
        (Flag::DisableWins, PayloadKind::FLAG_DISABLE_WINS),
    ];
    let of_kind = |kind| entry.live().iter().filter(move |live| live.payload.kind == kind);
    let mut found = Vec::new();
    for (flag, kind) in flags {
        let value = Json::of(&flag.read(entry)).expect("a truth value has a JSON form");
        found.extend(together(FieldKind::Flag, value, of_kind(kind)));
    }
    let is_flag = |kind: PayloadKind| flags.iter().any(|(_, flag)| *flag == kind);
    let versions: Vec<FieldVersion> = values(entry)
        .into_iter()
        .filter(|live| !is_flag(live.payload.kind))
        .map(|live| FieldVersion {
            value: stored_value(live),
            stamp: live.hlc,
            dot: live.dot,
            kind: register_kind(live.payload.kind),
            dots: Vec::new(),
        })
        .collect();
    if let [first, ..] = &versions[..] {
        let (value, kind) = (first.value.clone(), first.kind);
        found.push(Field { value, kind, versions });
    }
    found
}

fn register_kind(kind: PayloadKind) -> FieldKind {
    match kind {
        PayloadKind::LWW => FieldKind::Plain,
        PayloadKind::MULTI => FieldKind::Multi,
        _ => FieldKind::Other,
    }
}

/// The counter of these slots; none if they are all at their bases.
fn counted(slots: &[Entry]) -> Option<Field> {
    let total = counter::read(slots.iter().filter_map(Slot::read))?;
    let live = slots.iter().filter(|slot| shows(slot)).flat_map(Entry::live);
    together(FieldKind::Counter, Json::number(total), live)
}

/// The set, the log and the map that lie below a field.
fn shaped(below: &Below) -> Vec<Field> {
    let types = shape::types(below).into_iter();
    let field = |(kind, value, below): (FieldKind, Json, Below)| {
        let live = below.iter().filter(|(_, entry)| shows(entry)).flat_map(|(_, it)| it.live());
        together(kind, value, live)
    };
    types.filter_map(field).collect()
}

/// What is put together of these writes; `None` of none.
fn together<'e>(
    kind: FieldKind,
    value: Json,
    live: impl Iterator<Item = &'e LiveDot>,
) -> Option<Field> {
    let mut writes: Vec<(Hlc, Dot)> = live.map(|live| (live.hlc, live.dot)).collect();
    writes.sort_unstable();
    let &(stamp, dot) = writes.last()?;
    let dots = writes.into_iter().map(|(_, dot)| dot).collect();
    let version = FieldVersion { value: value.clone(), stamp, dot, kind, dots };
    Some(Field { value, kind, versions: vec![version] })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use millpond_core::types::counter::slot_path;
    use millpond_core::{Incarnation, Path, Payload, Seq};

    use super::*;
    use crate::records::{Record, RecordId};

    fn entry(author: u8, kind: PayloadKind, bytes: &'static [u8]) -> Entry {
        let dot = Dot::new(Incarnation::from_bytes([author; 16]), Seq::FIRST);
        let payload = Payload { kind, bytes: Bytes::from_static(bytes) };
        Entry::from_live(vec![LiveDot { dot, hlc: Hlc::from_ms(author.into()), payload }])
    }

    fn beside(one: Entry, other: Entry) -> Entry {
        Entry::from_live([one.live(), other.live()].concat())
    }

    fn read(entries: Vec<(&[&str], Entry)>) -> Field {
        let at = |names: &[&str]| Path::new([&["t", "k", "x"], names].concat()).unwrap();
        let mut entries: Vec<(Path, Entry)> =
            entries.into_iter().map(|(names, entry)| (at(names), entry)).collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        let id = RecordId::new("t", "k").unwrap();
        Record::from_entries(id, &entries).unwrap().fields["x"].clone()
    }

    fn kinds(field: &Field) -> Vec<FieldKind> {
        field.versions.iter().map(|version| version.kind).collect()
    }

    #[test]
    fn a_field_of_one_type_has_the_versions_of_its_register_only() {
        let value = read(vec![(&[], entry(1, PayloadKind::LWW, b"1"))]);
        assert_eq!((kinds(&value), value.is_conflict()), (vec![FieldKind::Plain], false));
        let flag = read(vec![(&[], entry(1, PayloadKind::FLAG_ENABLE_WINS, b""))]);
        assert_eq!((flag.kind, kinds(&flag)), (FieldKind::Flag, vec![]));
        let set = read(vec![(&["a"], entry(1, PayloadKind::SET_ADD_WINS, b""))]);
        assert_eq!((set.kind, kinds(&set)), (FieldKind::Set, vec![]));
    }

    #[test]
    fn a_flag_and_a_value_at_one_path_clash() {
        let both = beside(
            entry(1, PayloadKind::FLAG_ENABLE_WINS, b""),
            entry(2, PayloadKind::LWW, b"\"on\""),
        );
        let field = read(vec![(&[], both)]);
        assert_eq!(kinds(&field), [FieldKind::Flag, FieldKind::Plain]);
        assert_eq!((field.value.text(), field.is_clash()), ("true", true));
    }

    #[test]
    fn a_value_a_counter_and_what_lies_below_clash_in_this_order() {
        let slot = Slot { plus: 7, ..Slot::default() }.encode();
        let counter = Path::new(["t", "k", "x"]).unwrap();
        let dot = Dot::new(Incarnation::from_bytes([4; 16]), Seq::FIRST);
        let slot_name = slot_path(&counter, dot).unwrap().components().last().unwrap();
        let slot = Entry::from_live(vec![LiveDot { dot, hlc: Hlc::from_ms(4), payload: slot }]);
        let element = beside(
            entry(2, PayloadKind::SET_ADD_WINS, b""),
            entry(3, PayloadKind::LWW, b"\"of a map\""),
        );
        let entries = vec![
            (counter.clone(), entry(1, PayloadKind::LWW, b"1")),
            (counter.child("a").unwrap(), element),
            (counter.child(slot_name).unwrap(), slot),
        ];
        let mut entries = entries;
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        let id = RecordId::new("t", "k").unwrap();
        let field = Record::from_entries(id, &entries).unwrap().fields["x"].clone();
        let kinds = kinds(&field);
        let (plain, counter) = (FieldKind::Plain, FieldKind::Counter);
        assert_eq!(kinds, [plain, counter, FieldKind::Set, FieldKind::Map]);
        let values: Vec<&str> = field.versions.iter().map(|it| it.value.text()).collect();
        assert_eq!(values, ["1", "7", r#"["a"]"#, r#"{"a":"of a map"}"#]);
    }

    #[test]
    fn what_shows_nothing_clashes_with_nothing() {
        let spent = Slot { plus: 7, plus_base: 7, ..Slot::default() }.encode();
        let dot = Dot::new(Incarnation::from_bytes([4; 16]), Seq::FIRST);
        let counter = Path::new(["t", "k", "x"]).unwrap();
        let slot = slot_path(&counter, dot).unwrap();
        let spent = Entry::from_live(vec![LiveDot { dot, hlc: Hlc::from_ms(4), payload: spent }]);
        let entries = vec![(counter, entry(1, PayloadKind::LWW, b"1")), (slot, spent)];
        let id = RecordId::new("t", "k").unwrap();
        let field = Record::from_entries(id, &entries).unwrap().fields["x"].clone();
        assert_eq!((kinds(&field), field.is_conflict()), (vec![FieldKind::Plain], false));
    }
}
