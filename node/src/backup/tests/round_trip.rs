//! What is restored is what was put aside.

use millpond_core::{Dot, Entry, Incarnation, Namespace, NodeKey, Path, Seq};
use proptest::prelude::*;

use super::world::{
    DOMAIN, FORK, RECOVERY, World, backup_of, dump, restore_into, some_steps, steps,
};
use crate::backup::Restore;
use crate::membership::{Members, Role};
use crate::planted::without;
use crate::state::{Heads, Identity, View, meta_key, read_meta};
use crate::store::memory::MemoryStore;
use crate::store::{Changes, Durability, Store};

const AGAIN: Restore = Restore::IntoDomain { key: None };

fn heads(store: &dyn Store) -> Heads {
    Heads::load(&*store.snapshot().unwrap()).unwrap()
}

fn members(store: &dyn Store) -> Members {
    Members::read(&View::new(store.snapshot().unwrap(), Namespace::SYSTEM).unwrap()).unwrap()
}

fn seal(store: &dyn Store) -> crate::Seal {
    crate::Seal::of(&View::new(store.snapshot().unwrap(), Namespace::MAIN).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_restored_store_is_the_one_put_aside(steps in steps()) {
        let world = World::after(&steps);
        for node in [0, 1].map(|node| world.node(node)) {
            let restored = MemoryStore::new();
            let is_member = restore_into(&restored, &node.backup(), node.key, &AGAIN).unwrap();
            prop_assert!(is_member);
            for namespace in [Namespace::SYSTEM, Namespace::MAIN] {
                prop_assert_eq!(dump(&restored, namespace), dump(&node.store, namespace));
            }
            prop_assert_eq!(seal(&restored), seal(&node.store));
            let (held, before) = (heads(&restored), heads(&node.store));
            prop_assert_eq!(held.incarnations, before.incarnations);
            prop_assert_eq!(held.ceiling, before.ceiling);
            prop_assert_eq!(held.open, None);
            // A backup of what was restored restores the same again.
            let again = MemoryStore::new();
            restore_into(&again, &backup_of(&restored), node.key, &AGAIN).unwrap();
            prop_assert_eq!(dump(&again, Namespace::MAIN), dump(&node.store, Namespace::MAIN));
        }
    }

    /// What is shown and not yet in its place is put aside too.
    #[test]
    fn a_backup_during_a_fold_is_that_of_what_is_shown(steps in steps()) {
        let mut world = World::after(&steps);
        world.take_unfolded(1);
        let node = world.node(1);
        let backup = node.backup();
        world.fold(1);
        let node = world.node(1);
        prop_assert!(heads(&node.store).folds.is_empty());
        let restored = MemoryStore::new();
        restore_into(&restored, &backup, node.key, &AGAIN).unwrap();
        for namespace in [Namespace::SYSTEM, Namespace::MAIN] {
            prop_assert_eq!(dump(&restored, namespace), dump(&node.store, namespace));
        }
    }

    #[test]
    fn a_fork_keeps_the_data_and_nobody_else(steps in steps()) {
        let world = World::after(&steps);
        let node = world.node(0);
        let (fork, key) = (MemoryStore::new(), NodeKey::from_bytes([42; 32]));
        prop_assert!(restore_into(&fork, &node.backup(), key, &Restore::AsFork).unwrap());
        prop_assert_eq!(dump(&fork, Namespace::MAIN), dump(&node.store, Namespace::MAIN));
        let about: Option<Identity> =
            read_meta(&*fork.snapshot().unwrap(), &meta_key::identity()).unwrap();
        let about = about.unwrap();
        prop_assert_eq!((about.domain, about.key), (FORK, key));
        prop_assert_ne!(about.domain, DOMAIN);
        let (of_fork, of_old) = (members(&fork), members(&node.store));
        let listed: Vec<(NodeKey, Role)> = of_fork.iter().map(|(key, it)| (key, it.role)).collect();
        prop_assert_eq!(listed, [(key, Role::Admin)]);
        prop_assert!(of_fork.get(RECOVERY).is_none(), "it is no node");
        // A node that joins takes only what it knows whose it is.
        for dot in heads(&fork).vv(Namespace::MAIN).iter() {
            let owner = of_old.owner(dot.incarnation);
            prop_assert_eq!(of_fork.owner(dot.incarnation), owner.or(Some(key)));
        }
    }
}

/// Another member's backup gives a node its data, and its own names, back.
#[test]
fn a_node_comes_back_from_the_backup_of_another() {
    let world = World::after(&some_steps());
    let (node, other) = (world.node(0), world.node(1));
    let restored = MemoryStore::new();
    assert!(restore_into(&restored, &other.backup(), node.key, &AGAIN).unwrap());
    let mut known: Vec<Incarnation> = heads(&node.store).incarnations;
    known.retain(|it| members(&other.store).owner(*it) == Some(node.key));
    known.sort();
    assert!(!known.is_empty());
    assert_eq!(heads(&restored).incarnations, known);
    assert_eq!(heads(&restored).open, None);

    let stranger = NodeKey::from_bytes([42; 32]);
    let restored = MemoryStore::new();
    assert!(!restore_into(&restored, &other.backup(), stranger, &AGAIN).unwrap());
    assert_eq!(heads(&restored).incarnations, []);
}

/// R5: others may hold what the original wrote after the backup.
#[test]
fn a_restored_replica_opens_a_new_incarnation() {
    let world = World::after(&some_steps());
    let node = world.node(0);
    let restore = || {
        let restored = MemoryStore::new();
        restore_into(&restored, &node.backup(), node.key, &AGAIN).unwrap();
        heads(&restored).open
    };
    assert_eq!(restore(), None);
    let continued = without(&["a restored replica continues no incarnation"], restore);
    assert!(continued.is_some(), "nothing was taken out");
}

/// What was collected is in no backup, and who restores one must know that (R9).
#[test]
fn a_floor_and_the_deletes_above_it_come_back() {
    let world = World::after(&some_steps());
    let (node, main) = (world.node(0), Namespace::MAIN);
    let before = heads(&node.store);
    let mut raised = before.clone();
    // As if the first write had been collected long ago.
    let first = before.vv(main).iter().next().unwrap().incarnation;
    let one = Dot::new(first, Seq::new(1).unwrap());
    raised.floor.insert(main, [one].into_iter().collect());
    let mut changes = Changes::default();
    raised.save(&before, &mut changes);
    node.store.commit(&changes, Durability::Synced).unwrap();
    let restore = || {
        let restored = MemoryStore::new();
        restore_into(&restored, &node.backup(), node.key, &AGAIN).unwrap();
        (heads(&restored).floor, dump(&restored, main))
    };
    assert_eq!(restore(), (raised.floor.clone(), dump(&node.store, main)));
    let (floor, _) = without(&["a floor comes with its batch"], restore);
    assert_ne!(floor, raised.floor, "nothing was taken out");
    let (_, held) = without(&["a batch carries the deletes"], restore);
    assert_ne!(held, dump(&node.store, main), "nothing was taken out");
}

#[test]
fn what_is_not_folded_yet_is_put_aside() {
    let mut world = World::after(&some_steps());
    world.take_unfolded(0);
    assert!(!heads(&world.node(0).store).folds.is_empty());
    let backup = world.node(0).backup();
    let half = without(&["what is supplied is folded"], || world.node(0).backup());
    world.fold(0);
    let restored = |backup: &[u8]| {
        let restored = MemoryStore::new();
        restore_into(&restored, backup, world.node(0).key, &AGAIN).unwrap();
        dump(&restored, Namespace::MAIN)
    };
    let shown = dump(&world.node(0).store, Namespace::MAIN);
    assert_eq!(restored(&backup), shown);
    assert_ne!(restored(&half), shown, "nothing was taken out");
}

#[test]
fn an_empty_replica_is_put_aside_too() {
    let world = World::new();
    let restored = MemoryStore::new();
    restore_into(&restored, &world.node(1).backup(), world.node(1).key, &AGAIN).unwrap();
    let namespace = Namespace::SYSTEM;
    assert_eq!(dump(&restored, namespace), dump(&world.node(1).store, namespace));
}

/// Format 1 as it must stay readable: a backup of [`some_steps`], written once.
#[test]
fn a_backup_of_format_1_is_read_as_ever() {
    let golden: String = include_str!("golden-1.hex").split_whitespace().collect();
    let golden = data_encoding::HEXLOWER.decode(golden.as_bytes()).unwrap();
    let restored = MemoryStore::new();
    let world = World::after(&some_steps());
    assert!(restore_into(&restored, &golden, world.node(0).key, &AGAIN).unwrap());
    let both = [&restored, &world.node(0).store];
    let [held, now] = both.map(|store| dump(store, Namespace::MAIN));
    assert_eq!(held, now);
    // The system namespace of today tells more of itself than it did then: which incarnations are closed.
    let [held, now] = both.map(|store| {
        let entries = dump(store, Namespace::SYSTEM).entries.into_iter();
        let is_role =
            |(path, _): &(Path, Entry)| path.components().next().is_some_and(|it| it == b"role");
        entries.filter(is_role).collect::<Vec<_>>()
    });
    assert_eq!((held.len(), held), (2, now));
}
