//! The lease: proof, kept outside the data folder, that a store continues where it stopped.
//!
//! An image of the folder, restored or copied, brings its seqs along but not the lease, or meets a lease
//! that has moved on. So: same store, same boot, and seqs not below the lease's, or the first write takes a
//! new incarnation. What stays open is a rollback of less than a second while the node is writing.
//!
//! A copy that is started beside its original, on the same host, would find the original's lease and take it
//! for its own. So whoever runs a store holds a lock beside the lease.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millpond_core::{Boot, Incarnation, Namespace, VersionVector};
use serde::{Deserialize, Serialize};

use crate::planted::planted;
use crate::probes::sometimes;
use crate::state::Heads;

/// What a lease says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// The store's id, in hex.
    store: String,
    /// The boot that wrote it.
    boot: Boot,
    /// The incarnation that was open, in hex.
    open: Option<String>,
    /// Its highest durable seqs, by namespace number.
    seqs: BTreeMap<u32, u64>,
    /// How many dots it held, whoever issued them, by namespace number; none in leases of earlier versions, and of
    /// who had yet to catch up with what it had once held.
    #[serde(default)]
    held: BTreeMap<u32, u64>,
}

impl Lease {
    /// The lease of a store at these heads, which holds whatever it has ever held, or not.
    pub(crate) fn new(store: &[u8; 16], boot: Boot, heads: &Heads, is_level: bool) -> Self {
        let seqs = heads.open.map(|open| seqs(heads, open)).unwrap_or_default();
        let open = heads.open.map(|open| open.to_string());
        let is_level = is_level || planted!("who has yet to catch up proves nothing");
        let held = if is_level { held(heads) } else { BTreeMap::new() };
        Self { store: hex(store), boot, open, seqs, held }
    }

    /// Whether a store, opened before by `boot` and now at `heads`, holds at least what it held: others' writes
    /// too. It says less than [`Lease::proves`] of the node's own, and more of all.
    pub(crate) fn is_level(&self, store: &[u8; 16], boot: Boot, heads: &Heads) -> bool {
        let here = held(heads);
        let reaches =
            |(number, count): (&u32, &u64)| here.get(number).is_some_and(|here| here >= count);
        let all = !self.held.is_empty() && self.held.iter().all(reaches);
        self.store == hex(store) && self.boot == boot && all
    }

    /// Whether a store, opened before by `boot` and now at `heads`, continues from here.
    pub(crate) fn proves(&self, store: &[u8; 16], boot: Boot, heads: &Heads) -> bool {
        let Some(open) = heads.open else { return true };
        let here = seqs(heads, open);
        let covers = |(number, seq): (&u32, &u64)| here.get(number).is_some_and(|at| at >= seq);
        // A lease written before the incarnation was opened proves nothing about it, unless it is younger
        // than a second: then the seqs of its opening are still unwritten, and the boot decides.
        let is_same = self.open.is_none() || self.open == Some(open.to_string());
        let is_boot = match planted!("boots differ in their random part") {
            true => self.boot.counter == boot.counter,
            false => self.boot == boot,
        };
        let reaches = self.seqs.iter().all(covers) || planted!("a lease holds the highest seqs");
        sometimes!(is_boot && is_same && !reaches, LeaseIsAhead);
        sometimes!(!is_boot, LeaseOfAnotherBoot);
        self.store == hex(store) && is_boot && is_same && reaches
    }
}

/// The file that holds a store's lease, for as long as this process runs the store.
#[derive(Debug, Clone)]
pub(crate) struct LeaseFile {
    path: PathBuf,
    /// The system releases it when the process ends, however that happens.
    #[expect(dead_code, reason = "it is held, not used")]
    lock: Arc<File>,
}

impl LeaseFile {
    /// The lease of a store in a state folder, which is created if it is missing; `None` when another process
    /// runs the same store.
    pub(crate) fn hold(state_dir: &Path, store: &[u8; 16]) -> io::Result<Option<Self>> {
        fs::create_dir_all(state_dir)?;
        let path = state_dir.join(format!("{}.lease", hex(store)));
        let lock = File::create(path.with_extension("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            // Some network file systems have no locks; then only the members can tell that there are two.
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, "the state folder takes no lock");
            }
        }
        Ok(Some(Self { path, lock: Arc::new(lock) }))
    }

    /// The lease, if there is a readable one.
    pub(crate) fn read(&self) -> Option<Lease> {
        serde_json::from_slice(&fs::read(&self.path).ok()?).ok()
    }

    /// Replaces the lease, durably.
    pub(crate) fn write(&self, lease: &Lease) -> io::Result<()> {
        let next = self.path.with_extension("lease-next");
        let mut file = File::create(&next)?;
        file.write_all(&serde_json::to_vec(lease)?)?;
        file.sync_all()?;
        fs::rename(&next, &self.path)?;
        match self.path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

fn seqs(heads: &Heads, open: Incarnation) -> BTreeMap<u32, u64> {
    [Namespace::SYSTEM, Namespace::MAIN]
        .into_iter()
        .map(|namespace| (namespace.number(), heads.vv(namespace).seq(open)))
        .filter(|(_, seq)| *seq > 0)
        .collect()
}

/// A vector never falls, so within one boot the number of its dots tells whether it is the same or a later one.
fn held(heads: &Heads) -> BTreeMap<u32, u64> {
    let nothing = VersionVector::new();
    let count = |namespace: Namespace| heads.vv(namespace).count_beyond(&nothing);
    [Namespace::SYSTEM, Namespace::MAIN].into_iter().map(|it| (it.number(), count(it))).collect()
}

fn hex(bytes: &[u8; 16]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use millpond_core::{Dot, Seq};

    const STORE: [u8; 16] = [1; 16];
    const BOOT: Boot = Boot { counter: 6, random: 7 };

    fn heads(seq: u64) -> Heads {
        let open = Incarnation::from_bytes([2; 16]);
        let mut heads = Heads { open: Some(open), ..Heads::default() };
        let vv = heads.vv.entry(Namespace::MAIN).or_default();
        vv.advance(Dot::new(open, Seq::new(seq).unwrap()));
        heads
    }

    #[test]
    fn a_store_that_went_on_is_continued() {
        let lease = Lease::new(&STORE, BOOT, &heads(5), true);
        assert!(lease.proves(&STORE, BOOT, &heads(5)));
        assert!(lease.proves(&STORE, BOOT, &heads(9)), "the lease may be a second old");
    }

    /// S2: a volume rolled back to an image taken within the current boot.
    #[test]
    fn an_image_from_within_the_boot_is_not_continued() {
        let lease = Lease::new(&STORE, BOOT, &heads(5), true);
        assert!(!lease.proves(&STORE, BOOT, &heads(4)));
    }

    /// Of a store that issues nothing only others' writes tell how old an image is.
    #[test]
    fn an_image_with_fewer_dots_of_others_is_not_level() {
        let others = |seq| Heads { open: None, ..heads(seq) };
        let lease = Lease::new(&STORE, BOOT, &others(5), true);
        assert!(lease.proves(&STORE, BOOT, &others(4)), "it has issued nothing");
        assert!(!lease.is_level(&STORE, BOOT, &others(4)));
        assert!(
            lease.is_level(&STORE, BOOT, &others(5)) && lease.is_level(&STORE, BOOT, &others(9))
        );
        assert!(!lease.is_level(&STORE, Boot { random: 8, ..BOOT }, &others(5)));
    }

    /// S19: an image of boot 6 opens as boot 7 again; the random part tells them apart.
    #[test]
    fn another_boot_or_store_is_not_continued() {
        let lease = Lease::new(&STORE, BOOT, &heads(5), true);
        assert!(!lease.proves(&STORE, Boot { random: 8, ..BOOT }, &heads(5)));
        assert!(!lease.proves(&STORE, Boot { counter: 5, ..BOOT }, &heads(5)));
        assert!(!lease.proves(&[9; 16], BOOT, &heads(5)));
    }

    #[test]
    fn a_lease_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = LeaseFile::hold(folder.path(), &STORE).unwrap().unwrap();
        assert_eq!(file.read(), None);
        let lease = Lease::new(&STORE, BOOT, &heads(5), true);
        file.write(&lease).unwrap();
        assert_eq!(file.read(), Some(lease));
    }

    #[test]
    fn a_store_is_run_once_on_a_host() {
        let folder = tempfile::tempdir().unwrap();
        let hold = |store| LeaseFile::hold(folder.path(), store).unwrap();
        let first = hold(&STORE);
        assert!(first.is_some() && hold(&[9; 16]).is_some());
        assert!(hold(&STORE).is_none(), "its lease would prove a copy");
        drop(first);
        assert!(hold(&STORE).is_some());
    }
}
