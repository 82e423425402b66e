//! The embedded store against the contract, and its failures.

use std::cell::RefCell;
use std::ops::ControlFlow::Continue;
use std::path::Path;
use std::process::Command;

use proptest::collection::vec;
use proptest::prelude::*;
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};
use tempfile::TempDir;

use super::crash::{self, Disk};
use super::space::Space;
use super::{EmbeddedOptions, EmbeddedStore};
use crate::store::conformance;
use crate::store::model::{Model, changes, durability};
use crate::store::samples::{MAIN, dot, entry, incarnation, meta, path, row};
use crate::store::{Changes, Durability, Snapshot, Store, StoreError};

fn try_open(folder: &Path) -> Result<EmbeddedStore, StoreError> {
    EmbeddedStore::open(folder, &EmbeddedOptions::default())
}

fn open(folder: &TempDir) -> EmbeddedStore {
    try_open(folder.path()).unwrap()
}

/// Commit number `number`, with all tables in it.
fn numbered(number: u64) -> Changes {
    Changes::default()
        .with_entry(&format!("c/{number}/f"), entry(dot(1, number), "value"))
        .with_log(dot(1, number), Some(row(&format!("c/{number}/f"))))
        .with_staged("c", Some("row"))
        .with_meta("m", Some("value"))
}

fn count(snapshot: &dyn Snapshot) -> usize {
    let mut count = 0;
    let mut visit = |_, _| {
        count += 1;
        Continue(())
    };
    snapshot.entries(MAIN, None, None, &mut visit).unwrap();
    count
}

#[test]
fn it_conforms() {
    let folders = RefCell::new(Vec::new());
    conformance::check(|| {
        let folder = TempDir::new().unwrap();
        let store = open(&folder);
        folders.borrow_mut().push(folder);
        Box::new(store)
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn it_equals_a_model(commits in vec((changes(), durability(), any::<bool>()), 1..8)) {
        let folder = TempDir::new().unwrap();
        let mut store = open(&folder);
        let mut model = Model::default();
        for (changes, durability, reopen) in commits {
            store.commit(&changes, durability).unwrap();
            model.apply(&changes);
            if reopen {
                drop(store);
                store = open(&folder);
            }
        }
        model.assert_equals(&*store.snapshot().unwrap());
    }
}

#[test]
fn a_folder_is_open_once() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    match try_open(folder.path()) {
        Err(StoreError::InUse { folder: named }) => {
            assert_eq!(Path::new(&named), folder.path().canonicalize().unwrap());
        }
        other => panic!("{other:?}"),
    }
    drop(store);
    open(&folder);
}

#[test]
fn a_snapshot_outlives_the_store() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    store.commit(&numbered(1), Durability::Synced).unwrap();
    let snapshot = store.snapshot().unwrap();
    drop(store);
    assert_eq!(count(&*snapshot), 1);
    assert!(matches!(try_open(folder.path()), Err(StoreError::InUse { .. })));
    drop(snapshot);
    assert_eq!(count(&*open(&folder).snapshot().unwrap()), 1);
}

#[test]
fn a_store_that_was_never_finished_is_made_anew() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("millpond.redb.new"), b"half a header").unwrap();
    let store = open(&folder);
    assert_eq!(count(&*store.snapshot().unwrap()), 0);
    assert!(!folder.path().join("millpond.redb.new").exists());
}

#[test]
fn a_file_that_is_no_store_is_left_alone() {
    for content in [&b""[..], &[7; 9_000]] {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("millpond.redb");
        std::fs::write(&file, content).unwrap();
        let opened = try_open(folder.path());
        assert!(matches!(opened, Err(StoreError::Io { .. })), "{opened:?}");
        assert_eq!(std::fs::read(&file).unwrap(), content);
    }
}

#[test]
fn another_format_is_refused() {
    let folder = TempDir::new().unwrap();
    drop(open(&folder));
    edit(&folder, |database| {
        let transaction = database.begin_write().unwrap();
        let mut table =
            transaction.open_table(TableDefinition::<&str, u32>::new("millpond")).unwrap();
        table.insert("format", 9).unwrap();
        drop(table);
        transaction.commit().unwrap();
    });
    let opened = try_open(folder.path());
    assert!(matches!(opened, Err(StoreError::Format { found: 9, known: 1 })), "{opened:?}");
}

#[test]
fn a_redb_file_of_somebody_else_is_refused() {
    let folder = TempDir::new().unwrap();
    drop(Database::create(folder.path().join("millpond.redb")).unwrap());
    let opened = try_open(folder.path());
    assert!(matches!(opened, Err(StoreError::Format { found: 0, known: 1 })), "{opened:?}");
}

#[test]
fn a_flipped_byte_is_never_served() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    store.commit(&numbered(1), Durability::Synced).unwrap();
    drop(store);
    for table in ["entries", "log", "staged", "meta"] {
        for byte in [0, 9] {
            flip(&folder, table, byte);
            let store = open(&folder);
            let snapshot = store.snapshot().unwrap();
            let ignore = &mut |_, _| Continue(());
            let ignore_rows = &mut |_, _| Continue(());
            let ignore_staged = &mut |_, _| Continue(());
            let reads = match table {
                "entries" => vec![
                    snapshot.entry(MAIN, &path("c/1/f")).err(),
                    snapshot.entries(MAIN, None, None, ignore).err(),
                    store.commit(&numbered(1), Durability::Synced).err(),
                ],
                "log" => vec![
                    snapshot.log_row(MAIN, dot(1, 1)).err(),
                    snapshot.log(MAIN, incarnation(1), 0, 9, ignore_rows).err(),
                    store.commit(&numbered(2), Durability::Synced).err(),
                ],
                "staged" => vec![
                    snapshot.staged_row(MAIN, &path("c")).err(),
                    snapshot.staged(MAIN, None, ignore_staged).err(),
                ],
                _ => vec![snapshot.meta(&meta("m")).err()],
            };
            for read in reads {
                match read {
                    Some(StoreError::Corrupt { what }) => assert!(what.contains(table), "{what}"),
                    other => panic!("{table}, byte {byte}: {other:?}"),
                }
            }
            // Other records are still written: nothing has been poisoned.
            let elsewhere = Changes::default().with_entry("d/1/f", entry(dot(2, 1), "value"));
            store.commit(&elsewhere, Durability::Synced).unwrap();
            drop((snapshot, store));
            flip(&folder, table, byte);
        }
    }
    assert_eq!(count(&*open(&folder).snapshot().unwrap()), 2);
}

#[test]
fn a_failed_sync_poisons_and_loses_nothing_that_was_acknowledged() {
    for syncs in 0..12 {
        let disk = Disk::default();
        let store = crash::open(&disk, 0).unwrap();
        disk.fail_sync_after(syncs);
        let mut acknowledged = 0;
        let error = loop {
            match store.commit(&numbered(acknowledged + 1), Durability::Synced) {
                Ok(()) => acknowledged += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StoreError::Io { .. }), "{error}");
        for changes in [numbered(acknowledged + 2), Changes::default()] {
            for durability in [Durability::Synced, Durability::Buffered] {
                match store.commit(&changes, durability) {
                    Err(StoreError::Poisoned { reason }) => {
                        assert_eq!(reason, "the disk is on fire")
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        drop(store);
        let left = disk.synced_image();
        let store = crash::open(&Disk::with_image(left), 0).unwrap();
        let found = count(&*store.snapshot().unwrap()) as u64;
        assert!(found == acknowledged || found == acknowledged + 1, "{found} of {acknowledged}");
        store.commit(&numbered(found + 1), Durability::Synced).unwrap();
    }
}

#[test]
fn a_commit_that_may_not_fit_is_refused_before_it_begins() {
    let disk = Disk::default();
    let (probe, options) = (disk.clone(), EmbeddedOptions::default());
    let space = move || Space { used: probe.len().unwrap(), free: Some(2 << 20) };
    let store = EmbeddedStore::open_backend(disk.clone(), space, &options).unwrap();
    store.commit(&numbered(1), Durability::Synced).unwrap();
    let large = Changes::default().with_entry("c/2/f", entry(dot(1, 2), &"v".repeat(1 << 20)));
    assert!(matches!(store.commit(&large, Durability::Synced), Err(StoreError::Full)));
    assert_eq!(count(&*store.snapshot().unwrap()), 1);
    store.commit(&numbered(2), Durability::Synced).unwrap();
    assert_eq!(count(&*store.snapshot().unwrap()), 2);
}

#[test]
fn space_that_runs_out_unforeseen_poisons() {
    let disk = Disk::default();
    let store = crash::open(&disk, 0).unwrap();
    store.commit(&numbered(1), Durability::Synced).unwrap();
    disk.set_capacity(Some(disk.len_bytes()));
    let large = Changes::default().with_entry("c/2/f", entry(dot(1, 2), &"v".repeat(8 << 20)));
    let error = store.commit(&large, Durability::Synced).unwrap_err();
    assert!(matches!(&error, StoreError::Io { reason } if reason.contains("no space")), "{error}");
    disk.set_capacity(None);
    let error = store.commit(&numbered(2), Durability::Synced).unwrap_err();
    assert!(matches!(error, StoreError::Poisoned { .. }), "{error}");
    drop(store);
    let store = crash::open(&disk, 0).unwrap();
    assert_eq!(count(&*store.snapshot().unwrap()), 1);
}

#[test]
fn a_full_device_refuses_and_goes_on_when_there_is_room() {
    let Some(Device(folder)) = &Device::mount("16m") else {
        println!("SKIPPED: cannot mount a tmpfs here; run as root");
        return;
    };
    let store = open(folder);
    let filler = folder.path().join("filler");
    std::fs::write(&filler, vec![0; 6 << 20]).unwrap();
    let value = "v".repeat(100_000);
    let mut commits = 0;
    loop {
        let changes = numbered(commits + 1);
        let changes = changes.with_entry(&format!("d/{commits}/f"), entry(dot(2, 1), &value));
        match store.commit(&changes, Durability::Synced) {
            Ok(()) => commits += 1,
            Err(StoreError::Full) => break,
            Err(error) => panic!("after {commits} commits: {error}"),
        }
        assert!(commits < 1_000, "the device is smaller than that");
    }
    assert!(commits > 10, "{commits}");
    assert_eq!(count(&*store.snapshot().unwrap()) as u64, 2 * commits);
    std::fs::remove_file(&filler).unwrap();
    store.commit(&numbered(commits + 1), Durability::Synced).unwrap();
    drop(store);
    assert_eq!(count(&*open(folder).snapshot().unwrap()) as u64, 2 * commits + 1);
}

/// A small device of its own, mounted on a folder.
struct Device(TempDir);

impl Device {
    /// `None` without the right to mount.
    fn mount(size: &str) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "none"]).arg(folder.path());
        mount.output().ok().filter(|output| output.status.success()).map(|_| Self(folder))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // A device that stays mounted fails no test; the folder's removal tells.
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// Opens the file behind the store's back.
fn edit(folder: &TempDir, change: impl FnOnce(&Database)) {
    change(&Database::open(folder.path().join("millpond.redb")).unwrap());
}

/// Flips a bit of the first value of a table.
fn flip(folder: &TempDir, table: &'static str, byte: usize) {
    let definition = TableDefinition::<&[u8], &[u8]>::new(table);
    edit(folder, |database| {
        let rows = database.begin_read().unwrap().open_table(definition).unwrap();
        let (key, value) = rows.first().unwrap().unwrap();
        let (key, mut value) = (key.value().to_vec(), value.value().to_vec());
        value[byte] ^= 1;
        let transaction = database.begin_write().unwrap();
        transaction.open_table(definition).unwrap().insert(&key[..], &value[..]).unwrap();
        transaction.commit().unwrap();
    });
}
