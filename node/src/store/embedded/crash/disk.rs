//! A disk in memory that remembers, and what a power cut may leave of it.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use redb::StorageBackend;

use super::fault::{Among, Countdown, Fault, FaultKind};
use super::{Operations, below};

/// One operation that changes the disk, or makes changes last.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Write { offset: u64, bytes: Vec<u8> },
    SetLen(u64),
    Sync,
}

/// A disk in memory: clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    operations: Operations,
    mark: usize,
    countdown: Countdown,
    /// Whether syncs do nothing, and say that they did.
    lies: bool,
    /// Syncs until one fails.
    syncs_left: Option<u64>,
    /// Bytes that the device has.
    capacity: Option<u64>,
}

impl Disk {
    /// A disk with this content, all of it synced.
    pub(crate) fn with_image(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { bytes, ..State::default() })))
    }

    /// The same, with a failure to come.
    pub(super) fn with_fault(bytes: Vec<u8>, fault: Fault) -> Self {
        let countdown = Countdown::new(fault);
        Self(Arc::new(Mutex::new(State { bytes, countdown, ..State::default() })))
    }

    /// From now on syncs do nothing, and say that they did.
    pub(super) fn lie_about_syncing(&self) {
        self.state().lies = true;
    }

    /// What the system has of the disk: all that was written, synced or not.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    /// Operations so far, those that failed too.
    pub(super) fn count(&self, among: Among) -> u64 {
        self.state().countdown.count(among)
    }

    /// Whether an operation has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.state().countdown.has_struck()
    }

    /// All operations so far.
    pub(crate) fn operations(&self) -> Operations {
        self.state().operations.clone()
    }

    /// How many operations there are so far.
    pub(crate) fn operation_count(&self) -> usize {
        self.state().operations.len()
    }

    /// Remembers the present moment.
    pub(super) fn mark(&self) {
        let mut state = self.state();
        state.mark = state.operations.len();
    }

    /// How many operations there were at the moment of [`Disk::mark`].
    pub(super) fn marked(&self) -> usize {
        self.state().mark
    }

    pub(crate) fn len_bytes(&self) -> u64 {
        self.state().bytes.len() as u64
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Disks that fail.
#[cfg(test)]
impl Disk {
    /// What a power cut leaves if it leaves nothing that was not synced, of a disk that began empty.
    pub(crate) fn synced_image(&self) -> Vec<u8> {
        let any = &mut ChaCha8Rng::seed_from_u64(0);
        image(&[], &self.operations(), Survivors::Nothing, any)
    }

    /// Lets `count` further syncs succeed; then one fails, and nothing of what it should have kept lasts.
    pub(crate) fn fail_sync_after(&self, count: u64) {
        self.state().syncs_left = Some(count);
    }

    /// Makes the device this large; `None` for no bound.
    pub(crate) fn set_capacity(&self, capacity: Option<u64>) {
        self.state().capacity = capacity;
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.state();
        state.read()?;
        Ok(state.bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        state.read()?;
        let stored = state.bytes.get(offset as usize..).and_then(|bytes| bytes.get(..out.len()));
        out.copy_from_slice(stored.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        if let Some(kind) = state.countdown.change() {
            return Err(kind.error());
        }
        if state.capacity.is_some_and(|capacity| len > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.bytes.resize(len as usize, 0);
        state.operations.push(Operation::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        if let Some(kind) = state.countdown.change() {
            state.forget();
            return Err(kind.error());
        }
        match &mut state.syncs_left {
            Some(0) => return Err(io::Error::other("the disk is on fire")),
            Some(left) => *left -= 1,
            None => {}
        }
        if !state.lies {
            state.operations.push(Operation::Sync);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        match state.countdown.change() {
            None => state.write(offset, data),
            Some(kind) => {
                if kind == FaultKind::Torn {
                    state.write(offset, &data[..data.len() / 2]);
                }
                return Err(kind.error());
            }
        }
        Ok(())
    }
}

impl State {
    fn read(&mut self) -> io::Result<()> {
        self.countdown.read().map_or(Ok(()), |kind| Err(kind.error()))
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        put(&mut self.bytes, offset, data);
        self.operations.push(Operation::Write { offset, bytes: data.to_vec() });
    }

    /// A sync has failed: of what it should have kept no later one keeps more than a part.
    fn forget(&mut self) {
        let mut rng = ChaCha8Rng::seed_from_u64(self.countdown.count(Among::Changes));
        let unsynced = self.operations.split_off(synced_count(&self.operations));
        for change in sectors(&unsynced) {
            if rng.next_u32().is_multiple_of(2) {
                self.operations.push(match change {
                    Change::SetLen(len) => Operation::SetLen(len),
                    Change::Sector { offset, bytes } => {
                        Operation::Write { offset, bytes: bytes.to_vec() }
                    }
                });
            }
        }
    }
}

/// Which unsynced sectors a power cut leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Survivors {
    /// None: the cache is lost.
    Nothing,
    /// All of them.
    All,
    /// Each one by chance, so that writes are torn.
    Some,
    /// Each one by chance, and of two writes to a sector the earlier one may be the last.
    Reordered,
    /// Those of the header: it arrived before what it points to.
    HeaderOnly,
    /// All but those of the header.
    AllButHeader,
    /// All but a single one.
    AllButOne,
}

impl Survivors {
    /// Any of them.
    pub(crate) fn draw(rng: &mut ChaCha8Rng) -> Self {
        let all = [
            Self::Nothing,
            Self::All,
            Self::Some,
            Self::Reordered,
            Self::HeaderOnly,
            Self::AllButHeader,
            Self::AllButOne,
        ];
        all[below(rng, all.len())]
    }
}

/// The disk after a power cut: `base` with all operations up to the last sync, and the survivors of those
/// after it.
pub(crate) fn image(
    base: &[u8],
    operations: &[Operation],
    survivors: Survivors,
    rng: &mut ChaCha8Rng,
) -> Vec<u8> {
    let (synced, unsynced) = operations.split_at(synced_count(operations));
    let mut image = base.to_vec();
    for operation in synced {
        match operation {
            Operation::Write { offset, bytes } => put(&mut image, *offset, bytes),
            Operation::SetLen(len) => image.resize(*len as usize, 0),
            Operation::Sync => {}
        }
    }
    let mut changes = sectors(unsynced);
    if survivors == Survivors::Reordered {
        for last in (1..changes.len()).rev() {
            changes.swap(last, below(rng, last + 1));
        }
    }
    let spared: BTreeSet<usize> = match survivors {
        Survivors::AllButOne if !changes.is_empty() => [below(rng, changes.len())].into(),
        _ => BTreeSet::new(),
    };
    for (index, change) in changes.into_iter().enumerate() {
        let in_header = matches!(change, Change::Sector { offset, .. } if offset < HEADER_BYTES);
        let survives = match survivors {
            Survivors::Nothing => false,
            Survivors::All => true,
            Survivors::Some | Survivors::Reordered => rng.next_u32().is_multiple_of(2),
            Survivors::HeaderOnly => in_header,
            Survivors::AllButHeader => !in_header,
            Survivors::AllButOne => !spared.contains(&index),
        };
        match change {
            Change::Sector { offset, bytes } if survives => put(&mut image, offset, bytes),
            Change::SetLen(len) if survives => image.resize(len as usize, 0),
            Change::Sector { .. } | Change::SetLen(_) => {}
        }
    }
    image
}

/// How many operations there are up to the last sync.
fn synced_count(operations: &[Operation]) -> usize {
    let last = operations.iter().rposition(|operation| matches!(operation, Operation::Sync));
    last.map_or(0, |index| index + 1)
}

/// What the disk keeps or drops as one.
enum Change<'a> {
    Sector { offset: u64, bytes: &'a [u8] },
    SetLen(u64),
}

fn sectors(operations: &[Operation]) -> Vec<Change<'_>> {
    let mut changes = Vec::new();
    for operation in operations {
        match operation {
            Operation::Write { offset, bytes } => {
                // The first piece reaches to the end of its sector.
                let first = (SECTOR_BYTES - (*offset as usize % SECTOR_BYTES)).min(bytes.len());
                let (first, rest) = bytes.split_at(first);
                changes.push(Change::Sector { offset: *offset, bytes: first });
                let mut offset = offset + first.len() as u64;
                for bytes in rest.chunks(SECTOR_BYTES) {
                    changes.push(Change::Sector { offset, bytes });
                    offset += bytes.len() as u64;
                }
            }
            Operation::SetLen(len) => changes.push(Change::SetLen(*len)),
            Operation::Sync => {}
        }
    }
    changes
}

/// Writes beyond the end make the file longer.
fn put(image: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + bytes.len());
    if image.len() < end {
        image.resize(end, 0);
    }
    image[start..end].copy_from_slice(bytes);
}

/// What disks write as one.
const SECTOR_BYTES: usize = 512;

/// redb's header: which of its two roots is the present one.
const HEADER_BYTES: u64 = 512;
