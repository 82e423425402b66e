//! Whether a node may say what it says: nothing leaves it that its disk does not hold (R6), and what it
//! claims to hold it holds.

use bytes::Bytes;
use millpond_core::message::{Message, NumberedVector};
use millpond_core::wire::Decoder;
use millpond_core::{Dot, Namespace, VersionVector};

use super::net::NodeId;
use super::world::{Check, NAMESPACES, World, ensure};
use crate::replication::LinkId;
use crate::status::{PeerState, Status};

/// Checks a frame as it leaves a node.
pub(crate) fn is_true(world: &World, node: NodeId, link: LinkId, frame: &Bytes) -> Check {
    let Some(oracle) = world.oracle.as_ref().filter(|it| !it.is_stranger(node)) else {
        return Ok(());
    };
    let holds = |namespace: Namespace, vv: &VersionVector, what: &str| {
        ensure!(
            oracle.holds(node, namespace, vv),
            "R6: {node} says in {what} that it holds {vv:?} of {namespace}, and is at {:?}",
            oracle.vv(node, namespace)
        );
        Ok(())
    };
    let names = |number: u32| {
        let engine = &world.nodes[node].running.as_ref()?.engine;
        engine.name_said(link, number)
    };
    let named = |vv: &NumberedVector| -> VersionVector {
        vv.iter().filter_map(|(number, seq)| Some(Dot::new(names(*number)?, *seq))).collect()
    };
    // A piece of a larger message, or of a later version.
    let running = world.nodes[node].running.as_ref();
    let tables = running.map(|it| it.engine.tables_said(link)).unwrap_or_default();
    let Ok(Some(message)) = Decoder::new().decode_knowing(frame.clone(), &tables) else {
        return Ok(());
    };
    match message {
        Message::Hello(hello) => {
            hello.namespaces.iter().try_for_each(|it| holds(it.namespace, &it.durable, "a hello"))
        }
        Message::Push(push) => {
            let last = push.last_dot();
            let vv = oracle.vv(node, push.namespace());
            ensure!(
                vv.covers(last),
                "R6: {node} sends {last}, which its disk has not; it is at {vv:?}"
            );
            Ok(())
        }
        Message::Ack(acks) => acks.iter().try_for_each(|ack| {
            holds(ack.namespace, &named(&ack.applied), "an ack")?;
            holds(ack.namespace, &named(&ack.durable), "an ack")
        }),
        Message::Announce(said) => said
            .iter()
            .try_for_each(|(namespace, vv)| holds(*namespace, &named(vv), "an announcement")),
        _ => Ok(()),
    }
}

/// Checks what a node tells its operator: no rows are counted that never came, and whoever is shown as
/// current has all that the node has, unless folders have fallen back since.
pub(crate) fn status_is_true(world: &World, node: NodeId, status: &Status, falls: bool) -> Check {
    let own = world.nodes[node].key.to_string();
    ensure!(
        status.peers.iter().all(|peer| peer.key != own),
        "status: {node} counts itself among its peers"
    );
    for peer in &status.peers {
        let counters = &peer.counters;
        let taken = counters.rows_new + counters.rows_duplicate;
        ensure!(
            taken <= counters.rows_received,
            "status: {node} took {taken} rows of {}, which sent {}",
            peer.name,
            counters.rows_received
        );
        let settled = counters.rows_forwarded + counters.rows_suppressed;
        ensure!(
            settled <= counters.rows_held,
            "status: {node} forwarded or suppressed {settled} rows to {}, and held {}",
            peer.name,
            counters.rows_held
        );
        let has_all = peer.they_lack.is_some_and(|lag| lag.ops == 0);
        if !falls && has_all && peer.state == PeerState::Current {
            has_what_is_shown(world, node, &peer.key)?;
        }
    }
    Ok(())
}

/// Checks that an operator's word to pause all links, or to resume them, was heeded at once.
pub(crate) fn all_are_paused(status: &Status, is_paused: bool) -> Check {
    for peer in status.peers.iter().filter(|peer| peer.state != PeerState::Fenced) {
        ensure!(
            is_paused == (peer.state == PeerState::Paused) && !(is_paused && peer.link.is_some()),
            "pause: all are to be paused ({is_paused}), and {} is {:?}",
            peer.name,
            peer.state
        );
    }
    Ok(())
}

fn has_what_is_shown(world: &World, node: NodeId, peer: &str) -> Check {
    let other = world.nodes.iter().position(|it| it.key.to_string() == peer);
    let (Some(oracle), Some(other)) = (&world.oracle, other) else { return Ok(()) };
    NAMESPACES.into_iter().try_for_each(|namespace| {
        ensure!(
            oracle.holds(other, namespace, &oracle.vv(node, namespace)),
            "status: {node} shows {other} as current, which lacks something of {namespace}"
        );
        Ok(())
    })
}
