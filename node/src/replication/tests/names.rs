//! Numbers that stand for incarnations: there are so many of them on a link, and then they begin anew.

use millpond_core::limits::VECTOR_ENTRIES_MAX;
use millpond_core::{Incarnation, Namespace, VersionVector};

use super::depends_on;
use super::trees::{adaptive, engine, link};
use crate::replication::names::NAMED_AT_ONCE;
use crate::sim::world::{Check, World, ensure};

/// Gives numbers to incarnations that nobody has, until one number is left.
fn use_up(world: &mut World, from: usize, to: usize) {
    let id = link(world, from, to);
    let strangers: Vec<Incarnation> = (0..VECTOR_ENTRIES_MAX as u128)
        .map(|number| Incarnation::from_bytes((number + 1).to_be_bytes()))
        .collect();
    let engine = engine(world, from);
    engine.links.get_mut(&id).unwrap().names_said.clear();
    for some in strangers[..VECTOR_ENTRIES_MAX - 1].chunks(NAMED_AT_ONCE) {
        engine.number(id, some);
    }
    assert_eq!(engine.links[&id].names_said.len(), VECTOR_ENTRIES_MAX - 1);
    world.run(50);
}

/// An ack says that one origin's write has arrived, and that those of all three are on disk, when the numbers
/// run out between the two.
fn numbers_run_out_in_an_ack() -> Check {
    let mut world = adaptive(112);
    for node in 0..3 {
        world.put(node, &format!("c/{node}/f"), "v");
    }
    world.settle()?;
    use_up(&mut world, 0, 1);
    let (id, key) = (link(&mut world, 0, 1), world.nodes[0].key);
    let own = engine(&mut world, 0).heads.open.unwrap();
    let vv = world.vv(0);
    let others: VersionVector = vv.iter().filter(|dot| dot.incarnation != own).collect();
    let engine_0 = engine(&mut world, 0);
    let now_ms = engine_0.now.mono_ms;
    let at_0 = engine_0.links.get_mut(&id).unwrap();
    let told = at_0.told.get_mut(&Namespace::MAIN).unwrap();
    (told.received, told.applied) = (others, VersionVector::new());
    at_0.ack_due_ms = Some(now_ms);
    engine(&mut world, 1).peers.get_mut(&key).unwrap().vectors.clear();
    world.run(6_000);
    ensure!(link(&mut world, 0, 1) == id, "the link has ended");
    let vectors = engine(&mut world, 1).peers[&key].vectors(Namespace::MAIN).clone();
    ensure!(vectors.applied == vv, "it was told of {:?}, not {vv:?}", vectors.applied);
    Ok(())
}

#[test]
fn numbers_begin_anew_before_an_ack_and_not_within() {
    depends_on(&["an ack's names are numbered at once"], numbers_run_out_in_an_ack);
}
