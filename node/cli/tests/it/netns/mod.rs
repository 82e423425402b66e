//! Real processes, each in a network namespace of its own, between which wires are really cut.
//!
//! They need root and `ip`; elsewhere each test says that it did not happen, and why. With
//! `MILLPOND_NETNS=required` that is a failure.

mod chaos;
mod heal;
mod load;
mod modes;
mod natted;
mod split;

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use millpond_rig::{Cluster, Network, Node, Watch};
use serde_json::Value;

/// Whether there can be namespaces; says so where there can be none.
fn is_possible() -> bool {
    is_done_without(Network::why_not())
}

/// Whether nothing is missing; says so where something is.
fn is_done_without(missing: Option<String>) -> bool {
    let Some(why) = missing else { return true };
    let is_required = std::env::var("MILLPOND_NETNS").is_ok_and(|it| it == "required");
    assert!(!is_required, "{why}");
    // Past the capture: a test that did not happen must not look like one that passed.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
    false
}

/// Nodes on hosts of their own, all linked.
struct Rig {
    // The nodes end before their hosts do.
    cluster: Cluster,
    network: Network,
}

impl Rig {
    /// `None`, with words, where there can be no namespaces.
    fn start(nodes: usize) -> Option<Self> {
        if !is_possible() {
            return None;
        }
        let network = Network::mesh(nodes).expect("a network");
        let program = Path::new(env!("CARGO_BIN_EXE_millpond"));
        let cluster = Cluster::start(program, network.hosts(), "", None).expect("a cluster");
        cluster.until_linked(nodes - 1).expect("links");
        Some(Self { cluster, network })
    }
    fn nodes(&self) -> &[Node] {
        self.cluster.nodes()
    }

    /// Changes how running nodes take part.
    fn set_topology(&self, nodes: &[usize], topology: &Value) {
        for node in nodes {
            let client = self.nodes()[*node].client();
            client.send("PUT", "/api/v1/topology", &topology.to_string()).unwrap();
        }
    }

    /// All that the nodes say of themselves, for who must find out why a test failed.
    fn shown(&self) -> String {
        let status = |node: &Node| node.status().unwrap_or(Value::Null);
        self.nodes().iter().map(|node| format!("{:#}\n", status(node))).collect()
    }
}

/// The way from what one node writes to what readers of others see.
struct Way {
    writer: usize,
    readers: Vec<(usize, Watch)>,
    written: u64,
}

impl Way {
    fn new(rig: &Rig, writer: usize, readers: &[usize]) -> Self {
        let watch = |&node: &usize| {
            let client = rig.nodes()[node].client();
            (node, Watch::start(client, &collection(writer)).expect("it answers"))
        };
        Self { writer, readers: readers.iter().map(watch).collect(), written: 0 }
    }

    /// Writes a record, and tells how long after the answer all of them had seen it.
    fn write(&mut self, rig: &Rig) -> Duration {
        self.written += 1;
        let key = self.written.to_string();
        rig.nodes()[self.writer].put(&collection(self.writer), &key, self.written).unwrap();
        let answered = Instant::now();
        let mut slowest = Duration::ZERO;
        for (node, watch) in &mut self.readers {
            let Some(seen) = watch.until(&key, PATIENCE) else {
                panic!("{key} is not at node {node} within {PATIENCE:?}\n{}", rig.shown());
            };
            slowest = slowest.max(seen.saturating_duration_since(answered));
        }
        slowest
    }
}

/// What one node writes.
fn collection(writer: usize) -> String {
    format!("by-{writer}")
}

/// How long a write may take around a cut. A node that does not go around one gets what it lacks at the next look at
/// what others have, five seconds later, or when the link is lost, after ten: whatever comes before came around.
const LIMIT: Duration = Duration::from_secs(4);
/// A write that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(30);
