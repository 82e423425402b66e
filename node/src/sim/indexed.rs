//! Indexes in the simulator: what nodes declare, and what must hold of them after every commit.

use std::sync::Arc;

use millpond_core::types::{lww, multi};
use millpond_core::{Entry, LiveDot, PayloadKind};

use super::net::NodeId;
use super::world::{Check, World};
use crate::indexes::audit::{audit, audit_tx};
use crate::indexes::{Declared, DeclaredField, Unlisted};
use crate::state::WriteTx;
use crate::store::Store;

impl World {
    /// From now on nodes declare indexes, each from its next start on.
    pub(crate) fn declare_indexes(&mut self) {
        self.is_indexed = true;
        for id in 0..self.nodes.len() {
            self.crash(id, true);
            self.start(id);
        }
    }
}

/// What a node's program declares at an opening. Programs change, and now and then one has no indexes.
pub(crate) fn declared(boots: u64) -> Arc<[Declared]> {
    let shown = DeclaredField { name: "f", values: shown, type_name: "shown" };
    let all = DeclaredField { name: "f", values: all, type_name: "all" };
    let index = |name, fields| Declared { collection: "at", name, is_key: |_| true, fields };
    let by_value = index("value", vec![shown.clone()]);
    let by_all = index("all", vec![all.clone()]);
    let by_both = index("both", vec![all, shown.clone()]);
    let other = index("value", vec![shown.clone(), shown]);
    match boots % 5 {
        4 => Arc::default(),
        3 => [other, by_all].into(),
        2 => [by_value, by_both].into(),
        _ => [by_value, by_all, by_both].into(),
    }
}

/// After a commit the node's indexes are what a scan says.
pub(crate) fn indexes_are_right(world: &World, node: NodeId) -> Check {
    let Some(running) = &world.nodes[node].running else { return Ok(()) };
    let store = &world.nodes[node].store;
    if !world.is_indexed || store.is_rotten() {
        return Ok(());
    }
    let snapshot = store.snapshot().map_err(|error| error.to_string())?;
    let (declared, pick) = (&running.heads.indexing.declared, world.trace.events() as usize);
    audit(&snapshot, declared, Some(pick)).map_err(|why| format!("{why}, at {node}"))
}

/// What a transaction finds is what it sees.
pub(crate) fn finds_its_own(tx: &WriteTx<'_>, declared: &[Declared], pick: usize) {
    if let Err(why) = audit_tx(tx, declared, Some(pick)) {
        // What damage hides nobody finds.
        assert!(!why.starts_with("indexes"), "{why}, in a transaction");
    }
}

/// The value that readers see, as a plain field has it.
fn shown(entry: Option<&Entry>) -> Result<Vec<Vec<u8>>, Unlisted> {
    Ok(vec![entry.and_then(lww::read).map_or(Ok(Vec::new()), value)?])
}

/// All values, as a field that shows conflicts has them.
fn all(entry: Option<&Entry>) -> Result<Vec<Vec<u8>>, Unlisted> {
    entry.map(multi::read).unwrap_or_default().into_iter().map(value).collect()
}

/// A kind that only a later version writes is not readable.
fn value(live: &LiveDot) -> Result<Vec<u8>, Unlisted> {
    match live.payload.kind {
        PayloadKind::LWW => Ok(live.payload.bytes.to_vec()),
        _ => Err(Unlisted),
    }
}
