//! What is not as it was written is never restored.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use millpond_core::{NodeKey, Path, Payload, PayloadKind};
use proptest::collection::vec;
use proptest::prelude::*;

use super::world::{World, go_on, noise, restore_into, some_steps};
use crate::backup::Restore;
use crate::backup::block::{BlockReader, BlockWriter};
use crate::backup::error::Fault;
use crate::backup::format;
use crate::backup::info::check;
use crate::backup::simulated::{fuzz_backup, seed};
use crate::planted::without;
use crate::store::memory::MemoryStore;
use crate::store::{Changes, Durability, Snapshot, Store, StoreError};

const AGAIN: Restore = Restore::IntoDomain { key: None };
const KEY: NodeKey = NodeKey::from_bytes([1; 32]);

fn is_refused(backup: &[u8]) -> bool {
    let verified = check(backup, &mut go_on).is_ok();
    let restored = restore_into(&MemoryStore::new(), backup, KEY, &AGAIN).is_ok();
    assert_eq!(verified, restored, "who verifies and who restores agree");
    !verified
}

#[test]
fn every_altered_byte_and_every_cut_is_noticed() {
    let backup = World::after(&some_steps()).node(0).backup();
    assert!(!is_refused(&backup) && backup.len() < 10_000, "{} bytes", backup.len());
    let misses = |backup: &[u8]| {
        let altered = (0..8 * backup.len()).step_by(3).filter(|bit| {
            let mut altered = backup.to_vec();
            altered[bit / 8] ^= 1 << (bit % 8);
            !is_refused(&altered)
        });
        altered.count()
    };
    assert_eq!(misses(&backup), 0);
    for length in 0..backup.len() {
        assert!(is_refused(&backup[..length]), "cut at {length}");
    }
    assert!(is_refused(&[&backup[..], b"x"].concat()), "one byte more");
    let found = without(&["a block vouches for all before it"], || misses(&backup));
    assert!(found > 0, "nothing was taken out");
}

/// A backup of these blocks, with the right hashes.
fn of_blocks<'a>(blocks: impl IntoIterator<Item = (u8, &'a [u8])>) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = BlockWriter::begin(&mut file).unwrap();
    for (kind, body) in blocks {
        writer.block(kind, body).unwrap();
    }
    file
}

fn blocks_of(backup: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut reader = BlockReader::begin(backup).unwrap();
    std::iter::from_fn(|| reader.next().ok()).map(|block| (block.kind, block.body)).collect()
}

/// Whoever makes the hashes right can still not leave anything out, or put it elsewhere.
#[test]
fn blocks_that_are_missing_or_out_of_place_are_noticed() {
    let backup = World::after(&some_steps()).node(0).backup();
    let blocks = blocks_of(&backup);
    let kinds: Vec<u8> = blocks.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [format::HEADER, format::ROWS, format::ROWS, format::END]);
    let rebuilt = |places: &[usize]| {
        of_blocks(places.iter().map(|&place| (blocks[place].0, &blocks[place].1[..])))
    };
    assert_eq!(rebuilt(&[0, 1, 2, 3]), backup);
    let orders = [
        &[0, 1, 3][..],
        &[0, 2, 3],
        &[0, 2, 1, 3],
        &[0, 1, 1, 2, 3],
        &[0, 1, 2],
        &[1, 2, 3],
        &[0, 0, 1, 2, 3],
        &[0, 1, 2, 3, 3],
        &[],
    ];
    for order in orders {
        assert!(is_refused(&rebuilt(order)), "{order:?}");
    }
    let is_short = || is_refused(&rebuilt(&[0, 1, 3]));
    let noticed = without(&["the end of a backup tells what was before it"], is_short);
    assert!(!noticed, "nothing was taken out");
}

#[test]
fn another_format_and_another_file_are_told_apart() {
    let mut backup = World::new().node(0).backup();
    backup[16] = 2;
    assert!(matches!(check(&backup[..], &mut go_on), Err(Fault::Format { found: 2 })));
    let other = b"PK\x03\x04 something else entirely";
    assert!(matches!(check(&other[..], &mut go_on), Err(Fault::NotBackup)));
    assert!(matches!(check(&b""[..], &mut go_on), Err(Fault::NotBackup)));
}

#[test]
fn a_damaged_part_is_named() {
    let backup = World::after(&some_steps()).node(0).backup();
    let header_ends = 20 + 5 + blocks_of(&backup)[0].1.len() + 32;
    let mut altered = backup.clone();
    altered[header_ends + 10] ^= 1;
    let fault = check(&altered[..], &mut go_on).unwrap_err();
    let expected = header_ends as u64;
    assert!(matches!(fault, Fault::Altered { block: 2, at } if at == expected), "{fault:?}");
    let told = fault.of(std::path::Path::new("x.mpb")).to_string();
    assert_eq!(
        told,
        format!(
            "x.mpb is damaged: block 2 or what is before it was altered, from byte {expected} on"
        )
    );
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(
        blocks in vec((0..6_u8, vec(any::<u8>(), 0..60)), 0..5),
        rest in vec(any::<u8>(), 0..40),
        place in any::<prop::sample::Index>(),
        change in any::<u8>(),
    ) {
        let _ = is_refused(&rest);
        let built = of_blocks(blocks.iter().map(|(kind, body)| (*kind, &body[..])));
        prop_assert!(is_refused(&built));
        // A good one, in which the body of one block is changed and vouched for.
        let mut good = blocks_of(&World::after(&some_steps()).node(0).backup());
        let block = place.index(good.len());
        let byte = usize::from(rest.len() as u8 ^ change) % good[block].1.len();
        good[block].1[byte] ^= change;
        let _ = is_refused(&of_blocks(good.iter().map(|(kind, body)| (*kind, &body[..]))));
    }
}

/// `MILLPOND_WRITE_SEEDS=1` writes the seeds anew. A find of the fuzzer is added by hand.
#[test]
fn the_fuzzer_s_seeds_pass() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/backup");
    let mut steps = some_steps();
    let seeds = std::iter::from_fn(|| {
        let seed = [0, 1].map(|node| seed(&blocks_of(&World::after(&steps).node(node).backup())));
        steps.pop().map(|_| seed)
    });
    let seeds: Vec<Vec<u8>> = seeds.flatten().collect();
    for (index, seed) in seeds.iter().enumerate() {
        fuzz_backup(seed);
        if std::env::var_os("MILLPOND_WRITE_SEEDS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(format!("seed-{index:02}")), seed).unwrap();
        }
    }
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    assert!(files.len() >= seeds.len());
    for file in files {
        fuzz_backup(&std::fs::read(file.unwrap().path()).unwrap());
    }
}

/// A store that has room for so many commits.
struct Small {
    store: MemoryStore,
    commits_left: AtomicUsize,
}

impl Store for Small {
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StoreError> {
        self.store.snapshot()
    }

    fn commit(&self, changes: &Changes, durability: Durability) -> Result<(), StoreError> {
        let left = self
            .commits_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| it.checked_sub(1));
        match left {
            Ok(_) => self.store.commit(changes, durability),
            Err(_) => Err(StoreError::Full),
        }
    }

    fn size_bytes(&self) -> u64 {
        self.store.size_bytes()
    }
}

#[test]
fn a_restore_that_finds_no_room_makes_no_replica() {
    let backup = large();
    for commits in 0.. {
        let store = Small { store: MemoryStore::new(), commits_left: commits.into() };
        let restored = restore_into(&store, &backup, KEY, &AGAIN);
        let about = store.snapshot().unwrap().meta(&crate::state::meta_key::identity()).unwrap();
        assert_eq!(about.is_some(), restored.is_ok(), "after {commits} commits");
        match restored {
            Ok(_) => {
                assert!(commits > 5, "it takes several: {commits}");
                return;
            }
            Err(fault) => {
                let error = fault.of(std::path::Path::new("x"));
                assert!(error.to_string().contains("no space left"), "{error}");
            }
        }
    }
}

/// A backup of several blocks, of rows that do not get smaller, one of which spans frames.
fn large() -> Vec<u8> {
    use millpond_core::{Dot, Entry, Hlc, Incarnation, LiveDot, Namespace, Seq};
    let world = World::after(&some_steps());
    let (store, incarnation) = (&world.node(0).store, Incarnation::from_bytes([200; 16]));
    let mut changes = Changes::default();
    let mut heads = crate::state::Heads::load(&*store.snapshot().unwrap()).unwrap();
    let before = heads.clone();
    for seq in 1..=60 {
        let bytes = noise(if seq == 30 { 900_000 } else { 150_000 });
        let dot = Dot::new(incarnation, Seq::new(seq).unwrap());
        let payload = Payload { kind: PayloadKind::LWW, bytes };
        let entry = Entry::from_live(vec![LiveDot { dot, hlc: Hlc::from_ms(seq), payload }]);
        let path = Path::new(["large", &seq.to_string()]).unwrap();
        changes.entries.insert((Namespace::MAIN, path.clone()), entry);
        let row = crate::store::LogRow { path, deleted: None, ends_transaction: true };
        changes.log.insert((Namespace::MAIN, dot), Some(row));
        heads.vv.entry(Namespace::MAIN).or_default().advance(dot);
    }
    heads.save(&before, &mut changes);
    store.commit(&changes, Durability::Synced).unwrap();
    let backup = world.node(0).backup();
    assert!(blocks_of(&backup).len() > 8);
    let restored = MemoryStore::new();
    restore_into(&restored, &backup, KEY, &AGAIN).unwrap();
    let main = Namespace::MAIN;
    assert_eq!(super::world::dump(&restored, main), super::world::dump(store, main));
    backup
}
