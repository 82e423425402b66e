//! Format 1 as it must stay readable: a dump of all rows of a small store, written once.
//!
//! A later format gets a dump of its own; this one is read as long as we read format 1.

use std::fmt::Write;

use millpond_core::{Entry, Hlc};
use redb::{Database, ReadableDatabase, ReadableTable};
use tempfile::TempDir;

use super::sealed::TableName;
use super::store::definition;
use super::{EmbeddedOptions, EmbeddedStore};
use crate::store::model::Model;
use crate::store::samples::{dot, entry, live, row};
use crate::store::{Changes, Durability, LogRow, Store};

const DUMP: &str = include_str!("golden/format-1.txt");

/// Every feature of the format once.
fn contents() -> Changes {
    let deleted = LogRow {
        deleted: Some(Hlc::from_ms(1_790_000_000_500)),
        ends_transaction: true,
        ..row("places/2/zip")
    };
    let siblings = Entry::from_live(vec![live(dot(1, 2), "48.85"), live(dot(2, 70), "48.86")]);
    let mut changes = Changes::default()
        .with_entry("alone", entry(dot(1, 9), "no record"))
        .with_entry("places/1/lat", siblings)
        .with_entry("places/1/name", entry(dot(1, 1), "Paris"))
        .with_entry("places/2/name", entry(dot(1, 65), ""))
        .with_log(dot(1, 1), Some(row("places/1/name")))
        .with_log(dot(1, 2), Some(LogRow { ends_transaction: true, ..row("places/1/lat") }))
        .with_log(dot(1, 9), Some(row("alone")))
        .with_log(dot(1, 65), Some(row("places/2/name")))
        .with_log(dot(2, 69), Some(deleted))
        .with_log(dot(2, 70), Some(row("places/1/lat")))
        .with_staged("places/3/name", Some("a staged row"))
        .with_meta("vv", Some("a vector"));
    for element in 0..12 {
        let path = format!("sets/1/tags/{element:02}");
        changes = changes.with_entry(&path, entry(dot(3, element + 1), &"x".repeat(200)));
    }
    changes
}

#[test]
fn the_dump_reads_back() {
    let folder = TempDir::new().unwrap();
    drop(EmbeddedStore::open(folder.path(), &EmbeddedOptions::default()).unwrap());
    let database = Database::open(folder.path().join("millpond.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    for line in DUMP.lines() {
        let mut words = line.split(' ');
        let table = words.next().unwrap();
        let name = TableName::ALL.into_iter().find(|name| name.name() == table).unwrap();
        let (key, value) = (bytes(words.next().unwrap()), bytes(words.next().unwrap()));
        transaction.open_table(definition(name)).unwrap().insert(&key[..], &value[..]).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    let store = EmbeddedStore::open(folder.path(), &EmbeddedOptions::default()).unwrap();
    let mut model = Model::default();
    model.apply(&contents());
    model.assert_equals(&*store.snapshot().unwrap());
}

#[test]
fn the_dump_is_what_we_write() {
    let folder = TempDir::new().unwrap();
    let store = EmbeddedStore::open(folder.path(), &EmbeddedOptions::default()).unwrap();
    store.commit(&contents(), Durability::Synced).unwrap();
    drop(store);
    let database = Database::open(folder.path().join("millpond.redb")).unwrap();
    let transaction = database.begin_read().unwrap();
    let mut dump = String::new();
    for name in TableName::ALL {
        for row in transaction.open_table(definition(name)).unwrap().iter().unwrap() {
            let (key, value) = row.unwrap();
            writeln!(dump, "{name} {} {}", hex(key.value()), hex(value.value())).unwrap();
        }
    }
    assert!(dump == DUMP, "format 1 has changed:\n{dump}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks_exact(2).map(|pair| str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}
