//! The embedded store against the contract, and its failures.

use std::cell::RefCell;

use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

use super::{EmbeddedOptions, EmbeddedStore};
use crate::store::conformance;
use crate::store::model::{Model, changes, durability};
use crate::store::{Store, StoreError};

fn open(folder: &TempDir) -> EmbeddedStore {
    EmbeddedStore::open(folder.path(), &EmbeddedOptions::default()).unwrap()
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

#[test]
fn a_folder_is_open_once() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder);
    let second = EmbeddedStore::open(folder.path(), &EmbeddedOptions::default());
    match second {
        Err(StoreError::InUse { folder: named }) => {
            assert_eq!(named, folder.path().display().to_string());
        }
        other => panic!("{other:?}"),
    }
    drop(store);
    open(&folder);
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
