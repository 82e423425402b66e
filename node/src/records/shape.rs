//! How a field that lies below its own path shows in JSON: a set as its elements, a log as its entries, a map as
//! an object, and what is nested in it alike.

use std::collections::BTreeMap;

use millpond_core::types::counter::{self, Slot};
use millpond_core::types::log;
use millpond_core::types::set::Set;
use millpond_core::{Entry, LiveDot, PayloadKind};

use crate::records::Json;
use crate::records::alternatives::register;
use crate::records::record::{FieldKind, has_kind, shows, stored_value};

/// Entries below a field's path, each with the components that lead to it.
pub(super) type Below = Vec<(Vec<Vec<u8>>, Entry)>;

/// What the entries below a field show; `None` if nothing.
///
/// When types meet at one path, since two nodes made the field differently, one of them shows: a set before a
/// log before a map. The others are kept.
pub(super) fn read(below: &Below) -> Option<(FieldKind, Json)> {
    types(below).into_iter().map(|(kind, value, _)| (kind, value)).next()
}

/// Each type that entries below a field are of, with what it shows and the entries that are its own.
pub(super) fn types(below: &Below) -> Vec<(FieldKind, Json, Below)> {
    let is_of = |kind: FieldKind, path: &[Vec<u8>], live: &LiveDot| {
        let own = match live.payload.kind {
            PayloadKind::SET_ADD_WINS | PayloadKind::SET_REMOVE_WINS => FieldKind::Set,
            PayloadKind::LOG => FieldKind::Log,
            _ => FieldKind::Map,
        };
        kind == if path.len() == 1 { own } else { FieldKind::Map }
    };
    let of = |kind: FieldKind| -> Below {
        let mut own = below.clone();
        own.iter_mut().for_each(|(path, entry)| entry.retain(|live| is_of(kind, path, live)));
        own.retain(|(_, entry)| !entry.is_absent());
        own
    };
    let kinds = [FieldKind::Set, FieldKind::Log, FieldKind::Map];
    let has = |&kind: &FieldKind| {
        below.iter().any(|(path, entry)| entry.live().iter().any(|live| is_of(kind, path, live)))
    };
    let kinds: Vec<FieldKind> = kinds.into_iter().filter(has).collect();
    let own = |&kind: &FieldKind| if kinds.len() == 1 { below.clone() } else { of(kind) };
    let read = |kind: &FieldKind| {
        let own = own(kind);
        let (kind, value) = read_one(&own)?;
        Some((kind, value, own))
    };
    kinds.iter().filter_map(read).collect()
}

/// What entries of one type show.
fn read_one(below: &Below) -> Option<(FieldKind, Json)> {
    let children = children(below);
    let entries = || children.values().filter_map(|child| child.own.as_ref());
    if entries().any(is_element) {
        let is_in = |child: &&Child| child.own.as_ref().is_some_and(is_member);
        let names = children.iter().filter(|(_, child)| is_in(child)).map(|(name, _)| name);
        return Some((FieldKind::Set, array(names.map(|name| text(name)))));
    }
    if entries().any(|entry| has_kind(entry, PayloadKind::LOG)) {
        let read = log::read(entries());
        return Some((FieldKind::Log, array(read.into_iter().map(stored_value))));
    }
    let values: BTreeMap<String, Json> = children
        .iter()
        .filter_map(|(name, child)| {
            Some((String::from_utf8_lossy(name).into_owned(), child.value()?))
        })
        .collect();
    let object = Json::of(&values).expect("texts and values have a JSON form");
    (!values.is_empty()).then_some((FieldKind::Map, object))
}

/// What lies at and below one child.
#[derive(Default)]
struct Child {
    own: Option<Entry>,
    below: Below,
}

impl Child {
    fn value(&self) -> Option<Json> {
        if let Some(own) =
            self.own.as_ref().filter(|it| shows(it) && !has_kind(it, PayloadKind::COUNTER))
        {
            return Some(register(own).value);
        }
        let slots = self
            .below
            .iter()
            .filter(|(name, entry)| name.len() == 1 && has_kind(entry, PayloadKind::COUNTER));
        let count = counter::read(slots.filter_map(|(_, entry)| Slot::read(entry)));
        count.map(Json::number).or_else(|| read(&self.below).map(|(_, value)| value))
    }
}

fn children(below: &Below) -> BTreeMap<&[u8], Child> {
    let mut children: BTreeMap<&[u8], Child> = BTreeMap::new();
    for (name, entry) in below {
        let Some((first, rest)) = name.split_first() else { continue };
        let child = children.entry(first).or_default();
        match rest.is_empty() {
            true => child.own = Some(entry.clone()),
            false => child.below.push((rest.to_vec(), entry.clone())),
        }
    }
    children
}

fn is_element(entry: &Entry) -> bool {
    has_kind(entry, PayloadKind::SET_ADD_WINS) || has_kind(entry, PayloadKind::SET_REMOVE_WINS)
}

fn is_member(entry: &Entry) -> bool {
    Set::AddWins.contains(entry) || Set::RemoveWins.contains(entry)
}

fn text(name: &[u8]) -> Json {
    Json::of(&String::from_utf8_lossy(name)).expect("a text has a JSON form")
}

fn array(values: impl Iterator<Item = Json>) -> Json {
    Json::of(&values.collect::<Vec<_>>()).expect("values have a JSON form")
}
