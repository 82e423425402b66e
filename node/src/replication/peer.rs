//! What is remembered of a peer beyond one link.

use std::collections::{BTreeMap, VecDeque};

use millpond_core::{Boot, Namespace, NodeKey, VersionVector};
use serde::{Deserialize, Serialize};

use super::counting::{Counters, Origins};
use super::words::Words;
use crate::planted::planted;
use crate::probes::sometimes;
use crate::status::Eviction;

/// What is known of a peer.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// Its vectors, as of its last word: a hello replaces them, acks and digests add to them.
    pub(super) vectors: BTreeMap<Namespace, Vectors>,
    /// Below these vectors its tombstones are gone, by its latest hello and what it has compared since.
    pub(super) floors: BTreeMap<Namespace, VersionVector>,
    /// What it had on its disk, by which tombstones are collected.
    pub(super) words: Words,
    /// For how long this node has listened and not heard of it.
    pub(super) silent_ms: u64,
    /// Why it is not waited for, if it is not.
    pub(super) evicted: Option<Eviction>,
    /// Whether they are its word in this run, not one remembered from an earlier.
    pub(super) is_heard: bool,
    /// Whether what was heard differs from what the store remembers.
    pub(super) is_unsaved: bool,
    /// Its boot, from its latest hello.
    pub(super) boot: Option<Boot>,
    /// When that boot was last heard.
    pub(super) boot_seen_ms: u64,
    /// Boots that it had before that one. If one of them is heard again, and again later, and the current
    /// one in between, two nodes hold the key.
    superseded: VecDeque<Superseded>,
    /// The key that it showed on its latest link.
    pub(super) shown: Option<NodeKey>,
    /// Whether two live boots of its key were seen.
    pub(super) is_cloned: bool,
    /// Whether it has said that it is not ready; since its latest hello it has to say that it is.
    pub(super) in_rehab: bool,
    /// Whether the operator paused it.
    pub(super) is_paused: bool,
    /// Whether a dial is under way.
    pub(super) is_dialing: bool,
    /// Whether it is to be dialled soon if that one comes to nothing.
    pub(super) is_hurried: bool,
    /// Dials since the last link that opened.
    pub(super) attempts: u32,
    /// Since when it gives no answer to dials.
    pub(super) gone_since_ms: Option<u64>,
    /// When it may be dialled next.
    pub(super) dial_at_ms: u64,
    /// Why there is no link.
    pub(super) last_error: Option<String>,
    /// When its last frame came.
    pub(super) seen_ms: Option<u64>,
    /// What moved.
    pub(super) counters: Counters,
    /// What was pushed, by origin.
    pub(super) origins: Origins,
}

/// A peer's vectors of one namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Vectors {
    /// Received, perhaps not yet applied.
    pub(super) received: VersionVector,
    /// Applied.
    pub(super) applied: VersionVector,
    /// Applied and on disk.
    pub(super) durable: VersionVector,
}

impl Peer {
    /// Its vectors of a namespace; empty while nothing is known.
    pub(super) fn vectors(&self, namespace: Namespace) -> &Vectors {
        static NOTHING: Vectors = Vectors {
            received: VersionVector::new(),
            applied: VersionVector::new(),
            durable: VersionVector::new(),
        };
        self.vectors.get(&namespace).unwrap_or(&NOTHING)
    }

    /// Its floor of a namespace.
    pub(super) fn floor(&self, namespace: Namespace) -> &VersionVector {
        static NOTHING: VersionVector = VersionVector::new();
        self.floors.get(&namespace).unwrap_or(&NOTHING)
    }

    /// Meets a boot of it. A dead process is heard for less than `late_ms` after its end, and a live one at
    /// least as often.
    pub(super) fn meet_boot(&mut self, boot: Boot, now_ms: u64, late_ms: u64) -> BootMet {
        let is_quick = planted!("a restart is no copy") && self.boot.is_some_and(|it| it != boot);
        if is_quick {
            return BootMet::Copy;
        }
        let known = self.superseded.iter().position(|older| older.boot == boot);
        if let Some(older) = known {
            let before = &mut self.superseded[older];
            // What a dead process sent may still be under way when another one speaks. Two live only if each
            // is heard well after the other; else the one that comes back is the one that lives.
            let first_ms = *before.seen_ms.get_or_insert(now_ms);
            if planted!("a late hello is no copy") {
                return BootMet::Copy;
            }
            if now_ms < first_ms + 2 * late_ms {
                return BootMet::Leftover;
            }
            if self.boot_seen_ms >= first_ms + late_ms {
                // When one of them is stopped, the other one is to be found to live.
                before.seen_ms = Some(now_ms);
                return match planted!("two that are heard are copies") {
                    true => BootMet::Leftover,
                    false => BootMet::Copy,
                };
            }
            sometimes!(OlderBootLives);
            self.superseded.remove(older);
        }
        self.boot_seen_ms = now_ms;
        let before = self.boot.replace(boot).filter(|before| *before != boot);
        self.superseded.extend(before.map(|boot| Superseded { boot, seen_ms: None }));
        while self.superseded.len() > SUPERSEDED_MAX {
            self.superseded.pop_front();
        }
        BootMet::Current
    }
}

/// A boot that a later one has superseded.
#[derive(Debug)]
pub(super) struct Superseded {
    boot: Boot,
    /// When it first spoke after that.
    seen_ms: Option<u64>,
}

/// Whose boot it is that said hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BootMet {
    /// The node's, as far as is known.
    Current,
    /// One that the current boot has superseded, which is dead as far as is known.
    Leftover,
    /// One that the current boot has superseded, and that lives: two nodes hold the key.
    Copy,
}

/// Boots remembered for each peer.
const SUPERSEDED_MAX: usize = 16;
