//! A backup and its restore in one, for the simulator; and any bytes as a backup, for the fuzzer.

use std::ops::ControlFlow;
use std::sync::Arc;

use millpond_core::{Incarnation, NodeKey};

use super::block::BlockWriter;
use super::create::check_joined;
use super::fill::{Identity, fill};
use super::info::check;
use super::reader::BackupReader;
use super::restore::Restore;
use super::writer::{About, write};
use crate::store::memory::MemoryStore;
use crate::store::{Snapshot, Store};

/// Fills an empty store with what a backup of the snapshot holds, for a node that comes back under its key. `None`
/// when no backup can be made: the node has not joined, or cannot read what it has.
pub(crate) fn back_up_and_restore(
    snapshot: &Arc<dyn Snapshot>,
    restored: &dyn Store,
    key: NodeKey,
    store: [u8; 8],
) -> Option<()> {
    check_joined(&**snapshot).ok()?;
    let go_on = &mut |_| ControlFlow::Continue(());
    let mut file = Vec::new();
    let about = About { name: String::new(), now_ms: 0, keys: None };
    let (header, ..) = write(&mut file, snapshot, about, go_on).ok()?;
    let mut reader = BackupReader::begin(&file[..]).expect("what was written can be read");
    let how = Restore::IntoDomain { key: None };
    let filled = fill(restored, &mut reader, &how, go_on).expect("what was written can be read");
    let mut id = [0; 16];
    id[..8].copy_from_slice(&store);
    let identity = Identity {
        key,
        check: crate::sim::keys::verify,
        domain: header.domain,
        store: id,
        recovery: None,
        invite: None,
        fresh: Incarnation::from_bytes(id),
        now_ms: 0,
    };
    filled.finish(restored, &identity).expect("the store is in memory");
    Some(())
}

/// Any bytes as a backup, and as the blocks of one whose hashes are right: `kind u8 | length u16 | body`, again and
/// again. Whatever they say, reading it and restoring it does not panic, and what is verified can be restored.
pub fn fuzz_backup(data: &[u8]) {
    let _ = read(data);
    let (mut file, mut rest) = (Vec::new(), data);
    let mut blocks = BlockWriter::begin(&mut file).expect("memory takes it");
    while let Some((&[kind, low, high], after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes([low, high])).min(after.len());
        let (body, after) = after.split_at(length);
        blocks.block(kind, body).expect("memory takes it");
        rest = after;
    }
    let restored = read(&file);
    let is_whole = check(&file[..], &mut |_| ControlFlow::Continue(())).is_ok();
    assert!(is_whole || restored.is_none(), "what is refused is not restored");
}

/// Restores a backup into memory, if it can be.
fn read(file: &[u8]) -> Option<()> {
    let mut reader = BackupReader::begin(file).ok()?;
    let store = MemoryStore::new();
    let go_on = &mut |_| ControlFlow::Continue(());
    fill(&store, &mut reader, &Restore::AsFork, go_on).ok().map(drop)
}

/// The seeds of the fuzzer are in the form that it reads.
#[cfg(test)]
pub(super) fn seed(blocks: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let of = |(kind, body): &(u8, Vec<u8>)| {
        [&[*kind][..], &(body.len() as u16).to_le_bytes(), body].concat()
    };
    blocks.iter().flat_map(of).collect()
}
