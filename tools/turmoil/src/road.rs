//! What happens to datagrams between a socket and turmoil's network, and the trace of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millpond::sim::shell::Cluster;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// A datagram on its way: what equal seeds have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram {
    /// When it was sent, in milliseconds of virtual time.
    pub at_ms: u64,
    /// The port of its sender, each node's own.
    pub from: u16,
    /// The port of its receiver.
    pub to: u16,
    /// Its size.
    pub bytes: usize,
    /// The hash of what is in it.
    pub content: u64,
    /// What became of it: how many copies went on, none if it was lost.
    pub copies: u8,
}

/// All roads of a network. Clones are one.
#[derive(Clone)]
pub(crate) struct Road {
    cluster: Cluster,
    state: Arc<Mutex<State>>,
}

struct State {
    rng: ChaCha8Rng,
    /// Of a million datagrams so many are lost.
    lost_ppm: u64,
    /// And so many arrive twice.
    doubled_ppm: u64,
    trace: Vec<Datagram>,
}

impl Road {
    pub(crate) fn new(cluster: Cluster, seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let state = State { rng, lost_ppm: 0, doubled_ppm: 0, trace: Vec::new() };
        Self { cluster, state: Arc::new(Mutex::new(state)) }
    }

    pub(crate) fn set_weather(&self, lost_ppm: u64, doubled_ppm: u64) {
        let mut state = self.state();
        (state.lost_ppm, state.doubled_ppm) = (lost_ppm, doubled_ppm);
    }

    /// A datagram sets out: how many copies of it go on.
    pub(crate) fn set_out(&self, from: u16, to: u16, datagram: &[u8]) -> u8 {
        let at_ms = self.cluster.now_ms();
        let state = &mut *self.state();
        let drawn = state.rng.next_u64() % 1_000_000;
        let copies = match drawn {
            _ if drawn < state.lost_ppm => 0,
            _ if drawn < state.lost_ppm + state.doubled_ppm => 2,
            _ => 1,
        };
        let (bytes, content) = (datagram.len(), xxh3_64(datagram));
        state.trace.push(Datagram { at_ms, from, to, bytes, content, copies });
        copies
    }

    pub(crate) fn trace(&self) -> Vec<Datagram> {
        self.state().trace.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number for a trace: equal ones have equal numbers.
pub(crate) fn hash(trace: &[Datagram]) -> u64 {
    let mut hasher = Xxh3::new();
    for Datagram { at_ms, from, to, bytes, content, copies } in trace {
        hasher.update(&at_ms.to_le_bytes());
        hasher.update(&from.to_le_bytes());
        hasher.update(&to.to_le_bytes());
        hasher.update(&(*bytes as u64).to_le_bytes());
        hasher.update(&content.to_le_bytes());
        hasher.update(&[*copies]);
    }
    hasher.digest()
}
