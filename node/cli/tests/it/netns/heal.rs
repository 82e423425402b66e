//! A link is cut, and what one end writes reaches the other through a third node.

use std::time::{Duration, Instant};

use millpond_rig::{Network, Node, Watch, until};
use serde_json::Value;

use super::Rig;

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

/// Cuts the link that feeds the last node, again and again, and measures how long a write of the first one
/// then takes to its readers.
fn trials(how: &str, cut: fn(&mut Network, usize, usize) -> std::io::Result<()>) {
    let Some(mut rig) = Rig::start(3) else { return };
    let count = std::env::var("MILLPOND_NETNS_TRIALS").ok().and_then(|text| text.parse().ok());
    let mut path = Path::new(&rig);
    let (mut figures, mut feeders) = (Vec::new(), [0; 2]);
    for _ in 0..count.unwrap_or(TRIALS) {
        let feeder = path.feeder(&rig);
        feeders[usize::from(feeder == RELAY)] += 1;
        cut(&mut rig.network, feeder, READER).unwrap();
        let took = path.write(&rig, PATIENCE);
        figures.push(took);
        rig.network.heal(feeder, READER).unwrap();
        rig.cluster.until_linked().unwrap();
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
    assert!(late <= LIMIT, "{how}: p99 {late:?} of {figures:?}");
}

/// The way from the writer to the readers of the last node.
struct Path {
    watch: Watch,
    written: u64,
}

impl Path {
    fn new(rig: &Rig) -> Self {
        let watch = Watch::start(rig.cluster.nodes()[READER].client(), COLLECTION).unwrap();
        Self { watch, written: 0 }
    }

    /// Writes a record, and tells how long after the answer it was seen.
    fn write(&mut self, rig: &Rig, patience: Duration) -> Duration {
        self.written += 1;
        let key = self.written.to_string();
        rig.cluster.nodes()[WRITER].put(COLLECTION, &key, self.written).unwrap();
        let answered = Instant::now();
        match self.watch.until(&key, patience) {
            Some(seen) => seen.saturating_duration_since(answered),
            None => panic!("not seen within {patience:?}: {key}\n{}", shown(rig)),
        }
    }

    /// Writes a record, and tells which node it came from.
    fn feeder(&mut self, rig: &Rig) -> usize {
        let reader = &rig.cluster.nodes()[READER];
        let before = rows_new(reader);
        self.write(rig, PATIENCE);
        let mut after = before;
        // The counters follow the commit.
        until("the row is counted", || {
            after = rows_new(reader);
            after != before
        })
        .unwrap();
        if after[1] > before[1] { RELAY } else { WRITER }
    }
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

fn shown(rig: &Rig) -> String {
    let status = |node: &Node| node.status().unwrap_or(Value::Null);
    rig.cluster.nodes().iter().map(|node| format!("{:#}\n", status(node))).collect()
}

const WRITER: usize = 0;
const RELAY: usize = 1;
const READER: usize = 2;
const COLLECTION: &str = "healed";

/// How long a write may take around a cut. Replicated data is held back for a second before it is forwarded;
/// the rest is for a machine under load.
const LIMIT: Duration = Duration::from_millis(2500);
/// Of each test; `MILLPOND_NETNS_TRIALS` says otherwise.
const TRIALS: usize = 3;
/// A write that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(30);
