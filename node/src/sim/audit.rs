//! What must hold of a store at any time (R2, R3), seen from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use millpond_core::{Dot, Incarnation, Namespace, Path, VersionVector};

use super::net::NodeId;
use super::world::{Check, NAMESPACES, World, ensure};
use crate::state::{Clear, CutMark, Overlay, Tombstones, meta_key, read_meta};
use crate::store::{LogRow, Snapshot, Store};

/// Audits a node's store.
pub(crate) fn audit(world: &World, id: NodeId) -> Check {
    audit_store(&*world.nodes[id].store).map_err(|why| format!("{why}, at node {id}"))
}

/// Audits a store that can be read.
pub(super) fn audit_store(store: &dyn Store) -> Check {
    let snapshot = store.snapshot().unwrap();
    // What is visible and not folded counts as folded.
    let folded = |namespace| Overlay::over(snapshot.clone(), namespace).unwrap();
    NAMESPACES.into_iter().try_for_each(|namespace| audit_namespace(&*folded(namespace), namespace))
}

/// Of all that was sent on a link as much was worked off, once nothing is under way: else a window closes,
/// in the end for good.
pub(crate) fn credit_is_level(world: &World) -> Check {
    for id in world.running() {
        let engine = &world.nodes[id].running.as_ref().unwrap().engine;
        for (link, sent, _) in engine.credit_of_links() {
            let Some((other, other_link)) = world.net.other_end(link) else { continue };
            if world.outcasts.contains(&other) {
                continue;
            }
            let Some(running) = &world.nodes[other].running else { continue };
            let there = running.engine.credit_of_links();
            let Some((_, _, consumed)) = there.iter().find(|(it, ..)| *it == other_link) else {
                continue;
            };
            ensure!(
                sent == *consumed,
                "credit: {id} sent {sent:?} to {other}, which worked off {consumed:?}"
            );
        }
    }
    Ok(())
}

fn audit_namespace(snapshot: &dyn Snapshot, namespace: Namespace) -> Check {
    let vv: VersionVector =
        read_meta(snapshot, &meta_key::vv(namespace)).unwrap().unwrap_or_default();
    let cut: Option<CutMark> = read_meta(snapshot, &meta_key::cut(namespace)).unwrap();
    let clear: Option<Clear> = read_meta(snapshot, &meta_key::clear(namespace)).unwrap();
    let cleared = clear.and_then(|clear| clear.direct);
    let upto = cut.filter(|cut| cut.direct).map(|cut| cut.upto).or(cleared).unwrap_or_default();
    let live = live_dots(snapshot, namespace);
    let incarnations: BTreeSet<Incarnation> = vv
        .iter()
        .chain(upto.iter())
        .chain(live.keys().copied())
        .map(|dot| dot.incarnation)
        .collect();
    let mut log = BTreeMap::new();
    for incarnation in incarnations {
        snapshot
            .log(namespace, incarnation, 0, u64::MAX, &mut |dot, row| {
                log.insert(dot, row);
                ControlFlow::Continue(())
            })
            .unwrap();
    }
    let floor: VersionVector =
        read_meta(snapshot, &meta_key::floor(namespace)).unwrap().unwrap_or_default();
    ensure!(vv.covers_all(&floor), "R9: the floor {floor:?} is above {vv:?}");
    let left: Option<Tombstones> = read_meta(snapshot, &meta_key::tombstones(namespace)).unwrap();
    let (counted, found) =
        (left.map_or(0, |it| it.count), log.values().filter(|it| it.deleted.is_some()).count());
    let is_folding = snapshot.meta(&meta_key::fold(namespace)).unwrap().is_some();
    ensure!(
        is_folding || counted == found as u64,
        "R8: {counted} tombstones are counted, and there are {found}"
    );
    for (&dot, path) in &live {
        ensure!(
            vv.covers(dot) || upto.covers(dot),
            "R2: {dot} at {path} lives, {vv:?} covers it not"
        );
        let row = log.get(&dot);
        ensure!(
            row.is_some_and(|row| row.path == *path && row.deleted.is_none()),
            "R3: {dot} lives at {path} and its log row is {row:?}"
        );
    }
    for (&dot, LogRow { path, deleted, .. }) in &log {
        ensure!(vv.covers(dot) || upto.covers(dot), "R3: a log row of {dot}, which nothing covers");
        ensure!(
            deleted.is_some() || live.get(&dot) == Some(path),
            "R3: a log row of {dot} at {path}, which does not live there"
        );
    }
    Ok(())
}

fn live_dots(snapshot: &dyn Snapshot, namespace: Namespace) -> BTreeMap<Dot, Path> {
    let mut live = BTreeMap::new();
    snapshot
        .entries(namespace, None, None, &mut |path, entry| {
            live.extend(entry.live().iter().map(|it| (it.dot, path.clone())));
            ControlFlow::Continue(())
        })
        .unwrap();
    live
}
