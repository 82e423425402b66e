//! What the operator is told: what moved, and by which way.

use crate::replication::{Answer, Request};
use crate::sim::world::World;
use crate::status::{Amount, OriginCounters, Status};
use crate::topology::settings::Topology;

/// What a node counted of a writer, at its link to a peer.
fn counted<'a>(status: &'a Status, peer: &str, origin: &str) -> &'a OriginCounters {
    let peer = status.peers.iter().find(|it| it.name == peer).expect("a member");
    peer.origins.iter().find(|it| it.origin == origin).expect("it wrote")
}

#[test]
fn what_is_pushed_is_counted_by_who_wrote_it() {
    let mut world = World::mesh(3, 150);
    // Its first write opens an incarnation, and records that.
    world.put(0, "c/k/f", "v");
    world.settle().unwrap();
    let before = world.status(1);
    for number in 0..5 {
        world.put(0, &format!("c/{number}/f"), "value");
    }
    world.settle().unwrap();
    let after = world.status(1);
    let difference = |peer: &str, read: fn(&OriginCounters) -> Amount| {
        let [before, after] = [&before, &after].map(|status| read(counted(status, peer, "n0")));
        (after.rows - before.rows, after.bytes - before.bytes)
    };
    let bytes = (3 * (1 + 2) + 5) * 5; // three components and their ends, and the value
    assert_eq!(difference("n0", |it| it.received), (5, bytes));
    assert_eq!(difference("n0", |it| it.new), (5, bytes));
    assert_eq!(difference("n0", |it| it.duplicate), (0, 0));
    assert_eq!(difference("n2", |it| it.held), (5, bytes));
    assert_eq!(difference("n2", |it| it.suppressed), (5, bytes));
    assert_eq!(difference("n2", |it| it.forwarded), (0, 0));
}

#[test]
fn each_writer_is_told_with_where_its_writes_come_from() {
    let mut world = World::mesh(3, 151);
    world.put(0, "c/k/f", "v");
    world.settle().unwrap();
    let status = world.status(1);
    let of = |name: &str| status.sources.iter().find(|it| it.origin == name);
    let other = of("n0").expect("it wrote");
    assert_eq!((other.source.as_deref(), other.is_own), (Some("n0"), false));
    let status = world.status(0);
    let own = status.sources.iter().find(|it| it.is_own).expect("it wrote");
    assert_eq!((own.source.as_deref(), &own.fed[..]), (None, &["n1".into(), "n2".into()][..]));
}

#[test]
fn control_bytes_and_data_are_all_that_is_sent() {
    let mut world = World::mesh(2, 152);
    world.run(20_000);
    let counters = world.status(0).peers[0].counters;
    let control = counters.control;
    assert!(control.ack > 0 && control.heartbeat > 0 && control.other > 0, "{control:?}");
    let data = counters.frame_bytes_sent - control.total();
    assert!(data >= counters.payload_bytes_sent, "{counters:?}");
    world.run(20_000);
    let later = world.status(0).peers[0].counters;
    let idle = later.frame_bytes_sent - counters.frame_bytes_sent;
    assert!(idle > 0);
    assert_eq!(later.control.total() - control.total(), idle, "an idle link carries no data");
}

/// Three nodes that announce, the link between the first and the last cut.
fn relayed(seed: u64) -> World {
    let mut world = World::mesh(3, seed);
    world.set_topology(&Topology::default());
    world.settle().unwrap();
    world.cut(0, 2);
    world.run(15_000);
    world.put(0, "c/k/f", "v");
    world.run(1_000);
    for number in 0..5 {
        world.put(0, &format!("c/{number}/f"), "value");
        world.run(200);
    }
    world
}

#[test]
fn what_is_relayed_is_told_with_its_way_and_counted_as_asked_for() {
    let mut world = relayed(153);
    let last = world.status(2);
    let way = last.sources.iter().find(|it| it.origin == "n0").unwrap();
    assert_eq!(way.source.as_deref(), Some("n1"), "{way:?}");
    assert!(way.deadline_ms.is_some(), "{way:?}");
    let relay = world.status(1);
    let way = relay.sources.iter().find(|it| it.origin == "n0").unwrap();
    assert_eq!((way.source.as_deref(), &way.fed[..]), (Some("n0"), &["n2".to_owned()][..]));
    let sent = counted(&relay, "n2", "n0");
    assert!(sent.grafted.rows >= 5 && sent.announced.rows >= 1, "{sent:?}");
    let asks = |it: &crate::status::LinkCounters| it.grafts > 0 && it.control.graft > 0;
    assert!(last.peers.iter().any(|peer| asks(&peer.counters)), "{:?}", last.peers);
    let link = relay.peers.iter().find(|it| it.name == "n2").unwrap().link.as_ref().unwrap();
    assert!(link.announcing && link.announced, "{link:?}");
}

#[test]
fn a_survey_shows_the_relay_and_who_would_be_asked_next() {
    let mut world = relayed(154);
    world.heal(0, 2);
    world.run(10_000);
    for number in 0..5 {
        world.put(0, &format!("c/{number}/f"), "again");
        world.run(200);
    }
    let request = world.ask(0, Request::Survey);
    world.run_until(500, |world| world.answers.contains_key(&request)).unwrap();
    let Some(Answer::Survey(surveyed)) = world.answers.remove(&request) else { panic!() };
    let survey = surveyed.survey();
    let tree = survey.trees.iter().find(|tree| tree.origin == "n0").unwrap();
    let edge = tree.edges.iter().find(|edge| edge.to == "n2").unwrap();
    assert!(edge.standby.is_some() && edge.standby.as_ref() != Some(&edge.from), "{edge:?}");
    assert!(tree.unfed.is_empty(), "{tree:?}");
}
