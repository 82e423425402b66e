//! What is remembered of a peer beyond one link.

use std::collections::{BTreeMap, VecDeque};

use millpond_core::{Boot, Namespace, VersionVector};
use serde::{Deserialize, Serialize};

use super::LinkId;
use crate::planted::planted;
use crate::status::LinkCounters;

/// What is known of a peer.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// Its vectors, as of its last word: a hello replaces them, acks and digests add to them.
    pub(super) vectors: BTreeMap<Namespace, Vectors>,
    /// Whether they are its word in this run, not one remembered from an earlier.
    pub(super) is_heard: bool,
    /// Whether what was heard differs from what the store remembers.
    pub(super) is_unsaved: bool,
    /// Its boot, from its latest hello.
    pub(super) boot: Option<Boot>,
    /// The link on which that boot spoke first: links are numbered as they come up.
    boot_link: LinkId,
    /// Boots that it had before that one. One of them that speaks again proves a copy.
    pub(super) superseded: VecDeque<Boot>,
    /// Whether two live boots of its key were seen.
    pub(super) is_cloned: bool,
    /// Whether the operator paused it.
    pub(super) is_paused: bool,
    /// Whether a dial is under way.
    pub(super) is_dialing: bool,
    /// Dials since the last link that opened.
    pub(super) attempts: u32,
    /// When it may be dialled next.
    pub(super) dial_at_ms: u64,
    /// Why there is no link.
    pub(super) last_error: Option<String>,
    /// When its last frame came.
    pub(super) seen_ms: Option<u64>,
    /// What moved.
    pub(super) counters: LinkCounters,
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

    /// Meets a boot of it, on a link.
    pub(super) fn meet_boot(&mut self, boot: Boot, link: LinkId) -> BootMet {
        let is_quick = planted!("a restart is no copy") && self.boot.is_some_and(|it| it != boot);
        if self.superseded.contains(&boot) || is_quick {
            // What was under way when the later boot spoke is no proof: its sender may be dead by now.
            let is_older = link < self.boot_link && !planted!("a late hello is no copy");
            return match is_older || planted!("an older boot that dials is a copy") {
                true => BootMet::Leftover,
                false => BootMet::Copy,
            };
        }
        let before = self.boot.replace(boot);
        if before != Some(boot) {
            self.boot_link = link;
            self.superseded.extend(before);
        }
        while self.superseded.len() > SUPERSEDED_MAX {
            self.superseded.pop_front();
        }
        BootMet::Current
    }
}

/// Whose boot it is that said hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BootMet {
    /// The node's, as far as is known.
    Current,
    /// That of a link from before the current boot.
    Leftover,
    /// One that the current boot has superseded, and that lives: two nodes hold the key.
    Copy,
}

/// Boots remembered for each peer.
const SUPERSEDED_MAX: usize = 16;
