//! What crosses each link, noted at both ends: nothing may be lost, doubled or swapped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use millpond::sim::shell::describe;
use millpond_core::NodeKey;
use millpond_core::transport::Lane;
use xxhash_rust::xxh3::xxh3_64;

/// The ends of all links that there were. Clones are one.
#[derive(Clone, Default)]
pub(crate) struct Wires(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    ends: Vec<End>,
    dials: u64,
    /// What is said, in words, once somebody wants to read it.
    words: Option<Vec<String>>,
}

/// One end of a link.
struct End {
    node: usize,
    peer: NodeKey,
    dialed: bool,
    is_open: bool,
    sent: [Frames; 2],
    received: [Frames; 2],
}

/// The hashes of the frames of a lane, in their order.
type Frames = Vec<u64>;

/// An end, for whoever notes what crosses it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndId(usize);

impl Wires {
    pub(crate) fn dials(&self) -> u64 {
        self.state().dials
    }

    /// How many ends there were so far, two of each link of which both nodes know.
    pub(crate) fn ends(&self) -> usize {
        self.state().ends.len()
    }

    pub(crate) fn dial(&self) {
        self.state().dials += 1;
    }

    pub(crate) fn open(&self, node: usize, peer: NodeKey, dialed: bool) -> EndId {
        let ends = &mut self.state().ends;
        let [sent, received] = Default::default();
        ends.push(End { node, peer, dialed, is_open: true, sent, received });
        EndId(ends.len() - 1)
    }

    /// From now on keeps what is said, in words.
    pub(crate) fn keep_words(&self) {
        self.state().words = Some(Vec::new());
    }

    /// What was said since then, line by line.
    pub(crate) fn words(&self) -> Vec<String> {
        self.state().words.clone().unwrap_or_default()
    }

    /// Notes a frame that is sent, and says how many were before it on its lane.
    pub(crate) fn send(&self, end: EndId, lane: Lane, frame: &Bytes, now_ms: u64) -> usize {
        let state = &mut *self.state();
        let End { node, peer, .. } = state.ends[end.0];
        if let Some(words) = &mut state.words {
            let (peer, said) = (peer.short(), describe(frame));
            words.push(format!("{now_ms:>8} ms  {node} -> {peer} ({lane:?})  {said}"));
        }
        let frames = &mut state.ends[end.0].sent[lane as usize];
        frames.push(xxh3_64(frame));
        frames.len() - 1
    }

    pub(crate) fn receive(&self, end: EndId, lane: Lane, frame: &[u8]) {
        self.state().ends[end.0].received[lane as usize].push(xxh3_64(frame));
    }

    pub(crate) fn end(&self, end: EndId) {
        self.state().ends[end.0].is_open = false;
    }

    /// A node's process has ended, and its ends with it.
    pub(crate) fn crashed(&self, node: usize) {
        self.state().ends.iter_mut().filter(|end| end.node == node).for_each(|end| {
            end.is_open = false;
        });
    }

    /// Whether each two of these nodes have one link, of which both ends know.
    pub(crate) fn are_meshed(&self, keys: &[NodeKey]) -> bool {
        let mut open: BTreeMap<(usize, NodeKey), usize> = BTreeMap::new();
        for end in self.state().ends.iter().filter(|end| end.is_open) {
            *open.entry((end.node, end.peer)).or_default() += 1;
        }
        let count = keys.len();
        open.len() == count * (count - 1) && open.values().all(|links| *links == 1)
    }

    /// Whether nothing is under way on any link that is open.
    pub(crate) fn are_quiet(&self, keys: &[NodeKey]) -> bool {
        self.judge_open(keys).is_ok()
    }

    /// What arrived is what was sent: all of it on links that are open, the first of it on those that have ended.
    pub(crate) fn judge(&self, keys: &[NodeKey]) -> Result<(), String> {
        self.judge_open(keys)?;
        let ends = &self.state().ends;
        for end in ends {
            let mut others = ends.iter().filter(|other| are_ends_of_one(end, other, keys));
            let is_empty = end.received.iter().all(Vec::is_empty);
            if !is_empty && !others.any(|other| came_from(end, other)) {
                let peer = end.peer.short();
                return Err(format!("frames: of what {} got from {peer} one is wrong", end.node));
            }
        }
        Ok(())
    }

    fn judge_open(&self, keys: &[NodeKey]) -> Result<(), String> {
        let ends = &self.state().ends;
        for end in ends.iter().filter(|end| end.is_open) {
            let mut others =
                ends.iter().filter(|other| other.is_open && are_ends_of_one(end, other, keys));
            if !others.any(|other| end.received == other.sent) {
                let peer = end.peer.short();
                let got = end.received.each_ref().map(Vec::len);
                return Err(format!("frames: {} lacks some of {peer}, it got {got:?}", end.node));
            }
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn are_ends_of_one(a: &End, b: &End, keys: &[NodeKey]) -> bool {
    keys[a.node] == b.peer && keys[b.node] == a.peer && a.dialed != b.dialed
}

fn came_from(end: &End, other: &End) -> bool {
    end.received.iter().zip(&other.sent).all(|(received, sent)| sent.starts_with(received))
}
