//! Whether a node may say what it says: nothing leaves it that its disk does not hold (R6), and what it
//! claims to hold it holds.

use bytes::Bytes;
use millpond_core::message::Message;
use millpond_core::wire::Decoder;
use millpond_core::{Namespace, VersionVector};

use super::net::NodeId;
use super::world::{Check, World, ensure};

/// Checks a frame as it leaves a node.
pub(crate) fn is_true(world: &World, node: NodeId, frame: &Bytes) -> Check {
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
    // A piece of a larger message, or of a later version.
    let Ok(Some(message)) = Decoder::new().decode(frame.clone()) else { return Ok(()) };
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
            holds(ack.namespace, &ack.applied, "an ack")?;
            holds(ack.namespace, &ack.durable, "an ack")
        }),
        Message::Digest(vectors) => {
            vectors.iter().try_for_each(|(namespace, vv)| holds(*namespace, vv, "a digest"))
        }
        _ => Ok(()),
    }
}
