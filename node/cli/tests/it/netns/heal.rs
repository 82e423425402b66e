//! A link is cut, and what one end writes reaches the other through a third node.

use std::time::Duration;

use millpond_rig::{Network, Node, until};

use super::{LIMIT, Rig, Way};

#[test]
fn a_link_that_is_cut_silently_is_gone_around() {
    trials("cut both ways", |network, from, to| network.cut(from, to));
}

#[test]
fn a_link_that_is_cut_in_one_direction_is_gone_around() {
    trials("cut one way", |network, from, to| network.cut_one_way(from, to));
}

#[test]
fn a_link_whose_interface_is_down_is_gone_around() {
    trials("taken down", |network, from, to| network.take_down(from, to));
}

#[test]
fn a_node_that_has_one_link_left_reaches_all() {
    let Some(mut rig) = Rig::start(5) else { return };
    let mut way = Way::new(&rig, WRITER, &[1, 2, 3, 4]);
    way.write(&rig);
    for other in 1..4 {
        rig.network.cut(WRITER, other).unwrap();
    }
    let took = way.write(&rig);
    println!("over the one link that is left: {took:?}");
    assert!(took <= LIMIT, "{took:?}");
    rig.network.heal_all().unwrap();
    rig.cluster.until_equal().unwrap();
}

/// Cuts the link that feeds the last node, again and again, and measures how long a write of the first one
/// then takes to its readers.
fn trials(how: &str, cut: fn(&mut Network, usize, usize) -> std::io::Result<()>) {
    let Some(mut rig) = Rig::start(3) else { return };
    let asked: Option<usize> =
        std::env::var("MILLPOND_NETNS_TRIALS").ok().and_then(|text| text.parse().ok());
    let mut way = Way::new(&rig, WRITER, &[READER]);
    let (mut figures, mut feeders) = (Vec::new(), [0; 2]);
    for _ in 0..asked.unwrap_or(TRIALS) {
        let feeder = feeder(&mut way, &rig);
        feeders[usize::from(feeder == RELAY)] += 1;
        cut(&mut rig.network, feeder, READER).unwrap();
        figures.push(way.write(&rig));
        rig.network.heal(feeder, READER).unwrap();
        rig.cluster.until_linked(2).unwrap();
    }
    rig.cluster.until_equal().unwrap();
    figures.sort();
    let share = |share: f64| figures[((figures.len() - 1) as f64 * share).round() as usize];
    let (median, late) = (share(0.5), share(0.99));
    let [direct, relayed] = feeders;
    let (count, slowest) = (figures.len(), share(1.0));
    println!(
        "{how}: {count} trials ({direct} of the direct link, {relayed} of the relay's): \
         median {median:?}, p99 {late:?}, slowest {slowest:?}"
    );
    let limit = if asked.is_some() { BAR } else { LIMIT };
    assert!(late <= limit, "{how}: p99 {late:?} of {figures:?}");
}

/// Writes a record, and tells which node its reader got it from.
fn feeder(way: &mut Way, rig: &Rig) -> usize {
    let reader = &rig.nodes()[READER];
    let before = rows_new(reader);
    way.write(rig);
    let mut after = before;
    // The counters follow the commit.
    until("the row is counted", || {
        after = rows_new(reader);
        after != before
    })
    .unwrap();
    if after[1] > before[1] { RELAY } else { WRITER }
}

/// New rows that a node got from the writer and from the relay.
fn rows_new(node: &Node) -> [u64; 2] {
    let status = node.status().unwrap();
    [WRITER, RELAY].map(|peer| {
        let name = format!("node-{}", peer + 1);
        let peers = status["peers"].as_array().unwrap();
        let peer = peers.iter().find(|it| it["name"] == name).expect("it is a member");
        peer["counters"]["rows_new"].as_u64().unwrap()
    })
}

const WRITER: usize = 0;
const RELAY: usize = 1;
const READER: usize = 2;
/// Of each test; `MILLPOND_NETNS_TRIALS` says otherwise, and has them judged by the bar, which takes an idle machine.
const TRIALS: usize = 3;
const BAR: Duration = Duration::from_secs(1);
