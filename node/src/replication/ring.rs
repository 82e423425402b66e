//! The ring of recent transactions, from which live feeds are served.

use std::collections::{BTreeMap, VecDeque};

use millpond_core::wire::PushFrame;
use millpond_core::{Incarnation, Namespace, VersionVector};

use crate::planted::planted;
use crate::probes::sometimes;

/// Recent transactions in the order in which they were committed here, encoded once and shared by all links.
///
/// Its base is, for each namespace, a vector: everything at or below it is no longer here, or never was,
/// since it came by catch-up. Only a peer that covers the base can be fed from here.
#[derive(Debug, Default)]
pub(super) struct Ring {
    items: VecDeque<RingItem>,
    first: u64,
    bytes: usize,
    bytes_max: usize,
    base: BTreeMap<Namespace, VersionVector>,
    /// Where each origin's transactions are, in their order.
    by_origin: BTreeMap<(Namespace, Incarnation), VecDeque<u64>>,
}

/// One transaction in the ring.
#[derive(Debug, Clone)]
pub(super) struct RingItem {
    /// The transaction.
    pub(super) push: PushFrame,
    /// Whether this replica wrote it.
    pub(super) is_own: bool,
    /// When it was stored here, in monotonic milliseconds.
    pub(super) stored_ms: u64,
}

impl Ring {
    /// A ring of at most so many bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, ..Self::default() }
    }

    /// Adds a transaction and drops what is over the budget or too old.
    pub(super) fn push(&mut self, item: RingItem) {
        let now_ms = item.stored_ms;
        self.bytes += item.push.encoded_bytes();
        let position = self.end();
        let of = (item.push.namespace(), item.push.origin());
        self.by_origin.entry(of).or_default().push_back(position);
        self.items.push_back(item);
        let is_old = |it: &RingItem| it.stored_ms + RING_AGE_MS_MAX < now_ms;
        while (self.bytes > self.bytes_max && !planted!("the ring is bounded"))
            || self.items.front().is_some_and(is_old)
        {
            self.drop_first();
        }
    }

    /// Raises the base of a namespace: what a catch-up brought is not here as transactions.
    pub(super) fn raise_base(&mut self, namespace: Namespace, vv: &VersionVector) {
        self.base.entry(namespace).or_default().join(vv);
    }

    /// Bytes of the transactions in it.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a peer at `vv` can be fed from here.
    pub(super) fn serves(&self, namespace: Namespace, vv: &VersionVector) -> bool {
        self.lacking(namespace, vv).is_empty()
    }

    /// What a peer at `vv` lacks that is not, or no longer, here.
    pub(super) fn lacking(&self, namespace: Namespace, vv: &VersionVector) -> VersionVector {
        let base = self.base.get(&namespace).filter(|_| !planted!("the ring has a base"));
        base.map(|base| base.difference(vv)).unwrap_or_default()
    }

    /// The positions of an origin's transactions beyond a seq, in their order.
    pub(super) fn positions(
        &self,
        namespace: Namespace,
        origin: Incarnation,
        after: u64,
    ) -> impl Iterator<Item = u64> + '_ {
        let all = self.by_origin.get(&(namespace, origin)).into_iter().flatten().copied();
        all.skip_while(move |&position| {
            self.get(position).is_none_or(|item| item.push.last().get() <= after)
        })
    }

    /// Up to which seq an origin's transactions are not, or no longer, here.
    pub(super) fn base_of(&self, namespace: Namespace, origin: Incarnation) -> u64 {
        self.base.get(&namespace).map_or(0, |base| base.seq(origin))
    }

    /// The transaction at a position; `None` when it was dropped or has not come.
    pub(super) fn get(&self, position: u64) -> Option<&RingItem> {
        self.items.get(position.checked_sub(self.first)? as usize)
    }

    /// The position of the oldest transaction.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The position after the newest transaction.
    pub(super) fn end(&self) -> u64 {
        self.first + self.items.len() as u64
    }

    fn drop_first(&mut self) {
        let Some(item) = self.items.pop_front() else { return };
        sometimes!(self.bytes > self.bytes_max, RingOverflows);
        self.first += 1;
        self.bytes -= item.push.encoded_bytes();
        let of = (item.push.namespace(), item.push.origin());
        if let Some(positions) = self.by_origin.get_mut(&of) {
            positions.pop_front();
            if positions.is_empty() {
                self.by_origin.remove(&of);
            }
        }
        self.base.entry(item.push.namespace()).or_default().advance(item.push.last_dot());
    }
}

/// How long a transaction stays: longer than any reconnect takes.
const RING_AGE_MS_MAX: u64 = 60_000;
